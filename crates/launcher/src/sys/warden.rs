//! The process of ours above a job.
//!
//! It runs in a copy of the launcher and so only makes system calls, for as long as it lives.

use std::cell::Cell;
use std::convert::Infallible;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, RawDir, open, openat};
use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, chdir, getpid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, setsid,
};
use rustix::thread::set_name;

use super::WardenKind;
use super::child_side::{fail, run_job};
use super::prepared::{Prepared, above_standard};
use super::raw::{self, Clone3};
use super::record::{Ended, RECORD_BYTES, Record};
use super::stat::{number, parent_of};
use super::step::{Failed, Step};

/// Forks the main process and stays above it until nothing of the tree is left.
pub(super) fn become_warden(
    prepared: &Prepared<'_>,
    kind: WardenKind,
    report: BorrowedFd<'_>,
) -> Result<Infallible, Failed> {
    let failed = |errno| Step::Warden.failed(errno);
    // In this order: nothing that is sent from now on does anything, whatever the launcher had ignored.
    raw::block_signals(true);
    raw::default_signals();
    setsid().map_err(failed)?;
    let _ = set_name(c"jobyard-warden");
    prepared.namespaces.begin()?;
    let parent = match kind {
        WardenKind::PidNamespace => {
            // For a launcher that dies before the pipe is watched.
            set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
            None
        }
        WardenKind::Subreaper => {
            let this = getpid();
            set_child_subreaper(Some(this)).map_err(failed)?;
            Some(this)
        }
    };
    let deaths = raw::child_deaths().map_err(failed)?;
    let (progress, main_report) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let main_report = above_standard(main_report).map_err(failed)?;
    let (main, _) = raw::fork(Clone3::default(), None, || {
        match run_job(prepared, parent, main_report.as_fd()) {
            Err(failed) => fail(failed, main_report.as_fd()),
            Ok(never) => match never {},
        }
    })
    .map_err(failed)?;
    drop(main_report);
    // Only these stay, and so no pipe of the job or of another one is held open.
    raw::close_all_but(0, [progress.as_fd(), report, deaths.as_fd()]);
    let _ = chdir(c"/");
    let executed = forward(progress.as_fd(), report);
    let watch = Watch {
        kind,
        main,
        main_reaped: Cell::new(false),
        executed,
        report,
    };
    watch.run(deaths.as_fd())
}

/// Passes on what the main process says until its program is executed or it is gone. Says whether it was executed.
fn forward(progress: BorrowedFd<'_>, report: BorrowedFd<'_>) -> bool {
    let mut buffer = [0; RECORD_BYTES];
    loop {
        match read(progress, &mut buffer) {
            Err(Errno::INTR) => {}
            Ok(RECORD_BYTES) => {
                let record = Record::from_bytes(&buffer);
                if let Some(record) = record {
                    let _ = record.send(report);
                }
                if matches!(record, Some(Record::Failed { .. })) {
                    return false;
                }
            }
            Ok(_) | Err(_) => {
                let _ = Record::Executed.send(report);
                return true;
            }
        }
    }
}

/// A warden whose job runs.
struct Watch<'a> {
    kind: WardenKind,
    main: Pid,
    main_reaped: Cell<bool>,
    executed: bool,
    report: BorrowedFd<'a>,
}

impl Watch<'_> {
    fn run(&self, deaths: BorrowedFd<'_>) -> ! {
        loop {
            self.reap_all();
            let mut fds = [
                PollFd::from_borrowed_fd(deaths, PollFlags::IN),
                // Nothing is asked for, but the end of its reader is always told.
                PollFd::from_borrowed_fd(self.report, PollFlags::empty()),
            ];
            let _ = poll(&mut fds, None);
            let [_, launcher] = &fds;
            if launcher.revents().contains(PollFlags::ERR) {
                self.end_tree(deaths);
            }
            let mut siginfo = [0_u8; SIGINFO_BYTES];
            let _ = read(deaths, &mut siginfo);
        }
    }

    fn reap_all(&self) {
        loop {
            match raw::wait(None, false) {
                Ok(Some(dead)) if dead.pid == self.main => {
                    self.main_reaped.set(true);
                    if self.executed {
                        let _ = Record::Exited(Ended::new(&dead)).send(self.report);
                    }
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                // No children: nothing is left.
                Err(_) => raw::exit(0),
            }
        }
    }

    /// The launcher is dead, and its jobs go with it.
    fn end_tree(&self, deaths: BorrowedFd<'_>) -> ! {
        if self.kind == WardenKind::PidNamespace {
            // The kernel kills all others.
            raw::exit(0);
        }
        loop {
            let listed = kill_children() || each_child(getpid(), kill);
            if !listed && !self.main_reaped.get() {
                let _ = kill_process_group(self.main, Signal::KILL);
            }
            // The children of what dies now come here, and are next. Where they cannot be listed, nobody may have been
            // killed of whom a death could be heard.
            match raw::wait(None, listed) {
                Ok(Some(dead)) if dead.pid == self.main => self.main_reaped.set(true),
                Ok(None) => await_death(deaths),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Err(_) => raw::exit(0),
            }
        }
    }
}

/// Waits until a child is dead, or it is time to try again to list them.
fn await_death(deaths: BorrowedFd<'_>) {
    let mut fds = [PollFd::from_borrowed_fd(deaths, PollFlags::IN)];
    let _ = poll(&mut fds, Some(&LIST_AGAIN));
    let _ = read(deaths, &mut [0_u8; SIGINFO_BYTES]);
}

/// When children are listed again that could not be: there may be a descriptor for that then.
const LIST_AGAIN: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The size of a record of a signalfd.
const SIGINFO_BYTES: usize = 128;

/// Kills the children of this process, as many as fit into the buffer. They are not reaped meanwhile, so their numbers
/// are theirs. Says whether they could be listed.
fn kill_children() -> bool {
    let path = c"/proc/thread-self/children";
    let Ok(list) = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return false;
    };
    let mut buffer = [0; 4096];
    let Ok(length) = read(&list, &mut buffer) else {
        return false;
    };
    let list = buffer.get(..length).unwrap_or_default();
    // Every number has a space after it, so one that was cut has none.
    for word in list.split_inclusive(|byte| *byte == b' ') {
        let pid = word
            .strip_suffix(b" ")
            .and_then(number)
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill(pid);
        }
    }
    true
}

fn kill(pid: Pid) {
    // It may have ended meanwhile.
    let _ = kill_process(pid, Signal::KILL);
}

/// The children of a process, by a look at all processes: for kernels without lists of children. Says whether all
/// processes could be listed.
pub(super) fn each_child(parent: Pid, mut found: impl FnMut(Pid)) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(proc) = open(c"/proc", flags, Mode::empty()) else {
        return false;
    };
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&proc, &mut buffer);
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else {
            return false;
        };
        let pid = number(entry.file_name().to_bytes())
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else {
            continue;
        };
        let dir = openat(&proc, entry.file_name(), flags, Mode::empty());
        match dir.and_then(|dir| parent_of(dir.as_fd())) {
            Ok(above) if above == Some(parent) => found(pid),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => return false,
            // It is gone, or another user's.
            Ok(_) | Err(_) => {}
        }
    }
    true
}
