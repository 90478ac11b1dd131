//! How a cage is found again by those who did not make it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jobyard_core::{AttemptId, KilledProcess};
use serde::{Deserialize, Serialize};

use super::left_over;
use crate::protocol::Mechanism;

/// Everything by which a cage is found again after its launcher is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CageName {
    pub(super) mechanism: Mechanism,
    pub(super) attempt: AttemptId,
    /// Under which boot it was made: nothing of another one is left, and its numbers are others' now.
    pub(super) boot: Option<String>,
    /// The group of version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) leaf: Option<PathBuf>,
    /// The groups of version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<PathBuf>,
    /// That one of them by which it is stopped, where that is the mechanism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) freezer: Option<PathBuf>,
    /// The process of ours above the job, and when it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) warden: Option<(u32, u64)>,
}

impl CageName {
    pub(super) fn new(mechanism: Mechanism, attempt: AttemptId, boot: Option<String>) -> Self {
        Self {
            mechanism,
            attempt,
            boot,
            leaf: None,
            groups: Vec::new(),
            freezer: None,
            warden: None,
        }
    }

    /// By what it keeps hold of processes.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The same cage, and the process of ours above the job: its number, and when it started.
    #[must_use]
    pub fn with_warden(self, pid: u32, start_time: u64) -> Self {
        Self {
            warden: Some((pid, start_time)),
            ..self
        }
    }

    /// Ends what a dead launcher left in this cage and removes the cage. `main` is the main process and when it
    /// started, where that is known. Blocks, at most for about `patience`; waits by events.
    ///
    /// The two weak mechanisms also find processes by the marks of the attempt in their environment, `JOBYARD_JOB_ID`
    /// and `JOBYARD_ATTEMPT`.
    pub fn end_left_over(
        &self,
        attempt: AttemptId,
        main: Option<(u32, u64)>,
        patience: Duration,
    ) -> LeftOver {
        if self.boot.is_some() && self.boot != boot_id() {
            return LeftOver {
                killed: Vec::new(),
                empty: true,
            };
        }
        left_over::end(self, attempt, main, patience)
    }
}

/// What was left in a cage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOver {
    /// What had to be killed.
    pub killed: Vec<KilledProcess>,
    /// Whether nothing is left.
    pub empty: bool,
}

/// What this boot of the machine is called.
pub(super) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}
