//! One cage.

use std::io;
use std::os::fd::BorrowedFd;

use jobyard_core::{KilledProcess, LimitKind, Usage};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Signal, kill_process};

use super::cgroup1::Groups;
use super::leaf::Leaf;
use super::processes::{self, Process, Seen, pid_number};
use super::usage::DiskBytes;
use super::{CageName, freezer, group};
use crate::sys::{OwnedEntry, WardenKind};

/// What keeps hold of all processes of one attempt.
#[derive(Debug)]
pub(crate) struct Cage {
    pub(super) name: CageName,
    pub(super) leaf: Option<Leaf>,
    pub(super) groups: Groups,
    pub(super) warden: Option<WardenKind>,
    /// What [`Cage::entered`] was told.
    pub(super) forked: Option<Process>,
    pub(super) rlimits: Vec<(Resource, u64, u64)>,
    pub(super) unenforced: Vec<LimitKind>,
}

impl Cage {
    /// How a process enters it.
    pub(crate) fn entry(&self) -> OwnedEntry {
        let (cgroup2, door) = self.leaf.as_ref().map(Leaf::way_in).unwrap_or_default();
        let doors = self.groups.doors().iter().chain(door);
        OwnedEntry {
            cgroup2: cgroup2.cloned(),
            join: doors.cloned().collect(),
            warden: self.warden,
        }
    }

    /// Whether a process of ours stands above the job.
    pub(crate) fn has_warden(&self) -> bool {
        self.warden.is_some()
    }

    /// Says which process was forked into it: the warden where the entry has one, else the main process. Its name is
    /// from then on that of a cage with a warden.
    pub(crate) fn entered(&mut self, forked: Pid) {
        self.forked = self.warden.and_then(|_| Process::of(pid_number(forked)));
        if let (Some(_), Some(forked)) = (self.warden, &self.forked) {
            self.name.warden = Some(forked.identity());
        }
    }

    /// Says that a start in it failed for a reason that may be in the cage: it is not used again.
    pub(crate) fn spoil(&mut self) {
        if let Some(leaf) = &self.leaf {
            leaf.spoil();
        }
    }

    /// Limits that hold each process for itself: what to limit, soft, hard.
    pub(crate) fn rlimits(&self) -> Vec<(Resource, u64, u64)> {
        self.rlimits.clone()
    }

    /// Limits that were asked for and that nothing here enforces.
    pub(crate) fn unenforced(&self) -> &[LimitKind] {
        &self.unenforced
    }

    /// What a later life needs to find it again. To be written down before the fork, and once more after `entered`.
    pub(crate) fn name(&self) -> CageName {
        self.name.clone()
    }

    /// The warden, by its number and its start, once `entered` has seen it.
    pub(crate) fn warden(&self) -> Option<(u32, u64)> {
        self.name.warden
    }

    /// The processes that live in it, without a warden of ours.
    pub(crate) fn members(&self) -> Vec<KilledProcess> {
        self.processes().into_iter().map(Into::into).collect()
    }

    /// Kills all that is in it; `forked` is what [`Cage::entered`] was told, `None` once that is reaped. Does not wait
    /// for the end, and may be called again.
    ///
    /// # Errors
    ///
    /// The kernel refused. What it does not refuse has been killed.
    pub(crate) fn kill(&mut self, forked: Option<Pid>) -> io::Result<()> {
        if let Some(leaf) = &self.leaf {
            return leaf.kill();
        }
        let warden = self.warden.and(forked).map(pid_number);
        if let Some(path) = &self.name.freezer {
            // The warden lives on to see the end of the others, and to tell of it.
            return freezer::kill(path, warden).map(drop);
        }
        if self.warden == Some(WardenKind::PidNamespace) {
            // It was not reaped, so its number is its own, and nothing has to be opened to be sure of that.
            return match forked.map(|warden| kill_process(warden, Signal::KILL)) {
                Some(Err(errno)) if errno != Errno::SRCH => Err(errno.into()),
                _ => Ok(()),
            };
        }
        processes::kill_all(|| self.tree(forked.is_some()).processes);
        Ok(())
    }

