//! The contract of transports: how a worker and its master reach each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    AttemptId, Hello, MasterMessage, SecretText, UploadAnswer, UploadFrame, WorkerFacts, WorkerId,
    WorkerMessage,
};

/// How many frames a link holds between its two ends before the sender waits.
pub const LINK_CAPACITY: usize = 64;

/// The worker's side.
///
/// # Contract
///
/// * **Identity** comes from how the connection was made (the certificate), never from a message.
/// * **Order.** Within a link, messages arrive at most once and in order. Between links there is no order.
/// * **Back-pressure.** A link holds at most [`LINK_CAPACITY`] frames in each direction beside what the network
///   holds; then `send` waits. Upload links never make a session link wait.
/// * **Refusal** of a session may come from `connect` or from its first `receive`.
/// * **One session.** A new session of a worker ends its older one: the older link's `receive` fails.
/// * **Cancel-safety.** Dropping `connect` leaves no session behind for longer than a network round trip.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Opens a session. Its first message is the master's welcome.
    async fn connect(&self, hello: Hello) -> Result<Session, ConnectError>;
}

/// A worker's session: the control link, and the way to open upload links beside it.
#[derive(Debug)]
pub struct Session {
    /// Control messages.
    pub control: Link<WorkerMessage, MasterMessage>,
    /// Opens links for output. They end with the session.
    pub uploads: Arc<dyn Uploads>,
}

/// Opens links for output.
#[async_trait]
pub trait Uploads: Send + Sync + fmt::Debug {
    /// Opens the link for one attempt. `offset` is the first byte that the worker still has; the master's first
    /// answer says where to begin.
    async fn open(
        &self,
        attempt: AttemptId,
        offset: u64,
    ) -> Result<Link<UploadFrame, UploadAnswer>, LinkError>;
}

/// Both directions between two parties, as one of them sees it: `S` goes out, `R` comes in.
pub struct Link<S, R> {
    /// The way out. Dropping it tells the other side that nothing follows.
    pub sender: Box<dyn LinkSender<S>>,
    /// The way in.
    pub receiver: Box<dyn LinkReceiver<R>>,
}

impl<S, R> fmt::Debug for Link<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

/// The way out of a link.
#[async_trait]
pub trait LinkSender<M>: Send {
    /// Hands over messages, which travel together where the transport can. Returns when the transport has taken
    /// them, not when they have arrived. An empty batch does nothing. Cancel-safety: a dropped call has sent all or
    /// none of them.
    async fn send(&mut self, messages: Vec<M>) -> Result<(), LinkError>;
}

/// The way in.
#[async_trait]
pub trait LinkReceiver<M>: Send {
    /// The next messages, never none. Cancel-safe.
    async fn receive(&mut self) -> Result<Vec<M>, LinkError>;
}

/// The master's side: what a transport calls when workers come.
///
/// # Contract
///
/// The transport has verified the worker before it calls, and checks again with each message that the worker is
/// still one of the cluster's (see [`SessionHandler::is_member`]). Each call runs until its link is over; returning ends the link. An error that is
/// returned reaches the other side as a refusal.
#[async_trait]
pub trait SessionHandler: Send + Sync + fmt::Debug {
    /// Serves a session from its hello to its end.
    async fn session(
        &self,
        peer: WorkerPeer,
        hello: Hello,
        link: Link<MasterMessage, WorkerMessage>,
    ) -> Result<(), Refusal>;

    /// Serves the output of one attempt.
    async fn upload(
        &self,
        peer: WorkerPeer,
        attempt: AttemptId,
        offset: u64,
        link: Link<UploadAnswer, UploadFrame>,
    ) -> Result<(), Refusal>;

    /// Whether this worker is still a member: false only for one that was removed, which then kills its jobs and
    /// deletes its identity. One that is merely unknown counts as a member here, and its session is refused. Cheap; asked
    /// for each request and each message.
    fn is_member(&self, worker: WorkerId) -> bool;
}

/// A verified worker and where it connects from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerPeer {
    /// Who it is.
    pub id: WorkerId,
    /// Its network address as the master sees it; `local` inside one process.
    pub address: String,
}

impl WorkerPeer {
    /// A worker at an address.
    pub fn new(id: WorkerId, address: impl Into<String>) -> Self {
        Self {
            id,
            address: address.into(),
        }
    }
}

