//! A control group of version 2 for one attempt at a time.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobyard_core::LimitKind;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};

use super::group;
use super::plan::{Group, Plan};
use super::processes::{self, Deadline, Process};
use super::usage::{CpuTime, DiskBytes, value_of};
use crate::sys::set_aside;

/// A leaf: a group of version 2 that holds one attempt.
#[derive(Debug)]
pub(super) struct Leaf {
    path: PathBuf,
    /// The directory, for being born in it.
    dir: Arc<OwnedFd>,
    /// `cgroup.events`, which tells of emptiness. Held open: each read arms it for the next change.
    events: File,
    /// `cpu.stat` and `cgroup.type`, held open where they are read again and again: to open one costs five times as much
    /// as to read it.
    cpu_stat: Option<File>,
    kind: Option<File>,
    /// `cgroup.procs`, open for writing, where nobody can be born in it.
    door: Option<Arc<OwnedFd>>,
    /// The same file where one can, see [`pin_procs`].
    _pin: Option<OwnedFd>,
    /// What was used before it was taken.
    earlier: CpuTime,
    /// What was used when it was last asked.
    latest: Cell<CpuTime>,
    /// Whether it may have controllers, and with them files that tell of limits.
    is_limited: Cell<bool>,
    /// What `cgroup.events` said when nothing ran in it any more, until that was made use of.
    ended: Cell<Option<Events>>,
    /// Whether it is of no more use after this attempt, see [`Leaf::renew`].
    spoilt: Cell<bool>,
}

/// What `cgroup.events` says.
#[derive(Clone, Copy, Debug)]
struct Events {
    populated: Option<u64>,
    frozen: Option<u64>,
}

/// How a process comes into a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is born there.
    Birth,
    /// It goes there by itself, first of all. Costs more, as the kernel stops all forks of the machine for it.
    Door,
}

impl Leaf {
    /// Makes it.
    pub(super) fn make(path: &Path, way: Way) -> io::Result<Self> {
        std::fs::create_dir(path).map_err(|problem| group::named(path, problem))?;
        let leaf = Self::open(path.to_path_buf(), way).inspect_err(|_| {
            // It is of no use, and whoever wants to know why has the error.
            let _ = group::remove(path);
        })?;
        Ok(Self {
            cpu_stat: File::open(path.join(CPU_STAT)).ok().map(aside),
            kind: File::open(path.join(KIND)).ok().map(aside),
            is_limited: Cell::new(false),
            ..leaf
        })
    }

