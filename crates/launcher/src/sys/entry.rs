//! The way into a cage.

use std::os::fd::BorrowedFd;

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

/// What the process of ours above a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WardenKind {
    /// The first process of a PID namespace: its death is the death of all others in it.
    PidNamespace,
    /// A process to which the orphans of the job fall. A job of the same user can kill it, and then the orphans fall to
    /// the launcher.
    Subreaper,
}
