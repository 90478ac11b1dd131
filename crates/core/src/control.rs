//! The contract of control: what a person, a program or a host can ask of a master.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, AttemptNumber, Epoch, Explanation, Job, JobId, JobState, LogChunk, LogStatus,
    LogUsage, Outcome, RequestId, SecretText, StopOptions, Tag, Timestamp, ValidSpec, Worker,
    WorkerId,
};

/// How many jobs one submit call takes. Larger lists go in several calls, each idempotent.
pub const MAX_SUBMIT_JOBS: usize = 1_000;

/// How long a join token lives if nobody says.
pub const DEFAULT_TOKEN_TTL: Duration = Duration::from_mins(30);

/// The longest life of a join token.
pub const MAX_TOKEN_TTL: Duration = Duration::from_hours(365 * 24);

/// How many machines may join with one token.
pub const MAX_TOKEN_USES: u32 = 100_000;

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

    /// Suspends, resumes or removes a worker. On return it is durable, and no assignment leaves that contradicts it.
    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        to: WorkerCommand,
    ) -> Result<Worker, ControlError>;

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
}

/// Decides what a caller may do. A host can bring its own.
///
/// # Contract
///
/// Pure and cheap: called for each request. It sees the caller and the action, and for actions on one job its owner.
/// A refused action on a job is answered as if there were no such job.
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// Whether the caller may do this.
    fn allows(&self, caller: &Caller, action: Action<'_>) -> bool;
}

/// The built-in policy: each role may do what the roles below it may.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoleAuthorizer;

impl Authorizer for RoleAuthorizer {
    fn allows(&self, caller: &Caller, action: Action<'_>) -> bool {
        let needed = match action {
            Action::ReadJob { .. } | Action::ReadFleet | Action::ReadStatus => Role::Viewer,
            Action::Submit => Role::Submitter,
            Action::StopJob { owner } if owner == caller.name => Role::Submitter,
            Action::StopJob { .. } | Action::ChangeWorker => Role::Operator,
            Action::ManageTokens | Action::ReadAudit => Role::Admin,
        };
        caller.role >= needed
    }
}

/// Something that a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Submit jobs.
    Submit,
    /// See a job and its output.
    ReadJob {
        /// Who submitted it.
        owner: &'a str,
    },
    /// Stop a job.
    StopJob {
        /// Who submitted it.
        owner: &'a str,
    },
    /// See workers.
    ReadFleet,
    /// Suspend, resume or remove workers.
    ChangeWorker,
    /// Make, see and revoke join tokens.
    ManageTokens,
    /// See how the master is.
    ReadStatus,
    /// See who did what.
    ReadAudit,
}

/// Who asks, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The name in the certificate, or one that the host chose.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Of this request, for logs. Repeats of a request keep it.
    pub request: Option<RequestId>,
}

impl Caller {
    /// A caller with a name and a role.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            request: None,
        }
    }

    /// The program that runs the master, which may do everything.
    pub fn host() -> Self {
        Self::new("host", Role::Admin)
    }
}

/// What people and programs may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See everything but tokens and the audit trail.
    Viewer,
    /// Submit jobs, and stop their own.
    Submitter,
    /// Stop all jobs, suspend, resume and remove workers.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// As certificates and JSON name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Viewer, Self::Submitter, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, submitter, operator, admin")]
pub struct UnknownRole;

/// A job to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewJob {
    /// Its id, minted or chosen by the client.
    pub id: JobId,
    /// What it asks for.
    pub spec: ValidSpec,
}

impl NewJob {
    /// A job with this id.
    pub const fn new(id: JobId, spec: ValidSpec) -> Self {
        Self { id, spec }
    }
}

/// A job that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submitted {
    /// Its id.
    pub id: JobId,
    /// Whether it is new; false if it was known already.
    pub created: bool,
}

