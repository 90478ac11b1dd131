//! What happens to a worker.

use std::time::Duration;

use jobyard_core::{
    AttemptId, Complaint, ConnectError, ExecutionTrace, LinkError, LogEnd, MasterMessage, Outcome,
    Residue, Timestamp,
};

/// What an [`Agent`](super::Agent) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Begin. Once, first.
    Start,
    /// The session that [`Output::Connect`](super::Output::Connect) asked for exists.
    Connected,
    /// It does not.
    ConnectFailed(ConnectError),
    /// The master said something on the present session.
    Received(MasterMessage),
    /// The present session is over. Not said after [`Output::Disconnect`](super::Output::Disconnect).
    SessionLost(LinkError),
    /// The journal has the `Accepted` entry of this attempt.
    Journaled {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The journal could not take it.
    JournalFailed {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// It runs.
    AttemptStarted {
        /// Which attempt.
        attempt: AttemptId,
        /// The process, where there is one.
        pid: Option<u32>,
        /// What it takes to find it again.
        trace: Option<ExecutionTrace>,
        /// When.
        at: Timestamp,
    },
    /// It is over, and nothing of it is left, or its residue says that this is not known.
    AttemptEnded(AttemptEnd),
    /// The master has all of its output. Changes nothing: the attempt and its output stay until the master says
    /// `Forget`, and the output is offered again on each session until then.
    LogConfirmed {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// What the worker has against taking assignments, for its machine's sake; replaces what was said before.
    Complaints {
        /// Everything. Empty: nothing any more.
        complaints: Vec<Complaint>,
        /// Not even those can be run that the master has sent already.
        exhausted: bool,
    },
    /// Nothing is left of what this attempt left behind and could not be killed, see
    /// [`Agent::taints`](super::Agent::taints).
    TaintGone {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The worker shall end. A second one makes it stop what runs at once.
    Shutdown(ShutdownMode),
    /// The time that [`next_deadline`](super::Agent::next_deadline) named has come. Too early is harmless.
    DeadlineReached,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptEnd {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What became of it.
    pub outcome: Outcome,
    /// When it started, if it did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What it left behind.
    pub residue: Residue,
    /// Where its output ends, as the spool knows.
    pub log: LogEnd,
}

impl AttemptEnd {
    /// An end that left nothing behind, of an attempt that printed nothing.
    pub fn new(attempt: AttemptId, outcome: Outcome, finished_at: Timestamp) -> Self {
        Self {
            attempt,
            outcome,
            started_at: None,
            finished_at,
            residue: Residue::default(),
            log: LogEnd::default(),
        }
    }
}

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownMode {
    /// Take nothing new, wait for what runs, then stop what is left.
    Drain {
        /// How long to wait.
        timeout: Duration,
    },
    /// Stop what runs, each with the grace of its spec.
    Stop,
    /// Leave what runs to the next life of the worker on the same data, and end at once. What an executor could not
    /// find again it ends.
    Detach,
}