    /// Whether nothing runs in it, but a warden of ours; `None`: only the end of the warden tells.
    ///
    /// # Errors
    ///
    /// The control group cannot be read: nothing is known.
    pub(crate) fn is_empty(&self) -> io::Result<Option<bool>> {
        if let Some(leaf) = &self.leaf {
            return leaf.is_empty().map(Some);
        }
        let Some(path) = &self.name.freezer else {
            return Ok(None);
        };
        match group::members(path) {
            Ok(members) => Ok(Some(!members.iter().any(|it| !self.is_warden(it)))),
            Err(problem) if group::is_gone(&problem) => Ok(Some(true)),
            Err(problem) => Err(problem),
        }
    }

    /// Urgent (`EPOLLPRI`) when [`Cage::is_empty`] may have changed, which has to be asked once before it is watched;
    /// `None`: the warden's end tells.
    pub(crate) fn emptied_fd(&self) -> Option<BorrowedFd<'_>> {
        self.leaf.as_ref().map(Leaf::events)
    }

    /// Readable when the memory limit was hit and the kernel does not kill all of the attempt by itself: the server
    /// does. It may be read.
    pub(crate) fn oom_fd(&self) -> Option<BorrowedFd<'_>> {
        self.groups.oom()
    }

    /// The limit that the kernel enforced. To be asked before the cage is given back.
    pub(crate) fn limit_hit(&self) -> Option<LimitKind> {
        let leaf = self.leaf.as_ref().and_then(Leaf::limit_hit);
        // Memory first, whichever counts it: the other may be what came of it.
        match (leaf, self.groups.limit_hit()) {
            (Some(LimitKind::Memory), _) | (_, Some(LimitKind::Memory)) => Some(LimitKind::Memory),
            (leaf, groups) => leaf.or(groups),
        }
    }

    /// What was used since it was taken; `None`: only what was waited for is known. Memory and disks are known where
    /// their controllers are used: with a limit on them.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let leaf = self.leaf.as_ref();
        let cpu = leaf
            .and_then(Leaf::cpu_time_since)
            .or_else(|| self.groups.cpu_time())?;
        let mut usage = cpu.usage();
        usage.peak_memory_bytes = leaf
            .and_then(Leaf::peak_memory)
            .or_else(|| self.groups.peak_memory());
        let disk: Option<DiskBytes> = leaf
            .and_then(Leaf::disk_bytes)
            .or_else(|| self.groups.disk_bytes());
        usage.read_bytes = disk.map(|it| it.read);
        usage.written_bytes = disk.map(|it| it.written);
        Some(usage)
    }

    /// Whether it is certain that nothing lives in it, but a warden of ours: for where [`Cage::is_empty`] does not tell
    /// and the warden has ended without having told.
    pub(crate) fn has_no_members(&self) -> bool {
        let mut tree = self.tree(true);
        tree.processes.retain(|process| !self.is_warden(process));
        tree.is_none()
    }

    fn processes(&self) -> Vec<Process> {
        let mut found = if let Some(leaf) = &self.leaf {
            leaf.members()
        } else if let Some(path) = &self.name.freezer {
            group::visible_members(path)
        } else {
            self.tree(true).processes
        };
        found.retain(|process| !self.is_warden(process));
        found
    }

    /// What descends from the warden. Without one (a job of its own user can kill it), what carries the marks.
    fn tree(&self, with_warden: bool) -> Seen {
        let warden = self.forked.as_ref().filter(|_| with_warden);
        match warden.and_then(|it| Process::started_at(it.identity())) {
            Some(warden) if !warden.dead => processes::all().descendants(warden.pid),
            _ => processes::marked(self.name.attempt),
        }
    }

    fn is_warden(&self, process: &Process) -> bool {
        let warden = self.forked.as_ref().filter(|_| self.warden.is_some());
        warden.is_some_and(|warden| warden.identity() == process.identity())
    }
}
