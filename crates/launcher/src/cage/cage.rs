//! One cage.

use std::io;
use std::os::fd::BorrowedFd;

use jobyard_core::{AttemptId, KilledProcess, LimitKind, Usage};
use rustix::process::{Pid, Resource};

use super::CageName;
use super::entry::{Entry, WardenKind};
use crate::protocol::{Launch, Mechanism};

/// What keeps hold of all processes of one attempt.
#[derive(Debug)]
pub(crate) struct Cage {
    name: CageName,
    warden: Option<Pid>,
}

impl Cage {
    pub(super) fn new(attempt: AttemptId, _launch: &Launch) -> Self {
        Self {
            name: CageName::new(Mechanism::Subreaper, attempt),
            warden: None,
        }
    }

    /// How a process enters it.
    pub(crate) fn entry(&self) -> Entry<'_> {
        Entry {
            cgroup2: None,
            join: Vec::new(),
            warden: Some(WardenKind::Subreaper),
        }
    }

    /// Says which process was forked into it: the warden where the entry has one, else the main process.
    pub(crate) fn entered(&mut self, forked: Pid) {
        self.warden = Some(forked);
    }

    /// Limits that hold each process for itself: what to limit, soft, hard.
    pub(crate) fn rlimits(&self) -> Vec<(Resource, u64, u64)> {
        Vec::new()
    }

    /// Limits that were asked for and that nothing here enforces.
    pub(crate) fn unenforced(&self) -> &[LimitKind] {
        &[]
    }

    /// What a later life needs to find it again. To be written down before the fork.
    pub(crate) fn name(&self) -> CageName {
        self.name.clone()
    }

    /// The processes that live in it, without a warden of ours.
    pub(crate) fn members(&self) -> Vec<KilledProcess> {
        Vec::new()
    }

    /// Kills all that is in it; `forked` is what [`Cage::entered`] was told, unless it was reaped since.
    pub(crate) fn kill(&mut self, _forked: Option<Pid>) -> io::Result<()> {
        Ok(())
    }

    /// Whether nothing runs in it; `None`: only the end of the warden tells.
    pub(crate) fn is_empty(&self) -> io::Result<Option<bool>> {
        Ok(None)
    }

    /// Urgent (`EPOLLPRI`) when [`Cage::is_empty`] may have changed; `None`: the warden's end tells.
    pub(crate) fn emptied_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Readable when the memory limit was hit and the kernel does not kill all of the attempt by itself: the server
    /// does.
    pub(crate) fn oom_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The limit that the kernel enforced.
    pub(crate) fn limit_hit(&self) -> Option<LimitKind> {
        None
    }

    /// What was used since it was taken; `None`: only what was waited for is known.
    pub(crate) fn usage(&self) -> Option<Usage> {
        None
    }
}
