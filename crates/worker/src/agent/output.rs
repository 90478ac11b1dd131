//! What a worker shall do.

use std::fmt;
use std::time::Duration;

use jobyard_core::{
    Assignment, AttemptId, ConnectError, Epoch, ExecutionTrace, Hello, SessionId, Steady,
    StopCause, Timestamp, WorkerId, WorkerMessage,
};

use super::JournalEntry;

/// What the shell of an [`Agent`](super::Agent) has to do next. Plain data; in the order in which it is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Open a session with this hello. The answer is `Connected` or `ConnectFailed`. Ends an older try.
    Connect(Box<Hello>),
    /// Drop the session, or the try to open one. Not answered.
    Disconnect,
    /// The master has welcomed this worker. For the log, and for the environment of attempts.
    Opened {
        /// Who the master takes it for.
        worker: WorkerId,
        /// What it is called.
        name: String,
        /// The session.
        session: SessionId,
        /// The master's term.
        epoch: Epoch,
    },
    /// Say this on the present session.
    Send(WorkerMessage),
    /// Write this to the journal, before any later output is carried out. Only `Accepted` is answered: `Journaled` or
    /// `JournalFailed`.
    Journal(JournalEntry),
    /// Start this attempt. The answers are `AttemptStarted`, or not, and then `AttemptEnded`.
    Start(Box<Assignment>),
    /// Find what an earlier life of this program left running of an attempt. Answered as a start.
    Adopt {
        /// What it was told to run.
        assignment: Box<Assignment>,
        /// When it started, if that was written down.
        started_at: Option<Timestamp>,
        /// Where to look.
        trace: Option<ExecutionTrace>,
    },
    /// Stop this attempt. A further stop of the same attempt shortens the grace.
    Stop {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        cause: StopCause,
        /// How long it may take to end before it is killed; zero kills at once.
        grace: Duration,
    },
    /// This attempt, which must not outlive the worker's lease, may run until this time: tell its executor. A later one
    /// of the same attempt takes its place. Nothing is answered.
    Extend {
        /// Which attempt.
        attempt: AttemptId,
        /// Until when, by the machine's steady clock.
        until: Steady,
    },
    /// Tell whoever runs the worker why it has given up its session, or a try to open one.
    GaveUp {
        /// In words.
        problem: String,
    },
    /// Let go of this attempt without ending it. Nothing is answered.
    Detach {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// End this attempt at once. Its end is reported to the agent all the same.
    Kill {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// The output of this attempt may be uploaded on the present session, from now on and as it comes.
    Upload {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Nothing of this attempt is wanted any more: delete its output and its files. Nothing of it runs.
    Discard {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// Delete the worker's key and certificate.
    WipeIdentity,
    /// The worker is done. Last output.
    Exit(ExitReason),
}

/// Why a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// It was told to, and nothing is left to do.
    Finished,
    /// It was told to, and did not wait any longer.
    Unfinished {
        /// How many attempts might still run.
        running: usize,
        /// How many reports the master has not confirmed; they stay in the journal.
        unconfirmed: usize,
    },
    /// It was told to leave what runs to its next life.
    Detached {
        /// How many attempts may run on.
        running: usize,
        /// How many reports the master has not confirmed; they stay in the journal.
        unconfirmed: usize,
    },
    /// The master has removed this worker. Its identity is deleted.
    Removed,
    /// The master refused it at the first connection, in a way that waiting does not mend.
    Refused(ConnectError),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("the worker has finished"),
            Self::Unfinished {
                running,
                unconfirmed,
            } => write!(
                f,
                "the worker ended with {running} attempts that may still run and {unconfirmed} reports to be \
                 confirmed; the next start on the same data directory takes care of them"
            ),
            Self::Detached {
                running,
                unconfirmed,
            } => write!(
                f,
                "the worker left {running} attempts running and {unconfirmed} reports to be confirmed; the next start \
                 on the same data directory goes on with them"
            ),
            Self::Removed => f.write_str(
                "the worker was removed from its cluster: to join again, use a new token",
            ),
            Self::Refused(error) => write!(f, "the master does not take this worker: {error}"),
        }
    }
}
