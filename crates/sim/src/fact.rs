//! What an observer who sees everything learns.

use jobyard_core::{AttemptId, JobId, WorkerId};
use jobyard_master::records::{JobRecord, WorkerRecord};

/// Something that has become true, seen from outside of all programs. Invariants are judged by facts alone, never by
/// what a brain believes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// There is a worker with so many slots.
    WorkerExists {
        /// Which.
        worker: WorkerId,
        /// How many slots its machine really has.
        slots: u32,
    },
    /// A client was told that these jobs are accepted.
    SubmitAcknowledged {
        /// Which.
        jobs: Vec<JobId>,
    },
    /// A client was told that a stop is accepted.
    StopAcknowledged {
        /// Of which job.
        job: JobId,
    },
    /// A job's record became durable.
    JobWritten {
        /// The durable record before it.
        before: Option<Box<JobRecord>>,
        /// The record.
        after: Box<JobRecord>,
    },
    /// A worker's record became durable.
    WorkerWritten {
        /// The record.
        after: Box<WorkerRecord>,
    },
    /// A job's record was removed.
    JobRemoved {
        /// Its key.
        key: String,
    },
    /// All records of one batch are told; they became durable together.
    BatchEnded,
    /// The master has begun a term.
    TermBegan,
    /// A process was created.
    ProcessStarted {
        /// Where.
        worker: WorkerId,
        /// Of which attempt.
        attempt: AttemptId,
        /// How many slots it takes.
        slots: u32,
        /// Whether a second run would be harmless.
        repeatable: bool,
    },
    /// A process is gone.
    ProcessEnded {
        /// Where.
        worker: WorkerId,
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// The engine has looked over its own tables.
    TablesAudited(Result<(), String>),
}
