//! What the tasks of a worker tell the one that owns the agent.

use std::sync::Arc;

use jobyard_core::{AttemptId, ConnectError, LinkError, MasterMessage, Uploads};

use crate::agent::Input;
use crate::uploader::Uploaded;

/// How many events wait at most; then their senders do. Enough for a burst of a few hundred attempts.
pub(super) const EVENTS: usize = 1024;

/// Something happened.
#[derive(Debug)]
pub(super) enum Event {
    /// About the session that the owner knows by this number; about an older one it is ignored.
    Session(u64, SessionEvent),
    /// An attempt started or ended.
    Attempt(Input),
    /// An upload of this session is over.
    Uploaded(u64, AttemptId, Uploaded),
}

/// What happened to a session.
#[derive(Debug)]
pub(super) enum SessionEvent {
    Connected(Arc<dyn Uploads>),
    Failed(ConnectError),
    Received(Vec<MasterMessage>),
    Lost(LinkError),
}