impl Submitted {
    /// The answer for one job.
    pub const fn new(id: JobId, created: bool) -> Self {
        Self { id, created }
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobQuery {
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only with all of these labels.
    pub labels: BTreeMap<String, String>,
    /// At most this many; 0 means 100, the most is [`MAX_PAGE`](crate::MAX_PAGE).
    pub limit: usize,
    /// What the page before said in [`JobPage::next`].
    pub after: Option<u64>,
}

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// What to ask for next; `None` at the end.
    pub next: Option<u64>,
}

impl JobPage {
    /// These jobs, and where the next page begins.
    pub const fn new(jobs: Vec<Job>, next: Option<u64>) -> Self {
        Self { jobs, next }
    }
}

/// Which output to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogQuery {
    /// Of which job.
    pub job: JobId,
    /// Of which attempt; `None`: the newest, or with `follow` each that is still to come as well.
    pub attempt: Option<AttemptNumber>,
    /// From which byte on (of the first attempt that is shown).
    pub from: u64,
    /// Only the last so many bytes of what is there now; wins over `from`.
    pub tail: Option<u64>,
    /// Go on until the job (or the chosen attempt) is over and its output complete; without, stop at what is there.
    pub follow: bool,
}

impl LogQuery {
    /// All that is there of the newest attempt.
    pub const fn new(job: JobId) -> Self {
        Self {
            job,
            attempt: None,
            from: 0,
            tail: None,
            follow: false,
        }
    }
}

/// Output as it arrives. Ends after [`LogItem::End`] or an error. Dropping it ends the reading.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogItem, ControlError>> + Send>>;

/// A piece of what a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogItem {
    /// Output.
    Chunk {
        /// Whose.
        attempt: AttemptId,
        /// The bytes.
        chunk: LogChunk,
    },
    /// The output of one attempt is over.
    AttemptEnd {
        /// Whose.
        attempt: AttemptId,
        /// What is held of it.
        log: LogStatus,
    },
    /// Nothing follows. Last item.
    End {
        /// What became of the job; `None` if it is not finished.
        outcome: Option<Outcome>,
    },
}

/// What to do with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerCommand {
    /// It keeps its jobs and gets none.
    Suspend,
    /// It gets jobs again.
    Resume,
    /// It is gone for good: its jobs are stopped, its certificate is refused, it deletes its identity.
    Remove,
}

/// A join token to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewToken {
    /// How many machines may join with it; 1 to [`MAX_TOKEN_USES`].
    pub uses: u32,
    /// How long it lives; at most [`MAX_TOKEN_TTL`].
    pub ttl: Duration,
    /// What each worker that joins with it offers in addition.
    pub tags: Vec<Tag>,
}

impl Default for NewToken {
    fn default() -> Self {
        Self {
            uses: 1,
            ttl: DEFAULT_TOKEN_TTL,
            tags: Vec::new(),
        }
    }
}

/// A token that was just made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedToken {
    /// What is known of it from now on.
    pub info: TokenInfo,
    /// The printable word, shown this once.
    pub token: SecretText,
}

impl CreatedToken {
    /// A token and what is known of it.
    pub const fn new(info: TokenInfo, token: SecretText) -> Self {
        Self { info, token }
    }
}

/// What is known of a join token. Nothing in it lets anybody join.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// Its public id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many machines may still join.
    pub uses_left: u32,
    /// Whether it was revoked.
    pub revoked: bool,
    /// What workers that join with it offer in addition.
    pub tags: Vec<Tag>,
}

impl TokenInfo {
    /// A fresh token without tags.
    pub const fn new(
        id: String,
        created_at: Timestamp,
        expires_at: Timestamp,
        uses_left: u32,
    ) -> Self {
        Self {
            id,
            created_at,
            expires_at,
            uses_left,
            revoked: false,
            tags: Vec::new(),
        }
    }
}

/// How a master is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MasterStatus {
    /// What it is called.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its term.
    pub epoch: Epoch,
    /// When it started.
    pub started_at: Timestamp,
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// Where it keeps its records, without credentials.
    pub store: String,
    /// Workers by state name.
    pub workers: BTreeMap<String, u64>,
    /// Unfinished jobs by state name.
    pub jobs: BTreeMap<String, u64>,
    /// Jobs waiting, by queue.
    pub queues: BTreeMap<String, u64>,
    /// Jobs that finished since it started.
    pub finished: u64,
    /// Room that logs take.
    pub logs: LogUsage,
}

