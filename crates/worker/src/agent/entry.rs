//! One attempt that a worker holds.

use std::time::Duration;

use jobyard_core::{Assignment, AttemptId, AttemptReport, Held, HeldState, StopCause, Timestamp};

/// An attempt and what the master was told of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) stage: Stage,
    /// What the master was told on the present session, or in the hello that opens it.
    pub(super) told: Told,
    /// The master wants nothing of it: no report, and no place in the inventory; deleted once it is gone.
    pub(super) forgotten: bool,
}

/// Where an attempt stands.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// On its way to the journal. Nothing of it runs.
    Journaling {
        assignment: Box<Assignment>,
        /// It shall not start, but be reported as stopped.
        stop: Option<StopCause>,
    },
    /// In the journal, and not started: the master's promise is over, and it may have given the attempt up. It starts with
    /// the next promise, unless the master wants something else of it by then.
    Waiting { assignment: Box<Assignment> },
    /// The shell was told to start it, or to find it.
    Starting { grace: Duration },
    /// It runs.
    Running {
        grace: Duration,
        pid: Option<u32>,
        started_at: Timestamp,
    },
    /// It is over.
    Finished { report: AttemptReport },
}

/// What the master knows of an attempt from this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// That it was accepted, at most.
    Accepted,
    /// That it runs.
    Running,
    /// How it ended.
    Finished,
}

impl Entry {
    pub(super) const fn new(stage: Stage) -> Self {
        Self {
            stage,
            told: Told::Accepted,
            forgotten: false,
        }
    }

    /// Whether something of it may run, so that its end has to be waited for.
    pub(super) const fn may_run(&self) -> bool {
        matches!(self.stage, Stage::Starting { .. } | Stage::Running { .. })
    }

    /// Its line of the inventory.
    pub(super) fn held(&self, attempt: AttemptId) -> Held {
        let state = match &self.stage {
            Stage::Journaling { .. } | Stage::Waiting { .. } | Stage::Starting { .. } => {
                HeldState::Accepted
            }
            Stage::Running {
                pid, started_at, ..
            } => HeldState::Running {
                pid: *pid,
                started_at: *started_at,
            },
            Stage::Finished { report } => HeldState::Finished(report.clone()),
        };
        Held::new(attempt, state)
    }

    /// What its line of the inventory tells.
    pub(super) const fn tells(&self) -> Told {
        match self.stage {
            Stage::Journaling { .. } | Stage::Waiting { .. } | Stage::Starting { .. } => {
                Told::Accepted
            }
            Stage::Running { .. } => Told::Running,
            Stage::Finished { .. } => Told::Finished,
        }
    }

    /// Whether there is, or may come, output that the master has to confirm. A confirmation counts for the session on
    /// which it was given: the master makes its own note of it after it has answered, and a crash in between loses the
    /// note. Only a forget says that it is kept.
    pub(super) const fn owes_output(&self) -> bool {
        match &self.stage {
            Stage::Journaling { .. } | Stage::Waiting { .. } => false,
            Stage::Starting { .. } | Stage::Running { .. } => true,
            Stage::Finished { report } => report.log.bytes > 0,
        }
    }
}
