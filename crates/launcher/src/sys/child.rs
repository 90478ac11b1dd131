//! A process that was forked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use jobyard_core::{Exit, Usage};
use rustix::io::{Errno, read};
use rustix::process::{
    Pid, PidfdFlags, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};

use super::raw;
use super::record::{Ended, RECORD_BYTES, Record};
use super::stat::Stat;
use super::step::{Failed, Step};
use super::{Dead, Report, WardenKind};
use crate::protocol::{LaunchFailure, Signal, Stage};

/// A process that the launcher forked: the main process of an attempt, or the warden above it.
///
/// Dropping it neither kills nor reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    /// `None`: its number has to do, which is its own for as long as nobody has reaped it.
    pidfd: Option<OwnedFd>,
    report: Option<OwnedFd>,
    /// What is known without a pipe, and was not reported yet.
    known: Vec<Record>,
    warden: Option<WardenKind>,
    program: PathBuf,
    /// Who the main process said that it is.
    introduced: Option<Stat>,
    /// The main process under a warden.
    main: Option<OwnedFd>,
    phase: Phase,
    /// Whether its end, once it is reaped, is the end of everything.
    left_nothing: bool,
    /// Whether it is reaped, and was not told yet.
    is_numberless: bool,
}

/// How far the reports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Failed,
    Running,
    Exited,
    Reaped,
}

impl Child {
    /// One that was just forked.
    pub(super) fn new(
        pid: Pid,
        pidfd: OwnedFd,
        report: OwnedFd,
        program: &Path,
        warden: Option<WardenKind>,
    ) -> Self {
        Self {
            pid,
            pidfd: Some(pidfd),
            report: Some(report),
            known: Vec::new(),
            warden,
            program: program.to_path_buf(),
            introduced: None,
            main: None,
            phase: Phase::Starting,
            left_nothing: false,
            is_numberless: false,
        }
    }

    /// One of which it is known already whether its program was executed.
    pub(super) fn borrowing(
        pid: Pid,
        pidfd: Option<OwnedFd>,
        program: &Path,
        stat: Stat,
        failed: Option<Failed>,
    ) -> Self {
        let first = failed.map_or(Record::Executed, |failed| Record::Failed {
            step: failed.step,
            errno: failed.errno.raw_os_error(),
        });
        Self {
            pid,
            pidfd,
            report: None,
            known: vec![first],
            warden: None,
            program: program.to_path_buf(),
            introduced: Some(stat),
            main: None,
            phase: Phase::Starting,
            left_nothing: false,
            is_numberless: false,
        }
    }

    /// Whether `read_report` has something to say that `report_fd` does not tell of.
    pub(crate) fn has_news(&self) -> bool {
        !self.known.is_empty()
    }

    /// The process that was forked: the main process, or the warden above it.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Readable when that process is dead, until it is reaped and after; `None`: whoever had it made wants none.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// It is dead and was reaped, and will be [told so](Self::was_reaped) in a moment: from now on its number is not its own.
    pub(crate) fn will_be_told_of_its_end(&mut self) {
        self.is_numberless = true;
    }

    /// Its number, while that is its own.
    fn own_number(&self) -> Option<Pid> {
        (!self.is_numberless && self.phase != Phase::Reaped).then_some(self.pid)
    }

    /// Readable when reports are there; `None` once there will be none any more.
    ///
    /// `read_report` and `reap` close it at its end. A child that is being forked just then holds copies of everything for
    /// a moment, so an epoll may go on to tell of it until that has executed its program: such an event is to be ignored.
    pub(crate) fn report_fd(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    /// Appends what is there to read. Never waits.
    pub(crate) fn read_report(&mut self, reports: &mut Vec<Report>) {
        for record in std::mem::take(&mut self.known) {
            self.on_record(record, reports);
        }
        while let Some(pipe) = &self.report {
            let mut buffer = [0; 4 * RECORD_BYTES];
            match read(pipe, &mut buffer) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Ok(0) | Err(_) => self.on_closed(reports),
                Ok(length) => {
                    for bytes in buffer[..length].chunks_exact(RECORD_BYTES) {
                        if let Some(record) = Record::from_bytes(bytes) {
                            self.on_record(record, reports);
                        }
                    }
                }
            }
        }
    }

