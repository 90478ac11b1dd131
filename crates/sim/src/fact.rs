//! What an observer who sees everything learns.

use jobyard_core::{AttemptId, JobId, QueueSettings, Resources, TagSet, Timestamp, WorkerId};
use jobyard_master::records::{JobRecord, WorkerRecord};

/// Something that has become true, seen from outside of all programs. Invariants are judged by facts alone, never by
/// what a brain believes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// There is a worker.
    WorkerExists {
        /// Which.
        worker: WorkerId,
        /// What its machine really has.
        capacity: Resources,
        /// What it really offers.
        tags: TagSet,
        /// Which tags a job has to name to run there.
        exclusive: TagSet,
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
    /// A queue's settings became durable.
    QueueWritten {
        /// Its name.
        queue: String,
        /// Its settings from now on.
        settings: QueueSettings,
    },
    /// A job's record was removed.
    JobRemoved {
        /// Its key.
        key: String,
    },
    /// All records of one batch are told; they became durable together.
    BatchEnded,
    /// A worker's session was asked for; it has said nothing else yet.
    SessionOpened {
        /// Whose.
        worker: WorkerId,
        /// When, by the master's clock.
        at: Timestamp,
        /// Whether it says that it takes jobs.
        accepting: bool,
    },
    /// The master was told whether a worker takes jobs.
    AcceptingHeard {
        /// Which worker.
        worker: WorkerId,
        /// When, by the master's clock.
        at: Timestamp,
        /// Whether it does.
        accepting: bool,
    },
    /// The master was told what a worker complains about.
    ComplaintsHeard {
        /// Which worker.
        worker: WorkerId,
        /// When, by the master's clock.
        at: Timestamp,
        /// Whether there is anything.
        complains: bool,
    },
    /// The master has begun a term.
    TermBegan,
    /// A process was created.
    ProcessStarted {
        /// Where.
        worker: WorkerId,
        /// Of which attempt.
        attempt: AttemptId,
        /// What it takes.
        resources: Resources,
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
