//! How a process enters its cage.

use std::os::fd::BorrowedFd;

/// How a process enters its cage.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// The directory of a cgroup v2: the child is born in it.
    pub cgroup2: Option<BorrowedFd<'a>>,
    /// `cgroup.procs` of v1 groups, open for writing: the child writes "0" to each before everything else.
    pub join: Vec<BorrowedFd<'a>>,
    /// Whether a process of ours stands above the job.
    pub warden: Option<WardenKind>,
}

/// What a process of ours above a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WardenKind {
    /// The first process of a PID namespace.
    PidNamespace,
    /// The one to which orphans fall.
    Subreaper,
}