    /// Waits for the process once `pidfd` is readable, and appends what is still to be said of it: first all that
    /// `read_report` would have said, then the end. Says whether the process is reaped; never waits.
    pub(crate) fn reap(&mut self, reports: &mut Vec<Report>) -> bool {
        if self.phase == Phase::Reaped {
            return true;
        }
        match raw::wait(Some(self.pid), false) {
            Ok(None) | Err(Errno::INTR) => return false,
            Ok(Some(dead)) => self.on_dead(Ended::new(&dead), reports),
            // Somebody else has reaped it, and how it ended is lost.
            Err(_) => self.on_dead(KILLED, reports),
        }
        true
    }

    /// The same once it is known how the process has ended, which was reaped.
    pub(crate) fn was_reaped(&mut self, dead: &Dead, reports: &mut Vec<Report>) {
        if self.phase != Phase::Reaped {
            self.on_dead(Ended::new(&dead.waited), reports);
        }
    }

    fn on_dead(&mut self, ended: Ended, reports: &mut Vec<Report>) {
        self.left_nothing = match self.warden {
            Some(WardenKind::PidNamespace) => true,
            Some(WardenKind::Subreaper) => ended.status == 0,
            None => false,
        };
        self.read_report(reports);
        if self.report.is_some() {
            // Somebody holds a copy of the pipe, and will not write into it.
            self.on_closed(reports);
        }
        if self.phase == Phase::Running {
            // A warden that could not say how the main process ended was killed, and has taken it along.
            let status = match self.warden {
                None => ended.status,
                Some(_) => KILLED.status,
            };
            reports.push(exited(Ended { status, ..ended }));
            self.phase = Phase::Exited;
        }
        if self.phase == Phase::Exited && self.warden.is_some() {
            reports.push(Report::Empty);
        }
        self.phase = Phase::Reaped;
    }

    /// Whether it is reaped, and its end proves that nothing of its tree is left: a namespace ends with its first process,
    /// and a warden that was not killed ends after all others.
    pub(crate) fn left_nothing(&self) -> bool {
        self.left_nothing
    }

