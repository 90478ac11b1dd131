//! Processes as `/proc` shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use jobyard_core::{AttemptId, KilledProcess};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal};

use crate::process_stat::{ProcessStat, is_gone};

/// A process at one moment. Its number and its start name it for ever, since boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// In ticks since boot.
    pub(super) start_time: u64,
    pub(super) name: String,
    /// Nothing of it runs any more; it only waits to be reaped.
    pub(super) dead: bool,
}

impl Process {
    /// The process of this number, if there is one and it can be looked at.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::look(pid).ok()?
    }

    /// The process of this number; `None`: there is none.
    ///
    /// # Errors
    ///
    /// It cannot be looked at, for lack of descriptors perhaps: nothing is known of it.
    pub(super) fn look(pid: u32) -> io::Result<Option<Self>> {
        Ok(ProcessStat::of(pid)?.map(Self::from))
    }

    /// The process of this number, if it still is the one that started then.
    pub(super) fn started_at((pid, start_time): (u32, u64)) -> Option<Self> {
        Self::of(pid).filter(|process| process.start_time == start_time)
    }

    /// What names it for ever.
    pub(super) fn identity(&self) -> (u32, u64) {
        (self.pid, self.start_time)
    }

    /// Kills it, and nothing that only has its number.
    pub(super) fn kill(&self) {
        if let Ok(Some(pidfd)) = self.open() {
            // It may have ended meanwhile, or be another user's: then it is seen to live on.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }

    /// `None`: it is gone.
    fn open(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            opened => opened?,
        };
        // After the descriptor holds it: whoever has the number now is who the descriptor names.
        let now = Self::look(self.pid)?;
        Ok(now
            .filter(|now| now.start_time == self.start_time)
            .map(|_| pidfd))
    }

    /// Waits until nothing of it runs. `false`: the time is over, or it cannot be seen.
    pub(super) fn wait_gone(&self, deadline: Deadline) -> bool {
        match self.open() {
            Ok(Some(pidfd)) => deadline.wait(&pidfd, PollFlags::IN),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

impl From<ProcessStat> for Process {
    fn from(stat: ProcessStat) -> Self {
        Self {
            pid: stat.pid,
            parent: stat.parent,
            start_time: stat.start_time,
            name: stat.name,
            dead: stat.is_dead,
        }
    }
}

impl From<Process> for KilledProcess {
    fn from(process: Process) -> Self {
        Self::new(process.pid, process.name)
    }
}

/// Until when something is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(patience: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(patience).unwrap_or(now + LONGEST))
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// Waits for one of `events`. `false`: the time is over.
    pub(super) fn wait(self, fd: impl AsFd, events: PollFlags) -> bool {
        self.wait_any(&mut [PollFd::new(&fd, events)])
    }

    /// Waits for one of several. `false`: the time is over.
    pub(super) fn wait_any(self, fds: &mut [PollFd<'_>]) -> bool {
        loop {
            let left = self.0.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            match poll(fds, left.as_ref()) {
                Ok(ready) => return ready > 0,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Longer than anyone waits.
const LONGEST: Duration = Duration::from_hours(24);

/// Processes that were found, and whether there may be others.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) processes: Vec<Process>,
    /// Something could not be looked at, for lack of descriptors perhaps: that nothing was found proves nothing.
    pub(super) in_part: bool,
}

impl Seen {
    /// Whether it is certain that there is none.
    pub(super) fn is_none(&self) -> bool {
        self.processes.is_empty() && !self.in_part
    }

    /// The living ones among these that descend from `ancestor`, without itself.
    pub(super) fn descendants(self, ancestor: u32) -> Self {
        Self {
            processes: descendants(&self.processes, ancestor),
            ..self
        }
    }
}

/// All processes that this one may see.
pub(super) fn all() -> Seen {
    all_in(Path::new("/proc"))
}

fn all_in(proc: &Path) -> Seen {
    let mut seen = Seen::default();
    let Ok(entries) = fs::read_dir(proc) else {
        seen.in_part = true;
        return seen;
    };
    for entry in entries {
        let Ok(entry) = entry else {
            seen.in_part = true;
            break;
        };
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        match Process::look(pid) {
            Ok(process) => seen.processes.extend(process),
            Err(problem) => seen.in_part |= !is_hidden(&problem),
        }
    }
    seen
}

/// Whether a process is hidden from this one, as those of others are: so it is none of ours.
fn is_hidden(problem: &io::Error) -> bool {
    problem.kind() == io::ErrorKind::PermissionDenied
}

/// The parent of a process; `None`: that is not known.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    Process::of(pid).map(|process| process.parent)
}

/// The living ones among these that descend from `ancestor`, without itself.
pub(super) fn descendants(of: &[Process], ancestor: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<&Process>> = BTreeMap::new();
    for process in of {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([ancestor]);
    let mut waiting = vec![ancestor];
    while let Some(parent) = waiting.pop() {
        for process in children.get(&parent).into_iter().flatten() {
            // They were not all read at one moment, so they may even seem to go round in a circle.
            if seen.insert(process.pid) {
                waiting.push(process.pid);
                found.push((*process).clone());
            }
        }
    }
    found.retain(|process| !process.dead);
    found
}

/// The living processes whose environment says that they belong to an attempt, as far as this one may read it. A
/// process can take the marks off, so this is the last means. Never this process, nor one that it descends from: they
/// may belong to an attempt of another worker.
pub(super) fn marked(attempt: AttemptId) -> Seen {
    let job = format!("JOBYARD_JOB_ID={}", attempt.job);
    let number = format!("JOBYARD_ATTEMPT={}", attempt.number);
    let all = all();
    let mut own = BTreeSet::from([pid_number(getpid())]);
    let mut above = getppid().map(pid_number);
    while let Some(pid) = above.filter(|pid| own.insert(*pid)) {
        let parent = all.processes.iter().find(|it| it.pid == pid);
        above = parent.map(|it| it.parent);
    }
    let mut in_part = all.in_part;
    let mut processes = all.processes;
    processes.retain(|process| {
        if process.dead || own.contains(&process.pid) {
            return false;
        }
        match fs::read(format!("/proc/{}/environ", process.pid)) {
            Ok(environ) => has_marks(&environ, job.as_bytes(), number.as_bytes()),
            Err(problem) => {
                in_part |= !is_gone(&problem) && !is_hidden(&problem);
                false
            }
        }
    });
    Seen { processes, in_part }
}

fn has_marks(environ: &[u8], job: &[u8], number: &[u8]) -> bool {
    let has = |mark: &[u8]| environ.split(|byte| *byte == 0).any(|it| it == mark);
    has(job) && has(number)
}

/// Kills all that `list` finds, again and again until it finds none that was not killed before: a process that has been
/// killed cannot fork any more. Returns whom it killed.
pub(super) fn kill_all(list: impl Fn() -> Vec<Process>) -> Vec<Process> {
    let mut known = BTreeSet::new();
    let mut killed = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let mut fresh = list();
        fresh.retain(|process| known.insert(process.identity()));
        if fresh.is_empty() {
            break;
        }
        fresh.iter().for_each(Process::kill);
        killed.append(&mut fresh);
    }
    killed
}

/// Kills all that `list` finds, and waits until it finds none or the time is over. Says whether none is left.
pub(super) fn end_all(
    list: impl Fn() -> Seen,
    deadline: Deadline,
    killed: &mut Vec<Process>,
) -> bool {
    loop {
        let now = kill_all(|| list().processes);
        let gone = now.iter().all(|process| process.wait_gone(deadline));
        for process in now {
            if !killed.iter().any(|it| it.identity() == process.identity()) {
                killed.push(process);
            }
        }
        let left = list();
        if left.is_none() {
            return true;
        }
        // What cannot be looked at is not asked for again and again until the time is over.
        if !gone || left.in_part || deadline.is_over() {
            return false;
        }
    }
}

/// The number of a process, as unsigned as it is.
pub(super) fn pid_number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// A tree that still grows after so many rounds is left to the next kill, so that one attempt does not keep the
/// launcher from all others.
const MOST_ROUNDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> Process {
        Process {
            pid,
            parent,
            start_time: 1,
            name: format!("p{pid}"),
            dead: false,
        }
    }

    const STAT: &str = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n";

    #[test]
    fn names_with_parentheses_and_blanks_are_read() {
        let process = ProcessStat::parse(STAT.as_bytes())
            .map(Process::from)
            .expect("a process");
        assert_eq!(process.name, "a (b) c");
        assert_eq!((process.pid, process.parent), (42, 7));
        assert_eq!(process.start_time, 12345);
        assert!(!process.dead);
    }

    #[test]
    fn what_cannot_be_read_is_not_none() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(all_in(dir.path()).is_none());
        let seen = all_in(&dir.path().join("none"));
        assert!(seen.processes.is_empty() && !seen.is_none());
        let mut killed = Vec::new();
        let list = || all_in(&dir.path().join("none"));
        let deadline = Deadline::after(Duration::from_secs(10));
        assert!(!end_all(list, deadline, &mut killed));
    }

    #[test]
    fn all_of_this_machine_can_be_seen() {
        let seen = all();
        assert!(!seen.in_part);
        let own = std::process::id();
        assert!(seen.processes.iter().any(|it| it.pid == own));
    }

    #[test]
    fn our_own_parent_is_known() {
        let known = parent(std::process::id());
        assert_eq!(known, Some(std::os::unix::process::parent_id()));
    }

    #[test]
    fn a_process_is_dead_only_when_all_of_its_threads_are() {
        let zombie = STAT.replace(") S ", ") Z ");
        assert!(ProcessStat::parse(zombie.as_bytes()).is_some_and(|it| it.is_dead));
        let first_thread_gone = zombie.replace(" 20 0 1 0 ", " 20 0 3 0 ");
        assert!(ProcessStat::parse(first_thread_gone.as_bytes()).is_some_and(|it| !it.is_dead));
    }

    #[test]
    fn nonsense_is_no_process() {
        for text in ["", "42", "42 (x", "x (y) S 1", "42 (y) S 7"] {
            assert_eq!(ProcessStat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn descendants_are_found_beneath_the_dead_as_well() {
        let mut all = vec![
            process(2, 1),
            process(3, 2),
            process(4, 3),
            process(5, 1),
            process(6, 5),
        ];
        all[1].dead = true;
        let found: Vec<u32> = descendants(&all, 2).into_iter().map(|it| it.pid).collect();
        assert_eq!(found, [4]);
    }

    #[test]
    fn a_circle_ends() {
        let all = [process(2, 3), process(3, 2)];
        let found: Vec<u32> = descendants(&all, 2).into_iter().map(|it| it.pid).collect();
        assert_eq!(found, [3]);
    }

    #[test]
    fn both_marks_are_needed_and_whole() {
        let environ = b"A=1\0JOBYARD_JOB_ID=x\0JOBYARD_ATTEMPT=12\0";
        assert!(has_marks(
            environ,
            b"JOBYARD_JOB_ID=x",
            b"JOBYARD_ATTEMPT=12"
        ));
        assert!(!has_marks(
            environ,
            b"JOBYARD_JOB_ID=x",
            b"JOBYARD_ATTEMPT=1"
        ));
        assert!(!has_marks(
            environ,
            b"JOBYARD_JOB_ID=y",
            b"JOBYARD_ATTEMPT=12"
        ));
    }

    #[test]
    fn a_number_that_nobody_has_is_gone() {
        assert!(matches!(Process::look(u32::MAX), Ok(None)));
        let gone = process(u32::MAX, 1);
        assert!(gone.wait_gone(Deadline::after(Duration::ZERO)));
    }

    #[test]
    fn another_start_is_another_process() {
        let own = Process::of(std::process::id()).expect("this one");
        assert_eq!(Process::started_at(own.identity()), Some(own.clone()));
        assert_eq!(Process::started_at((own.pid, own.start_time + 1)), None);
    }
}