/// The master's side of enrolment: what a transport calls when a machine without a certificate comes.
#[async_trait]
pub trait EnrolmentHandler: Send + Sync + fmt::Debug {
    /// Admits a machine that holds a token. A repeat with the same token and key gives the same worker.
    async fn enrol(&self, address: &str, request: EnrolRequest) -> Result<Enrolled, Refusal>;
}

/// What a machine sends to become a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnrolRequest {
    /// The whole printable token.
    pub token: SecretText,
    /// A PKCS#10 request, DER, signed by the key that the machine has made for itself.
    pub certificate_request: Vec<u8>,
    /// The name that it would like to have.
    pub name: String,
    /// What it says of itself.
    pub facts: WorkerFacts,
}

impl EnrolRequest {
    /// A request for this name.
    pub fn new(
        token: SecretText,
        certificate_request: Vec<u8>,
        name: impl Into<String>,
        facts: WorkerFacts,
    ) -> Self {
        Self {
            token,
            certificate_request,
            name: name.into(),
            facts,
        }
    }
}

/// What a machine gets when it becomes a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolled {
    /// Who it is from now on.
    pub worker: WorkerId,
    /// What it is called.
    pub name: String,
    /// Its certificate and the intermediates, leaf first, DER.
    pub certificates: Vec<bytes::Bytes>,
    /// The roots to trust, DER.
    pub roots: Vec<bytes::Bytes>,
}

impl Enrolled {
    /// A worker with its certificates.
    pub fn new(
        worker: WorkerId,
        name: String,
        certificates: Vec<bytes::Bytes>,
        roots: Vec<bytes::Bytes>,
    ) -> Self {
        Self {
            worker,
            name,
            certificates,
            roots,
        }
    }
}

/// A refusal as it travels: a reason for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Refusal {
    /// For programs.
    pub reason: RefusalReason,
    /// For people: what is wrong and what to do. Holds nothing secret.
    pub message: String,
    /// Not before this time has passed is a repeat of any use.
    pub retry_after: Option<Duration>,
    /// With [`RefusalReason::OutOfRange`]: the offset that is expected.
    pub expected: Option<u64>,
}

impl Refusal {
    /// A refusal for this reason.
    pub fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
            expected: None,
        }
    }

    /// Output was sent that leaves a hole: it goes on at this offset.
    pub fn out_of_range(expected: u64) -> Self {
        let message = format!("bytes are missing: the log goes on at offset {expected}");
        Self {
            expected: Some(expected),
            ..Self::new(RefusalReason::OutOfRange, message)
        }
    }
}

/// Why a worker or a request was refused, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Not who they claim, or nobody whom we know. Do not repeat.
    Unauthenticated,
    /// Known, and not allowed to do this. Do not repeat.
    Forbidden,
    /// The worker was removed. It ends.
    Removed,
    /// The request is malformed or outside its limits. Do not repeat.
    Invalid,
    /// Something of that name exists. Choose another.
    AlreadyExists,
    /// An attempt, session or term that is over. Stop what belongs to it.
    Stale,
    /// The two versions cannot work together. One of them has to be upgraded.
    Incompatible,
    /// Too much at once. Repeat later.
    Exhausted,
    /// Not now. Repeat.
    Unavailable,
    /// Bytes before these are missing. Repeat from [the offset that is expected](Refusal::expected).
    OutOfRange,
}

impl RefusalReason {
    /// Whether the same request may succeed later.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Exhausted | Self::Unavailable | Self::OutOfRange)
    }

    /// The machine-readable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Removed => "removed",
            Self::Invalid => "invalid",
            Self::AlreadyExists => "already_exists",
            Self::Stale => "stale",
            Self::Incompatible => "incompatible",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// Why no session came about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The master said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The other end is not a master that this worker trusts, or does not trust this worker. Not worth repeating
    /// soon.
    #[error("no trust between worker and master: {problem}")]
    Untrusted {
        /// Which check failed.
        problem: String,
    },
    /// Nobody answers. Repeat with backoff.
    #[error("the master cannot be reached: {problem}")]
    Unreachable {
        /// What the system said.
        problem: String,
    },
}

/// Why a link is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The other side said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The other side has finished.
    #[error("the link was closed")]
    Closed,
    /// The connection broke. Reconnect.
    #[error("the connection was lost: {problem}")]
    Lost {
        /// What the system said.
        problem: String,
    },
}