/// Which audit entries to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditQuery {
    /// At most this many; 0 means 100.
    pub limit: usize,
    /// What the page before said in [`AuditPage::next`].
    pub after: Option<u64>,
}

/// A page of audit entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// What to ask for next; `None` at the end.
    pub next: Option<u64>,
}

impl AuditPage {
    /// These entries, and where the next page begins.
    pub const fn new(entries: Vec<AuditEntry>, next: Option<u64>) -> Self {
        Self { entries, next }
    }
}

/// Somebody did something, or was refused. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its place, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a caller's name, a worker's id, or a network address.
    pub who: String,
    /// What, as a short word: `enrol`, `token.create`, `worker.remove`, ...
    pub action: String,
    /// On what: the id of a token, worker or job.
    pub subject: String,
    /// `ok`, or the cause of the refusal.
    pub result: String,
}

impl AuditEntry {
    /// An entry that does not have its place yet.
    pub fn new(
        at: Timestamp,
        who: impl Into<String>,
        action: impl Into<String>,
        subject: impl Into<String>,
        result: impl Into<String>,
    ) -> Self {
        Self {
            seq: 0,
            at,
            who: who.into(),
            action: action.into(),
            subject: subject.into(),
            result: result.into(),
        }
    }
}

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// Something with this id exists and is different. The caller's fault.
    #[error("the {what} {id} exists already and is different")]
    AlreadyExists {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// The caller is known and may not do this.
    #[error("{role} {name} may not do this: it takes the role {needed}")]
    Forbidden {
        /// Who asked.
        name: String,
        /// As what.
        role: Role,
        /// What it would take.
        needed: String,
    },
    /// The request is outside its limits. The caller's fault; it will be refused again.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which part of it.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// The thing is not in a state for this. The caller may look and decide.
    #[error("{problem}")]
    Conflict {
        /// Why not.
        problem: String,
    },
    /// Too much at once. Repeat later.
    #[error("the master has too much to do: {problem}")]
    Exhausted {
        /// Of what.
        problem: String,
    },
    /// The master cannot answer now: it starts, stops, or lost its store or connection. Repeat.
    #[error("the master is not available: {problem}")]
    Unavailable {
        /// Why.
        problem: String,
    },
    /// The two sides do not trust each other. Repeating does not help.
    #[error("the master and this client do not trust each other: {problem}")]
    Untrusted {
        /// Which check failed.
        problem: String,
    },
    /// The master found its own data damaged, or answered what this client cannot read. An operator's affair.
    #[error("the master failed: {problem}")]
    Internal {
        /// In which way.
        problem: String,
    },
}

impl ControlError {
    /// A machine-readable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::AlreadyExists { .. } => "already_exists",
            Self::Forbidden { .. } => "forbidden",
            Self::Invalid { .. } => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::Exhausted { .. } => "exhausted",
            Self::Unavailable { .. } => "unavailable",
            Self::Untrusted { .. } => "untrusted",
            Self::Internal { .. } => "internal",
        }
    }

    /// Whether the same call may succeed later.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Exhausted { .. } | Self::Unavailable { .. })
    }

    /// No job of this id.
    pub fn no_job(id: JobId) -> Self {
        Self::NotFound {
            what: "job",
            id: id.to_string(),
        }
    }

    /// No worker of this id.
    pub fn no_worker(id: WorkerId) -> Self {
        Self::NotFound {
            what: "worker",
            id: id.to_string(),
        }
    }

    /// A part of the request is wrong.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// Not now.
    pub fn unavailable(problem: impl Into<String>) -> Self {
        Self::Unavailable {
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_roles_below_it_may() {
        let may = |role, action| RoleAuthorizer.allows(&Caller::new("a", role), action);
        assert!(may(Role::Viewer, Action::ReadJob { owner: "b" }));
        assert!(!may(Role::Viewer, Action::Submit));
        assert!(may(Role::Submitter, Action::StopJob { owner: "a" }));
        assert!(!may(Role::Submitter, Action::StopJob { owner: "b" }));
        assert!(may(Role::Operator, Action::ChangeWorker));
        assert!(!may(Role::Operator, Action::ManageTokens));
        assert!(may(Role::Admin, Action::ManageTokens));
    }
}
