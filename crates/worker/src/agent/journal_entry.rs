//! What a worker writes down.

use std::collections::BTreeMap;

use jobyard_core::{
    AttemptId, AttemptReport, BootId, Epoch, ExecutionTrace, KilledProcess, Steady, Timestamp,
    ValidSpec,
};
use serde::{Deserialize, Serialize};

/// One entry of the journal. Later entries about an attempt supersede earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JournalEntry {
    /// An attempt was accepted, and is about to start.
    Accepted {
        /// Which one.
        attempt: AttemptId,
        /// What it is to run; an adoption needs it. Without the values of its secrets: what was begun has them, and nothing
        /// is begun by what is read here.
        spec: ValidSpec,
        /// The environment that the master gave with it.
        env: BTreeMap<String, String>,
        /// The boot under which it was accepted. What was accepted under another one is gone.
        boot: BootId,
    },
    /// It runs.
    Started {
        /// Which one.
        attempt: AttemptId,
        /// The process, where there is one.
        pid: Option<u32>,
        /// What it takes to find it again.
        trace: Option<ExecutionTrace>,
        /// When.
        at: Timestamp,
    },
    /// It is over.
    Finished(AttemptReport),
    /// The master has confirmed its end, or wants nothing of it.
    Forgotten {
        /// Which one.
        attempt: AttemptId,
    },
    /// It ended, but something of it may still run: it could not be killed.
    Tainted {
        /// Which one.
        attempt: AttemptId,
        /// The boot with whose end that is over.
        boot: BootId,
        /// What is known to run.
        processes: Vec<KilledProcess>,
    },
    /// Nothing of it runs any more after all.
    Untainted {
        /// Which one.
        attempt: AttemptId,
    },
    /// Attempts that must not outlive the worker's lease may run so long, as far as is known.
    Lease {
        /// The boot whose clock counts.
        boot: BootId,
        /// When they are told to stop.
        stop_at: Steady,
        /// When they are killed.
        until: Steady,
    },
    /// The highest epoch that was seen.
    MaxEpoch(Epoch),
}

impl JournalEntry {
    /// The attempt that the entry is about.
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Accepted { attempt, .. }
            | Self::Started { attempt, .. }
            | Self::Tainted { attempt, .. }
            | Self::Untainted { attempt }
            | Self::Forgotten { attempt } => Some(*attempt),
            Self::Finished(report) => Some(report.attempt),
            Self::Lease { .. } | Self::MaxEpoch(_) => None,
        }
    }
}
