//! A process that was forked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::Pid;

use super::Report;
use crate::protocol::Signal;

/// A process that the launcher forked: the main process of an attempt, or the warden above it.
///
/// Dropping it neither kills nor reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    report: Option<OwnedFd>,
}

impl Child {
    /// The process that was forked: the main process, or the warden above it.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Readable when that process is dead, until it is reaped and after.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable when reports are there; `None` once there will be none any more.
    ///
    /// Take it out of an epoll before it is closed by `read_report` or `reap`: a child that is being forked just then
    /// holds a copy for a moment, and until that is closed an epoll goes on to tell of it.
    pub(crate) fn report_fd(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    /// Appends what is there to read. Never waits.
    pub(crate) fn read_report(&mut self, reports: &mut Vec<Report>) {
        let _ = reports;
    }

    /// Waits for the process once `pidfd` is readable, and appends what is still to be said of it: first all that
    /// `read_report` would have said, then the end. Says whether the process is reaped; never waits.
    pub(crate) fn reap(&mut self, reports: &mut Vec<Report>) -> bool {
        let _ = reports;
        false
    }

    /// Delivers a signal to the main process and its group, and lets them go on if they are stopped. Never reaches a
    /// process that only has the same number.
    ///
    /// # Errors
    ///
    /// Nothing is there to be reached: it does not run yet, or not any more.
    pub(crate) fn signal_main(&self, signal: Signal) -> io::Result<()> {
        let _ = signal;
        Err(io::ErrorKind::Unsupported.into())
    }
}
