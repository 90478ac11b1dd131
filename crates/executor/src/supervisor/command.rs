//! What a supervisor wants done, and what it reports.

use jobyard_core::{
    AttemptId, AttemptReport, ExecutionTrace, LogEnd, Outcome, Residue, StopSignal, Timestamp,
};

/// What the shell of a [`Supervisor`](super::Supervisor) has to do next. Plain data; in the order in which it is to
/// be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Call the executor's `start`. The answer is `Started` or `StartFailed`.
    Start,
    /// Call the executor's `adopt`. The answer is `Started` or `Gone`.
    Adopt,
    /// Deliver a signal. Only a failure is answered: `SignalFailed`.
    Signal(StopSignal),
    /// Kill all of it; a signal that is still on its way need not arrive. Only a failure is answered.
    Kill,
    /// Clean up. The answer is `CleanedUp`.
    CleanUp,
    /// Tell whoever asked for the attempt.
    Report(SupervisorEvent),
}

/// What becomes known of an attempt. Each attempt has at most one `Started` and exactly one `Finished`, which is the
/// last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// It runs.
    Started {
        /// The process, where there is one.
        pid: Option<u32>,
        /// What it takes to find it again; to be written down.
        trace: Option<ExecutionTrace>,
        /// When it started.
        at: Timestamp,
    },
    /// It is over, and nothing of it is left that its executor could find.
    Finished(Ending),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// What became of it.
    pub outcome: Outcome,
    /// Why it could not be started, in words; for people.
    pub problem: Option<String>,
    /// When it started, if it did.
    pub started_at: Option<Timestamp>,
    /// When its main process ended, or when it was known that there is none.
    pub finished_at: Timestamp,
    /// What it left behind, and what was done about that.
    pub residue: Residue,
}

impl Ending {
    /// An ending that left nothing behind.
    pub(crate) fn new(outcome: Outcome, finished_at: Timestamp) -> Self {
        Self {
            outcome,
            problem: None,
            started_at: None,
            finished_at,
            residue: Residue::default(),
        }
    }

    /// The report for the master, once it is known where the output ends.
    pub fn into_report(self, attempt: AttemptId, log: LogEnd) -> AttemptReport {
        let mut report = AttemptReport::new(attempt, self.outcome, self.finished_at);
        report.started_at = self.started_at;
        report.residue = self.residue;
        report.log = log;
        report
    }
}