    /// Kills the process that was forked, and it alone.
    ///
    /// # Errors
    ///
    /// It has ended, or is of a user that this one may not touch.
    pub(crate) fn kill(&self) -> io::Result<()> {
        let signal = rustix::process::Signal::KILL;
        match &self.pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, signal)?,
            None => kill_process(self.own_number().ok_or(Errno::SRCH)?, signal)?,
        }
        Ok(())
    }

    /// Delivers a signal to the main process and its group, and lets them go on if they are stopped. Never reaches a
    /// process that only has the same number.
    ///
    /// # Errors
    ///
    /// Nothing is there to be reached: it does not run yet, or not any more.
    pub(crate) fn signal_main(&self, signal: Signal) -> io::Result<()> {
        if self.phase != Phase::Running {
            return Err(Errno::SRCH.into());
        }
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Interrupt => rustix::process::Signal::INT,
        };
        let pidfd = match self.warden {
            None => &self.pidfd,
            Some(_) => &self.main,
        };
        let Some(pidfd) = pidfd else {
            let own = self.warden.is_none().then(|| self.own_number()).flatten();
            let own = own.ok_or(Errno::SRCH)?;
            // It leads its session, so its number is that of its group, and no other group gets it while it is not reaped.
            kill_process_group(own, signal)?;
            return Ok(kill_process_group(own, rustix::process::Signal::CONT)?);
        };
        self.signal_group(pidfd.as_fd(), signal)?;
        self.signal_group(pidfd.as_fd(), rustix::process::Signal::CONT)?;
        Ok(())
    }

    fn signal_group(
        &self,
        pidfd: BorrowedFd<'_>,
        signal: rustix::process::Signal,
    ) -> Result<(), Errno> {
        match raw::signal_group(pidfd, signal) {
            // Before Linux 6.9.
            Err(Errno::INVAL) => {}
            done => return done,
        }
        pidfd_send_signal(pidfd, signal)?;
        // It was there a moment ago, so its number is still that of its group, or of nobody.
        match self.main_pid() {
            Some(main) => kill_process_group(main, signal).or(Ok(())),
            None => Ok(()),
        }
    }

    fn main_pid(&self) -> Option<Pid> {
        let pid = self.introduced?.pid;
        Pid::from_raw(i32::try_from(pid).ok()?)
    }

    fn on_record(&mut self, record: Record, reports: &mut Vec<Report>) {
        match record {
            Record::Main { pid, start_time } => {
                self.introduced = Some(Stat { pid, start_time });
            }
            Record::Executed => self.on_executed(reports),
            Record::Failed { step, errno } => {
                self.phase = Phase::Failed;
                reports.push(Report::Failed(self.failure(step, errno)));
            }
            Record::Exited(ended) => {
                self.phase = Phase::Exited;
                reports.push(exited(ended));
            }
        }
    }

    fn on_closed(&mut self, reports: &mut Vec<Report>) {
        self.report = None;
        if self.phase == Phase::Starting {
            // A warden would have said it, but may have been killed before it could; then the end says so.
            self.on_executed(reports);
        }
    }

    fn on_executed(&mut self, reports: &mut Vec<Report>) {
        let (Some(main), Some(stat)) = (self.main_pid(), self.introduced) else {
            return self.on_killed(reports);
        };
        if self.warden.is_some() {
            self.main = open_same(main, stat);
        }
        self.phase = Phase::Running;
        reports.push(Report::Running {
            main,
            start_time: stat.start_time,
        });
    }

    fn on_killed(&mut self, reports: &mut Vec<Report>) {
        self.phase = Phase::Failed;
        reports.push(Report::Failed(LaunchFailure::new(
            Stage::Resources,
            0,
            "the process was killed before it executed the program",
        )));
    }

    fn failure(&self, step: Step, errno: i32) -> LaunchFailure {
        let problem = io::Error::from_raw_os_error(errno);
        let words = step.words();
        let problem = if step == Step::Execute {
            format!("{words} {}: {problem}", self.program.display())
        } else {
            format!("{words}: {problem}")
        };
        LaunchFailure::new(step.stage(), errno, problem)
    }
}

/// What is said of a process that was killed without anybody seeing it.
const KILLED: Ended = Ended {
    status: libc::SIGKILL,
    user_micros: 0,
    system_micros: 0,
    max_rss: 0,
    blocks_in: 0,
    blocks_out: 0,
};

/// A process that somebody else reaps: `None` if that has happened already.
fn open_same(pid: Pid, stat: Stat) -> Option<OwnedFd> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    (Stat::of(stat.pid) == Some(stat)).then_some(pidfd)
}

fn exited(ended: Ended) -> Report {
    let exit = if libc::WIFSIGNALED(ended.status) {
        Exit::Signaled(libc::WTERMSIG(ended.status))
    } else {
        Exit::Exited(libc::WEXITSTATUS(ended.status))
    };
    let mut usage = Usage::default();
    usage.user_micros = ended.user_micros;
    usage.system_micros = ended.system_micros;
    usage.peak_memory_bytes = Some(ended.max_rss.saturating_mul(1024));
    usage.read_bytes = Some(ended.blocks_in.saturating_mul(BLOCK));
    usage.written_bytes = Some(ended.blocks_out.saturating_mul(BLOCK));
    Report::Exited { exit, usage }
}

/// The unit in which the kernel counts here.
const BLOCK: u64 = 512;
