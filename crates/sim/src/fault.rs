//! What goes wrong.

/// A kind of fault. Each is counted, so that one that never happens is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing passes between a worker and the master for a while, in both directions; it arrives late.
    NetworkStalled,
    /// The same in one direction.
    OneWayStalled,
    /// A session's connection breaks, and both sides notice.
    SessionCut,
    /// A session's connection breaks, and at least one side does not notice.
    SessionHalfOpen,
    /// A connection for output breaks.
    UploadCut,
    /// Messages were under way on a connection that broke.
    MessageLost,
    /// A request of a client does not arrive.
    RequestLost,
    /// The answer to a client does not arrive.
    AnswerLost,
    /// A client repeats a request.
    RequestRepeated,
    /// A commit takes long.
    CommitSlow,
    /// A commit fails, and the term ends.
    CommitFailed,
    /// The master dies while no commit is under way.
    MasterCrashIdle,
    /// The master dies, and the commit that was under way is durable.
    MasterCrashCommitApplied,
    /// The master dies, and the commit that was under way is not durable.
    MasterCrashCommitLost,
    /// A worker's agent dies; what it started runs on.
    AgentCrash,
    /// A worker's machine is started anew: nothing runs there any more.
    MachineReboot,
    /// A machine that was started anew has lost the end of its agent's journal.
    JournalTorn,
    /// A machine that was started anew has lost output that was not uploaded yet.
    OutputTorn,
    /// An agent's journal takes long to write.
    JournalSlow,
    /// An agent cannot write its journal.
    JournalFailed,
    /// An attempt cannot be started because of what it asks.
    StartFailedByJob,
    /// An attempt cannot be started because of the worker.
    StartFailedByWorker,
    /// An attempt does not end when it is told to.
    TermIgnored,
    /// A signal is not delivered.
    SignalFailed,
    /// A worker that is told to end drains first.
    WorkerDrained,
    /// A worker that is told to end stops what runs.
    WorkerStopped,
    /// A worker takes no jobs by its own judgement of its machine.
    WorkerComplained,
    /// A worker has nothing to complain about any more.
    WorkerRelieved,
    /// A process of an attempt does not seem to end.
    ProcessUnkillable,
    /// An operator suspends a worker.
    WorkerSuspended,
    /// An operator resumes a worker.
    WorkerResumed,
    /// An operator removes a worker.
    WorkerRemoved,
    /// An operator pauses a queue.
    QueuePaused,
    /// An operator stops a job.
    JobStopped,
    /// An operator ends a job by force.
    JobForced,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 35] = [
        Self::NetworkStalled,
        Self::OneWayStalled,
        Self::SessionCut,
        Self::SessionHalfOpen,
        Self::UploadCut,
        Self::MessageLost,
        Self::RequestLost,
        Self::AnswerLost,
        Self::RequestRepeated,
        Self::CommitSlow,
        Self::CommitFailed,
        Self::MasterCrashIdle,
        Self::MasterCrashCommitApplied,
        Self::MasterCrashCommitLost,
        Self::AgentCrash,
        Self::MachineReboot,
        Self::JournalTorn,
        Self::OutputTorn,
        Self::JournalSlow,
        Self::JournalFailed,
        Self::StartFailedByJob,
        Self::StartFailedByWorker,
        Self::TermIgnored,
        Self::SignalFailed,
        Self::WorkerDrained,
        Self::WorkerStopped,
        Self::WorkerComplained,
        Self::WorkerRelieved,
        Self::ProcessUnkillable,
        Self::WorkerSuspended,
        Self::WorkerResumed,
        Self::WorkerRemoved,
        Self::QueuePaused,
        Self::JobStopped,
        Self::JobForced,
    ];
}
