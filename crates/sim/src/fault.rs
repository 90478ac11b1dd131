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
    /// Everything that is sent in one direction between a worker and the master is lost for a while.
    OneWayCut,
    /// What is sent on a session's connection arrives late, up to minutes, while others pass it.
    SessionHeldUp,
    /// Messages of a session that is over arrive after all.
    OldSessionHeard,
    /// A hello arrives a second time, up to a minute later.
    HelloRepeated,
    /// A hello comes from a worker that has served a newer term, or speaks another protocol.
    HelloUnfit,
    /// A master of an older term answers a worker.
    OldMasterAnswers,
    /// An assignment arrives a second time.
    AssignmentRepeated,
    /// A request arrives a second time, up to a minute later.
    RequestDuplicated,
    /// A submit arrives again whose job was removed as too old.
    RequestForPruned,
    /// Finished jobs are removed, and leave their tombstones.
    JobsPruned,
    /// The master's machine starts anew, with another steady clock.
    MasterMachineRestarted,
    /// The log store loses what it had not confirmed.
    LogTorn,
    /// A worker's agent does not run for a while; its jobs do.
    WorkerStuck,
    /// A worker's agent runs for moments only, for a while.
    WorkerStarved,
    /// Somebody sets a wall clock, an hour back or a day ahead.
    WallClockJumped,
    /// A launcher ends an attempt at the end of its lease.
    LeaseEnforced,
    /// An operator drains a worker.
    WorkerDraining,
    /// An operator drains a worker, with a deadline.
    WorkerDrainingInTime,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 53] = [
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
        Self::OneWayCut,
        Self::SessionHeldUp,
        Self::OldSessionHeard,
        Self::HelloRepeated,
        Self::HelloUnfit,
        Self::OldMasterAnswers,
        Self::AssignmentRepeated,
        Self::RequestDuplicated,
        Self::RequestForPruned,
        Self::JobsPruned,
        Self::MasterMachineRestarted,
        Self::LogTorn,
        Self::WorkerStuck,
        Self::WorkerStarved,
        Self::WallClockJumped,
        Self::LeaseEnforced,
        Self::WorkerDraining,
        Self::WorkerDrainingInTime,
    ];
}