    /// Opens one that is there.
    pub(super) fn open(path: PathBuf, way: Way) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty())?;
        let events = path.join("cgroup.events");
        let events = File::open(&events).map_err(|problem| group::named(&events, problem))?;
        let (door, pin) = match way {
            Way::Birth => (None, pin_procs(&path)),
            Way::Door => {
                let door = group::open_for_writing(&path, PROCS)?;
                (Some(Arc::new(door.into())), None)
            }
        };
        Ok(Self {
            path,
            dir: Arc::new(set_aside(dir)),
            events: aside(events),
            cpu_stat: None,
            kind: None,
            door,
            _pin: pin,
            earlier: CpuTime::default(),
            latest: Cell::default(),
            is_limited: Cell::new(true),
            ended: Cell::new(None),
            spoilt: Cell::new(false),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }

    /// The way in: the directory to be born in, or the door.
    pub(super) fn way_in(&self) -> (Option<&Arc<OwnedFd>>, Option<&Arc<OwnedFd>>) {
        match &self.door {
            None => (Some(&self.dir), None),
            Some(door) => (None, Some(door)),
        }
    }

    pub(super) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Sets what the plan has for leaves.
    pub(super) fn apply(&self, plan: &Plan) -> io::Result<()> {
        self.is_limited.set(true);
        plan.writes
            .iter()
            .filter(|write| write.group == Group::Leaf)
            .try_for_each(|write| group::write(&self.path, write.file, &write.value))
    }

    /// Whether it is there and the next attempt can have it.
    pub(super) fn is_free(&self) -> bool {
        // One that was removed gives an error here, and does not count as empty.
        matches!(self.events_now(), Ok(events) if events.populated == Some(0))
    }

    /// Whether nothing runs in it nor beneath it: the kernel's own proof.
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        let events = match self.events_now() {
            // Somebody else has removed it: that only works with what is empty.
            Err(problem) if group::is_gone(&problem) => return Ok(true),
            events => events?,
        };
        let is_empty = events.populated.map(|populated| populated == 0);
        self.ended
            .set(Some(events).filter(|_| is_empty == Some(true)));
        is_empty
            .ok_or_else(|| io::Error::other("cgroup.events does not say whether it is populated"))
    }

    fn events_now(&self) -> io::Result<Events> {
        let text = read_start(&self.events)?;
        Ok(Events {
            populated: value_of(&text, "populated"),
            frozen: value_of(&text, "frozen"),
        })
    }

    /// Kills all that is in it and beneath it.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.spoilt.set(true);
        match group::write(&self.path, "cgroup.kill", "1") {
            Err(problem) if group::is_gone(&problem) => Ok(()),
            // A job with the right to do so has made it a group of threads, which takes no such order.
            Err(problem) => {
                let killed = processes::kill_all(|| self.all_members());
                if killed.is_empty() && !self.is_empty()? {
                    return Err(problem);
                }
                Ok(())
            }
            killed => killed,
        }
    }

    /// It is not to be used again.
    pub(super) fn spoil(&self) {
        self.spoilt.set(true);
    }

    /// The living processes in it and beneath it.
    pub(super) fn members(&self) -> Vec<Process> {
        group::visible_members(&self.path)
    }

    /// Its processes, found by their threads where it is a group of threads.
    fn all_members(&self) -> Vec<Process> {
        let threads = || group::read(&self.path, "cgroup.threads").unwrap_or_default();
        match group::members(&self.path) {
            Ok(members) if !members.is_empty() => members,
            _ => threads()
                .lines()
                .filter_map(|line| Process::of(line.parse().ok()?))
                .filter(|process| !process.dead)
                .collect(),
        }
    }

    /// Waits until nothing runs in it.
    pub(super) fn wait_empty(&self, deadline: Deadline) -> io::Result<bool> {
        loop {
            if self.is_empty()? {
                return Ok(true);
            }
            if !deadline.wait(&self.events, PollFlags::PRI) {
                return self.is_empty();
            }
        }
    }

    /// From here on, what is used counts. Nothing was used since it was last asked, as it is empty.
    pub(super) fn start_counting(&mut self) {
        self.earlier = self.latest.get();
        self.ended.set(None);
    }

    /// What was used since.
    pub(super) fn cpu_time_since(&self) -> Option<CpuTime> {
        let now = CpuTime::parse(&self.read(self.cpu_stat.as_ref(), CPU_STAT).ok()?)?;
        self.latest.set(now);
        Some(now.since(self.earlier))
    }

    /// Where it has that controller.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        if !self.is_limited.get() {
            return None;
        }
        let peak = group::read(&self.path, "memory.peak").ok()?;
        peak.trim().parse().ok()
    }

    /// Where it has that controller.
    pub(super) fn disk_bytes(&self) -> Option<DiskBytes> {
        if !self.is_limited.get() {
            return None;
        }
        let stat = group::read(&self.path, "io.stat").ok()?;
        Some(DiskBytes::parse(&stat))
    }

    /// The limit that the kernel enforced in it.
    pub(super) fn limit_hit(&self) -> Option<LimitKind> {
        if !self.is_limited.get() {
            return None;
        }
        let count = |file: &str, key: &str| {
            group::read(&self.path, file)
                .ok()
                .and_then(|text| value_of(&text, key))
                .unwrap_or(0)
        };
        // A kill alone may be for the machine's lack of memory, and not for the limit.
        if count("memory.events", "oom_kill") > 0 && count("memory.events", "oom") > 0 {
            return Some(LimitKind::Memory);
        }
        (count("pids.events", "max") > 0).then_some(LimitKind::Processes)
    }

    /// Makes it as if it were new: no groups beneath it, not frozen, no group of threads. `false`: it cannot be, or
    /// something runs in it.
    ///
    /// One that has killed never can be. Kernels from 6.14 on count the kills of a group (`kill_seq`) to catch forks that
    /// go on meanwhile, and compare the count of the parent's group with that of the group in which a child is born by
    /// `CLONE_INTO_CGROUP`: a child dies at its birth where they differ.
    pub(super) fn renew(&self) -> bool {
        if self.spoilt.get() {
            return false;
        }
        // What was said at the end of an attempt still holds, unless somebody outside wants it otherwise: whoever takes it
        // next looks again whether it is empty.
        let events = self.ended.take().or_else(|| self.events_now().ok());
        let Some(events) = events.filter(|events| events.populated == Some(0)) else {
            return false;
        };
        // Counted, a directory's links are two and one for each that is beneath it.
        let is_alone = rustix::fs::fstat(&self.dir).is_ok_and(|stat| stat.st_nlink == 2);
        (is_alone || self.remove_nested())
            && self
                .read(self.kind.as_ref(), KIND)
                .is_ok_and(|kind| kind.trim() == "domain")
            && (events.frozen == Some(0) || group::write(&self.path, "cgroup.freeze", "0").is_ok())
    }

    fn read(&self, held: Option<&File>, name: &str) -> io::Result<String> {
        held.map_or_else(|| group::read(&self.path, name), read_start)
    }

    fn remove_nested(&self) -> bool {
        let beneath = group::with_nested(&self.path);
        beneath
            .iter()
            .skip(1)
            .rev()
            .all(|nested| std::fs::remove_dir(nested).is_ok())
    }
}

/// Keeps what the kernel knows of the file `cgroup.procs` of a group in its memory. A birth asks for the right to write
/// to that of the group of the child, and to that of the first group which is above both that one and the parent's; while
/// nobody holds it, it is made anew for that each time, which takes a third as long as the rest of what groups cost a
/// birth. If it cannot be held, births are slower, and nothing else.
pub(super) fn pin_procs(group: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = rustix::fs::open(group.join(PROCS), flags, Mode::empty()).ok()?;
    Some(set_aside(file))
}

const PROCS: &str = "cgroup.procs";
const CPU_STAT: &str = "cpu.stat";
const KIND: &str = "cgroup.type";

/// The same, kept out of the way of starts.
fn aside(file: File) -> File {
    set_aside(file.into()).into()
}

/// The first lines of a file of the kernel that is held open: what is wanted of it stands there.
fn read_start(file: &File) -> io::Result<String> {
    let mut buffer = [0; 512];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
}
