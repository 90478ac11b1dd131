//! What an observer who sees everything learns.

use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AttemptId, Epoch, Event, Exit, JobId, QueueSettings, Resources, Steady, TagSet, Timestamp,
    WorkerId,
};
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
        /// Whether it was told that the job is being stopped, and not that it is about to be over anyway.
        wins: bool,
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
        /// How long it may run at most, the time to end included.
        limit: Option<Duration>,
    },
    /// A process is gone.
    ProcessEnded {
        /// Where.
        worker: WorkerId,
        /// Of which attempt.
        attempt: AttemptId,
        /// How, if anybody can know.
        exit: Option<Exit>,
    },
    /// A supervisor was told that an attempt could not be sent a signal.
    SignalFailed {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A worker has accepted an attempt that it was to decline.
    TakenAmiss {
        /// Which worker.
        worker: WorkerId,
        /// What it has against taking any.
        unwilling: &'static str,
    },
    /// Whatever an attempt has left on its worker is gone, as far as its executor can tell.
    CleanedUp {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// A worker's agent was told that an attempt is over.
    EndTold {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A worker has written down how an attempt ended that nobody wanted to end.
    EndWritten {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A worker has lost what it had written down of the end of an attempt.
    EndTorn {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// A client was told that a job is accepted under the id of another one.
    ImpostorAccepted {
        /// The id.
        job: JobId,
    },
    /// Something holds up a worker or its network: nothing can be expected of it in time before that moment.
    HeldUp {
        /// Which.
        worker: WorkerId,
        /// Until when at least.
        until: Steady,
    },
    /// A worker serves a master.
    Served {
        /// Which worker.
        worker: WorkerId,
        /// The master's term.
        epoch: Epoch,
    },
    /// A worker that is welcomed.
    Welcomed {
        /// Which.
        worker: WorkerId,
        /// What it has against being welcomed, seen from outside.
        unfit: Option<&'static str>,
    },
    /// A side of a session was told something by the other side.
    Heard {
        /// Of which worker.
        worker: WorkerId,
        /// Whether it was the master that heard.
        by_master: bool,
    },
    /// A side considers a session over.
    SessionOver {
        /// Of which worker.
        worker: WorkerId,
        /// Whether it is the master that does.
        by_master: bool,
    },
    /// An operator was told that no job can start on a worker any more.
    DrainAcknowledged {
        /// The name of the worker.
        worker: String,
    },
    /// A process has printed, and its machine has taken it.
    Printed {
        /// Of which attempt.
        attempt: AttemptId,
        /// What.
        bytes: Bytes,
    },
    /// Output was stored for good, or was compared with what is.
    LogStored {
        /// Of which attempt.
        attempt: AttemptId,
        /// Where what was there before ends.
        before: u64,
        /// Where this begins.
        from: u64,
        /// What it is.
        bytes: Bytes,
    },
    /// A worker's disk has lost some of what it held of an attempt: of its output, or that there is such an attempt.
    DiskTorn {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A process has printed what died with whoever was to read it.
    PipeLost {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// A worker was asked for output that it has dropped.
    OutputDropped {
        /// Of which attempt.
        attempt: AttemptId,
        /// From where on it was asked for.
        wanted: u64,
        /// From where on it has it.
        kept_from: u64,
    },
    /// Events became durable.
    EventsWritten {
        /// They, in order.
        events: Vec<Event>,
    },
    /// The engine was asked why a job waits.
    WaitExplained {
        /// Which job.
        job: JobId,
        /// How many reasons it gave; `None`: it does not hold the job.
        reasons: Option<usize>,
    },
    /// The engine has looked over its own tables.
    TablesAudited(Result<(), String>),
}
