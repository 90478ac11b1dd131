//! Workers as their users see them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, Resources, TagSet, Timestamp, WorkerId};

/// How many slots one worker may offer.
pub const MAX_WORKER_SLOTS: u32 = 4096;

/// What a worker says of itself: facts of the machine and of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WorkerFacts {
    /// Host name.
    pub host: String,
    /// Operating system, as in the tag `os`.
    pub os: String,
    /// Processor architecture, as in the tag `arch`.
    pub arch: String,
    /// Version of the worker program.
    pub version: String,
    /// Processors that it may use.
    pub cores: u32,
    /// Memory of the machine in bytes.
    pub memory_bytes: u64,
}

/// What an administrator has decided about a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdminState {
    /// Gets jobs.
    #[default]
    Active,
    /// Keeps its jobs, gets none.
    Suspended,
    /// Finishes its jobs, gets none.
    Draining,
    /// Gone for good; its certificate is refused.
    Removed,
}

/// Whether the master hears from a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// It has a live session.
    Connected,
    /// It has none.
    #[default]
    Silent,
}

/// The one state that is shown, derived from the two axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerState {
    /// Connected, gets jobs.
    Active,
    /// Connected, gets none.
    Suspended,
    /// Finishes what it has.
    Draining,
    /// Silent.
    Inactive,
    /// Gone for good.
    Removed,
}

impl WorkerState {
    /// What is shown, strongest first: removed, inactive, draining, suspended, active.
    pub const fn derive(admin: AdminState, contact: Contact) -> Self {
        match (admin, contact) {
            (AdminState::Removed, _) => Self::Removed,
            (_, Contact::Silent) => Self::Inactive,
            (AdminState::Draining, Contact::Connected) => Self::Draining,
            (AdminState::Suspended, Contact::Connected) => Self::Suspended,
            (AdminState::Active, Contact::Connected) => Self::Active,
        }
    }

    /// As JSON and listings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Draining => "draining",
            Self::Inactive => "inactive",
            Self::Removed => "removed",
        }
    }
}

/// Something about its machine for which a worker takes no jobs at the moment, by its own judgement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Complaint {
    /// What it is about.
    pub kind: ComplaintKind,
    /// In words, with the figure that is too high or too low. At most [`MAX_COMPLAINT_BYTES`].
    pub text: String,
}

/// How long the words of a complaint may be, in bytes.
pub const MAX_COMPLAINT_BYTES: usize = 256;

impl Complaint {
    /// A complaint; its words are cut to [`MAX_COMPLAINT_BYTES`].
    pub fn new(kind: ComplaintKind, text: impl Into<String>) -> Self {
        let mut text = text.into();
        let mut end = text.len().min(MAX_COMPLAINT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Self { kind, text }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.text)
    }
}

/// What a worker complains about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComplaintKind {
    /// Its disk has too little room left.
    Disk,
    /// Its memory is too short.
    Memory,
    /// Its processors have too much to do.
    Load,
    /// A process of an attempt could not be killed, so that its machine is not clean any more.
    Tainted,
}

impl ComplaintKind {
    /// As JSON and listings name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Load => "load",
            Self::Tainted => "tainted",
        }
    }
}

/// One enrolled machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// Its name, unique among workers that are not removed.
    pub name: String,
    /// What an administrator has decided.
    pub admin: AdminState,
    /// Whether it is heard.
    pub contact: Contact,
    /// What it says of itself.
    pub facts: WorkerFacts,
    /// Where its session comes from, as the master sees it; empty before the first.
    pub address: String,
    /// What it offers: its own tags and those of the token with which it joined.
    pub tags: TagSet,
    /// Tags of those that refuse every job which does not name them. Shown as `+tag`.
    pub exclusive: TagSet,
    /// What it has for jobs.
    pub capacity: Resources,
    /// What of it is taken; more than there is after the capacity shrank.
    pub used: Resources,
    /// Why it takes no jobs at the moment, by its own judgement; empty: it takes them.
    pub complaints: Vec<Complaint>,
    /// The attempts that it holds.
    pub attempts: Vec<AttemptId>,
    /// What each of its jobs finds in its environment.
    pub env: BTreeMap<String, String>,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was last heard, if ever.
    pub last_contact: Option<Timestamp>,
}

impl Worker {
    /// A worker that has just enrolled and has not connected yet.
    pub fn new(id: WorkerId, name: String, enrolled_at: Timestamp) -> Self {
        Self {
            id,
            name,
            admin: AdminState::Active,
            contact: Contact::Silent,
            facts: WorkerFacts::default(),
            address: String::new(),
            tags: TagSet::new(),
            exclusive: TagSet::new(),
            capacity: Resources::default(),
            used: Resources::default(),
            complaints: Vec::new(),
            attempts: Vec::new(),
            env: BTreeMap::new(),
            enrolled_at,
            last_contact: None,
        }
    }

    /// The state that is shown.
    pub const fn state(&self) -> WorkerState {
        WorkerState::derive(self.admin, self.contact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_shown_before_what_an_administrator_decided() {
        assert_eq!(
            WorkerState::derive(AdminState::Suspended, Contact::Silent),
            WorkerState::Inactive
        );
        assert_eq!(
            WorkerState::derive(AdminState::Removed, Contact::Silent),
            WorkerState::Removed
        );
        assert_eq!(
            WorkerState::derive(AdminState::Suspended, Contact::Connected),
            WorkerState::Suspended
        );
    }
}
