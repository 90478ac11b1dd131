//! The contract of control: what a person, a program or a host can ask of a master.

mod error;
mod fleet;
mod jobs;
mod policy;
mod queue;
mod status;

use std::fmt;

use async_trait::async_trait;

pub use error::ControlError;
pub use fleet::{
    CreatedToken, DEFAULT_TOKEN_TTL, MAX_TOKEN_TTL, MAX_TOKEN_USES, NewToken, TokenInfo,
    WorkerCommand,
};
pub use jobs::{
    JobPage, JobQuery, LogItem, LogQuery, LogStream, MAX_SUBMIT_JOBS, NewJob, Submitted,
};
pub use policy::{Action, Authorizer, Caller, Role, RoleAuthorizer, UnknownRole};
pub use queue::{
    MAX_QUEUE_CLASS, MAX_QUEUE_WEIGHT, MAX_QUEUES, QueueChange, QueueInfo, QueueSettings,
};
pub use status::{AuditEntry, AuditPage, AuditQuery, MasterStatus};

use crate::{EventQuery, EventStream, Explanation, Job, JobId, JobState, StopOptions, Worker};

/// Everything that can be asked: three traits, implemented by the master in process and by the gRPC client.
///
/// # Contract
///
/// * Each call carries its [`Caller`]; the policy is checked behind the trait, by an [`Authorizer`]. A client over the
///   wire ignores the caller that it is given: the master takes it from the certificate.
/// * A read sees every write that was acknowledged before it.
/// * A mutating call that is repeated with the same ids has one effect and gives the same answer.
/// * Cancel-safety: a dropped call may or may not have happened; repeat it. Reads have no effect.
pub trait Control: Jobs + Fleet + Admin {}

impl<T: Jobs + Fleet + Admin + ?Sized> Control for T {}

/// Everything about jobs.
#[async_trait]
pub trait Jobs: Send + Sync + fmt::Debug {
    /// Accepts jobs, all or none. A job whose id is known already with the same spec is answered as it is; with
    /// another spec the whole call fails with [`ControlError::AlreadyExists`]. At most [`MAX_SUBMIT_JOBS`].
    async fn submit(
        &self,
        caller: &Caller,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submitted>, ControlError>;

    /// One job, whole.
    async fn job(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError>;

    /// A page of jobs, newest first.
    async fn jobs(&self, caller: &Caller, query: JobQuery) -> Result<JobPage, ControlError>;

    /// Returns when the job is finished. Cancel-safe.
    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError>;

    /// Asks for a job to be stopped. On return the wish is durable: a queued job never starts, a running one is told.
    /// Stopping a finished job changes nothing and is no error; the answer tells where the job stands.
    async fn stop(
        &self,
        caller: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError>;

    /// Submits another job like this one, with this id (minted by the caller, so that the call may be repeated), which
    /// says that it repeats it. The first one is not changed, and may be in any state.
    async fn retry(
        &self,
        caller: &Caller,
        id: JobId,
        new_id: JobId,
    ) -> Result<Submitted, ControlError> {
        let _ = (caller, id, new_id);
        Err(unsupported("retry"))
    }

    /// The output of a job, live if the query says so.
    async fn logs(&self, caller: &Caller, query: LogQuery) -> Result<LogStream, ControlError>;

    /// Why the job waits.
    async fn explain(&self, caller: &Caller, id: JobId) -> Result<Explanation, ControlError>;
}

/// Everything about workers and how they join.
#[async_trait]
pub trait Fleet: Send + Sync + fmt::Debug {
    /// All workers that are not removed (or all, if asked), by name.
    async fn workers(&self, caller: &Caller, removed: bool) -> Result<Vec<Worker>, ControlError>;

    /// One worker, by name or id.
    async fn worker(&self, caller: &Caller, worker: &str) -> Result<Worker, ControlError>;

    /// Suspends, resumes, drains or removes a worker. On return it is durable, no assignment leaves that contradicts it,
    /// and on a worker that drains no job starts any more. A drain whose future is dropped goes on.
    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        to: WorkerCommand,
    ) -> Result<Worker, ControlError>;

    /// All queues that have jobs or settings, by name.
    async fn queues(&self, caller: &Caller) -> Result<Vec<QueueInfo>, ControlError>;

    /// Changes how a queue shares workers with the others; makes its settings if nobody has set it before. On return it
    /// is durable and in force. Repeating it is no error.
    async fn set_queue(
        &self,
        caller: &Caller,
        queue: &str,
        change: QueueChange,
    ) -> Result<QueueInfo, ControlError>;

    /// Makes a join token. The answer is the only time that its secret is shown.
    async fn create_token(
        &self,
        caller: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError>;

    /// All tokens that are not yet forgotten, newest first.
    async fn tokens(&self, caller: &Caller) -> Result<Vec<TokenInfo>, ControlError>;

    /// Makes a token useless. Workers that joined with it stay. Repeating it is no error.
    async fn revoke_token(&self, caller: &Caller, token: &str) -> Result<(), ControlError>;
}

/// Everything about the master itself.
#[async_trait]
pub trait Admin: Send + Sync + fmt::Debug {
    /// How the master is.
    async fn status(&self, caller: &Caller) -> Result<MasterStatus, ControlError>;

    /// Who did what, newest first.
    async fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage, ControlError>;

    /// What happened, in order, and what happens from now on if the query says so.
    async fn events(
        &self,
        caller: &Caller,
        query: EventQuery,
    ) -> Result<EventStream, ControlError> {
        let _ = (caller, query);
        Err(unsupported("events"))
    }
}

/// What an implementation of an older contract says to what it does not know.
fn unsupported(call: &str) -> ControlError {
    ControlError::invalid(call, "this master does not know this call")
}
