//! What happens to an attempt.

use std::time::Duration;

use jobyard_core::{ExecutionTrace, Exit, Gone, Lost, Residue, StartError, StopCause, Timestamp};

/// What a [`Supervisor`](super::Supervisor) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Begin: start the attempt.
    Start,
    /// Begin: find the attempt that an earlier life of this program started.
    Adopt {
        /// When it was started, as that life wrote down.
        started_at: Option<Timestamp>,
    },
    /// The executor started or found it.
    Started {
        /// The process, where there is one.
        pid: Option<u32>,
        /// What it takes to find it again.
        trace: Option<ExecutionTrace>,
    },
    /// The executor could not start it; nothing of it is left.
    StartFailed(StartError),
    /// The executor did not find it; nothing of it is left.
    Gone(Gone),
    /// Its main process ended.
    Exited(Exit),
    /// It cannot be known any more how its main process ends.
    Lost(Lost),
    /// What it left is gone, and all of its output was delivered.
    CleanedUp(Residue),
    /// It shall end.
    Stop {
        /// Why.
        cause: StopCause,
        /// How long it may take before it is killed. Zero kills at once.
        grace: Duration,
    },
    /// It shall end at once: a stop for the cause [`StopCause::Cancelled`] without any grace. If it is being stopped
    /// already, that stop keeps its cause and loses the rest of its grace.
    KillNow,
    /// The time that [`next_deadline`](super::Supervisor::next_deadline) named has come. Too early is harmless.
    DeadlineReached,
    /// A signal, or the kill, was not delivered.
    SignalFailed,
}
