//! Processes that somebody else started, looked at from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::program::GUARD;

/// A process that was seen alive. Never mistaken for a later one with the same number.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    fd: OwnedFd,
}

impl Process {
    /// Takes hold of the process with this number, if there is one.
    pub fn find(pid: u32) -> Option<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let fd = pidfd_open(number, PidfdFlags::empty()).ok()?;
        Some(Self { pid, fd })
    }

    /// Takes hold of the process that a job has written the number of.
    ///
    /// # Panics
    ///
    /// When that is no number, or nobody's.
    pub fn named(pid: &str) -> Self {
        let number = pid.trim().parse().ok();
        number
            .and_then(Self::find)
            .unwrap_or_else(|| panic!("there is no process {pid:?}"))
    }

    /// Its number.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it runs. One that is dead does not, even if nobody has buried it yet.
    pub fn runs(&self) -> bool {
        !self.has_ended_within(Duration::ZERO)
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn wait_for_end(&self) {
        assert!(self.has_ended_within(GUARD), "{self:?} does not end");
    }

    /// Whether it ends before so much time has passed.
    pub fn has_ended_within(&self, time: Duration) -> bool {
        let mut wanted = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::IN)];
        let time = Timespec::try_from(time).expect("minutes at most");
        loop {
            match poll(&mut wanted, Some(&time)) {
                Ok(ready) => return ready > 0,
                Err(Errno::INTR) => {}
                Err(error) => panic!("a process cannot be waited for: {error}"),
            }
        }
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// When the system refuses, or the guard runs out.
    pub fn kill_9(&self) {
        self.send(Signal::KILL).expect("it may be killed");
        self.wait_for_end();
    }

    /// Asks it to end, as `kill` does.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn terminate(&self) {
        self.send(Signal::TERM).expect("it may be told to end");
    }

    /// Sends a signal; to a process that has ended, without effect.
    pub(crate) fn send(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Its environment as it was started with: `NAME=VALUE`, each with a zero behind it.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn environment(&self) -> String {
        let bytes = fs::read(self.file("environ")).expect("root may read it");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How much memory it holds, in bytes, that of programs and libraries which it shares with others left out.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.file("status")).expect("it lives");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib
            .and_then(|kib| kib.trim().parse().ok())
            .expect("kibibytes");
        kib * 1024
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.file("fd"))
            .expect("root may see them")
            .count()
    }

    /// A file of `/proc` that tells something about it.
    pub fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid)
    }
}

/// All living processes that this one, or one of its descendants, is the parent of.
///
/// # Panics
///
/// When there is no `/proc`.
pub fn descendants(of: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in all() {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![of];
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    let found = found.into_iter().filter_map(Process::find);
    found.filter(Process::runs).collect()
}

/// All living processes whose environment, as they were started with it, holds this.
///
/// # Panics
///
/// When there is no `/proc`.
pub fn with_environment(text: &str) -> Vec<Process> {
    let has_it = |pid: &u32| {
        let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    };
    let found = all().into_iter().filter(has_it).filter_map(Process::find);
    found.filter(Process::runs).collect()
}

/// All directories of control groups whose path holds this.
///
/// # Panics
///
/// When there is no `/proc`.
pub fn control_groups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux");
    let mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mounts = mounts.filter(|mount| mount[2].starts_with("cgroup"));
    let mut open: Vec<PathBuf> = mounts.map(|mount| PathBuf::from(mount[1])).collect();
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(inner.map(|entry| entry.path()));
        if dir.to_string_lossy().contains(name) {
            found.push(dir);
        }
    }
    found
}

/// The numbers of all processes.
pub(crate) fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("Linux");
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// The parent of this process, if it is still there.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything, and the state.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}
