//! How a master is, and who did what.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Epoch, LogUsage, Timestamp};

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
