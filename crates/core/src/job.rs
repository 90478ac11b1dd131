//! Jobs and attempts as their users see them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, AttemptNumber, JobId, Outcome, Residue, RetryBudget, Timestamp, ValidSpec, WorkerId,
};

/// Where a job stands. Moves forward only; `Queued` comes again when another attempt is due.
///
/// ```text
/// Blocked -> Queued -> Assigned -> Running -> Finished(outcome)
///              ^           |          |  \-> Stopping -> Finished
///              \-----------+----------/   another attempt
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// Waits for other jobs.
    Blocked,
    /// Waits for a worker.
    Queued,
    /// Sent to a worker that has not said yet that it runs.
    Assigned,
    /// Runs.
    Running,
    /// Told to stop; not yet known to be gone.
    Stopping,
    /// Over. Its outcome never changes.
    Finished,
}

impl JobState {
    /// Whether nothing more will happen.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Finished)
    }

    /// As JSON and listings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Finished => "finished",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Blocked,
            Self::Queued,
            Self::Assigned,
            Self::Running,
            Self::Stopping,
            Self::Finished,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }
}

/// One job, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it asks for.
    pub spec: ValidSpec,
    /// Where it stands.
    pub state: JobState,
    /// What became of it, once it is finished.
    pub outcome: Option<Outcome>,
    /// Its place in the order of submission, from 1.
    pub sequence: u64,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// Who submitted it.
    pub submitted_by: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Why it was submitted.
    pub origin: JobOrigin,
    /// When another attempt is due, while it waits for that after a failure.
    pub retry_at: Option<Timestamp>,
}

/// Why a job was submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobOrigin {
    /// Somebody asked for it.
    #[default]
    Manual,
    /// Somebody asked for another job once more.
    Retry {
        /// Which one.
        of: JobId,
    },
}

impl JobOrigin {
    /// As JSON names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Retry { .. } => "retry",
        }
    }

    /// The job that is repeated.
    pub const fn retry_of(self) -> Option<JobId> {
        match self {
            Self::Retry { of } => Some(of),
            Self::Manual => None,
        }
    }
}

impl Job {
    /// A job that was just accepted.
    pub fn new(id: JobId, spec: ValidSpec, sequence: u64, at: Timestamp, by: String) -> Self {
        Self {
            id,
            spec,
            state: JobState::Queued,
            outcome: None,
            sequence,
            submitted_at: at,
            submitted_by: by,
            finished_at: None,
            attempts: Vec::new(),
            origin: JobOrigin::Manual,
            retry_at: None,
        }
    }
}

/// Why there is another attempt after an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retry {
    /// The attempt before.
    pub after: AttemptNumber,
    /// What became of it.
    pub outcome: Outcome,
    /// Who paid for another one.
    pub budget: RetryBudget,
}

impl Retry {
    /// After this attempt, which ended like this, paid like this.
    pub const fn new(after: AttemptNumber, outcome: Outcome, budget: RetryBudget) -> Self {
        Self {
            after,
            outcome,
            budget,
        }
    }
}

/// One execution of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Of which job, and which of its executions.
    pub id: AttemptId,
    /// Where it was sent.
    pub worker: WorkerId,
    /// What that worker was called then.
    pub worker_name: String,
    /// The process, where the executor has one.
    pub pid: Option<u32>,
    /// When it was sent.
    pub assigned_at: Timestamp,
    /// When the worker says that it started, by the worker's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by the clock of whoever ended it.
    pub finished_at: Option<Timestamp>,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// How much of its output the master holds, in bytes.
    pub log_bytes: u64,
    /// Whether all of its output has arrived.
    pub log: LogState,
    /// Bytes of output that its worker dropped: because of the log limit, or because it had no room for them. Not zero: the
    /// log is cut, at [`log_bytes`](Self::log_bytes) if nothing was lost on the way besides.
    pub log_dropped: u64,
    /// What it left behind and what was done about that. `None` while unknown.
    pub residue: Option<Residue>,
    /// Why there is this attempt; `None` for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

impl Attempt {
    /// An attempt that was just sent.
    pub fn new(id: AttemptId, worker: WorkerId, worker_name: String, at: Timestamp) -> Self {
        Self {
            id,
            worker,
            worker_name,
            pid: None,
            assigned_at: at,
            started_at: None,
            finished_at: None,
            outcome: None,
            log_bytes: 0,
            log: LogState::Uploading,
            log_dropped: 0,
            residue: None,
            retry: None,
        }
    }
}

/// Why the output of an attempt ends before what the attempt printed does. The job itself went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogCut {
    /// There was more than its spec lets be kept.
    Limit,
    /// Its worker could not keep more: mostly its disk was full.
    Room,
}

impl LogCut {
    /// What cut a log of `end` bytes of which `dropped` more were not kept, where up to `limit` were to be.
    pub const fn of(end: u64, dropped: u64, limit: u64) -> Option<Self> {
        match dropped {
            0 => None,
            _ if end < limit => Some(Self::Room),
            _ => Some(Self::Limit),
        }
    }
}

/// Whether the output of an attempt has arrived at the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogState {
    /// More may come.
    Uploading,
    /// Every byte is there.
    Complete,
    /// What stood from this offset on will never arrive.
    LostFrom(u64),
    /// The worker has sent other bytes for what was held already, so at least once it did not tell the truth. What came
    /// first is held, up to this offset; nothing more is taken.
    Corrupt(u64),
    /// What was held is there no more: retention has removed it.
    Removed {
        /// When.
        at: Timestamp,
        /// What for.
        why: LogRemoval,
    },
}

/// Why retention has removed the output of an attempt, while its job is still known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogRemoval {
    /// It was older than output is kept.
    Age,
    /// Newer output needed its room.
    Room,
}

/// Where an attempt's output ends, as its worker knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogEnd {
    /// How many bytes there are to have.
    pub bytes: u64,
    /// How many more there were, dropped because of the log limit.
    pub dropped: u64,
}

impl LogEnd {
    /// The end of a log of which nobody knows where it would have ended: the rest is lost.
    pub const UNKNOWN: Self = Self {
        bytes: u64::MAX,
        dropped: 0,
    };

    /// The end of a log whose worker has sent other bytes for what is held, see [`LogState::Corrupt`]. No output is that
    /// long, so a store keeps this like every other end.
    pub const CORRUPT: Self = Self {
        bytes: u64::MAX - 1,
        dropped: 0,
    };
}

/// What a worker reports when an attempt is over and its process tree is known to be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptReport {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What became of it.
    pub outcome: Outcome,
    /// When it started, if it did; the worker's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended; the worker's clock.
    pub finished_at: Timestamp,
    /// Where its output ends.
    pub log: LogEnd,
    /// What it left behind.
    pub residue: Residue,
}

impl AttemptReport {
    /// A report of an attempt that left nothing behind.
    pub fn new(attempt: AttemptId, outcome: Outcome, finished_at: Timestamp) -> Self {
        Self {
            attempt,
            outcome,
            started_at: None,
            finished_at,
            log: LogEnd::default(),
            residue: Residue::default(),
        }
    }
}

/// How to stop a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopOptions {
    /// How long it may take to end before it is killed; `None`: as its spec says.
    pub grace: Option<Duration>,
    /// End it in the books at once, whatever its worker says. What it left behind is then unknown.
    pub force: bool,
}

impl StopOptions {
    /// With this grace, and with or without force.
    pub const fn new(grace: Option<Duration>, force: bool) -> Self {
        Self { grace, force }
    }
}
