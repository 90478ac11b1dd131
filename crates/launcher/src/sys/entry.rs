//! The way into a cage.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How a process enters its cage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry<'a> {
    /// The directory of a control group of version 2: the child is born in it.
    pub(crate) cgroup2: Option<BorrowedFd<'a>>,
    /// `cgroup.procs` of groups of version 1, open for writing: the child enters each before everything else.
    pub(crate) join: Vec<BorrowedFd<'a>>,
    /// Whether a process of ours stands above the job.
    pub(crate) warden: Option<WardenKind>,
}

/// The same for whoever goes in later, whatever becomes of the cage until then.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnedEntry {
    /// See [`Entry::cgroup2`].
    pub(crate) cgroup2: Option<Arc<OwnedFd>>,
    /// See [`Entry::join`].
    pub(crate) join: Vec<Arc<OwnedFd>>,
    /// See [`Entry::warden`].
    pub(crate) warden: Option<WardenKind>,
}

impl OwnedEntry {
    /// For now.
    pub(crate) fn borrow(&self) -> Entry<'_> {
        Entry {
            cgroup2: self.cgroup2.as_deref().map(AsFd::as_fd),
            join: self.join.iter().map(|door| door.as_fd()).collect(),
            warden: self.warden,
        }
    }
}

/// What the process of ours above a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WardenKind {
    /// The first process of a PID namespace: its death is the death of all others in it.
    PidNamespace,
    /// A process to which the orphans of the job fall. A job of the same user can kill it, and then the orphans fall to
    /// the launcher.
    Subreaper,
}
