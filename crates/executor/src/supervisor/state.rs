//! Where an attempt is in its life.

use std::time::Duration;

use jobyard_core::{Steady, StopCause, Timestamp};

use super::Ending;

/// The states of a [`Supervisor`](super::Supervisor), each with what is known only there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was asked of the executor yet.
    New,
    /// The executor was asked to start it, or to find it.
    Starting {
        /// Which of the two.
        begin: Begin,
        /// A stop to carry out as soon as the start is answered.
        stop: Option<PendingStop>,
    },
    /// It runs, and nobody wants it to end.
    Running {
        /// When it started.
        started_at: Timestamp,
        /// When it has run for too long.
        until: Option<Steady>,
    },
    /// It was told to end, and has not ended yet.
    Stopping {
        /// When it started.
        started_at: Timestamp,
        /// Why it was told to end.
        cause: StopCause,
        /// How far that went.
        phase: Phase,
    },
    /// It ended; what it left is being removed.
    CleaningUp {
        /// How it ended; what it left is added.
        ending: Ending,
    },
    /// It is over.
    Done,
}

/// How an attempt begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// It is started.
    Start,
    /// It was started by an earlier life of this program, and has to be found.
    Adopt {
        /// When it was started.
        started_at: Option<Timestamp>,
    },
}

/// A stop that has to wait for the answer of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingStop {
    /// Why.
    pub(super) cause: StopCause,
    /// Counted from the moment at which it can be carried out.
    pub(super) grace: Duration,
}

/// How far a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The signal was sent; the kill follows at this time.
    Grace {
        /// When.
        until: Steady,
    },
    /// The kill was sent. Nothing is left to do but to wait.
    Killing,
}

impl State {
    /// The name of the state, for errors.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::CleaningUp { .. } => "cleaning up",
            Self::Done => "done",
        }
    }
}
