//! The child between its birth and its program.
//!
//! Only system calls from here on: the child is a copy of the launcher with one thread, or borrows its memory.

use std::convert::Infallible;
use std::ffi::c_uint;
use std::os::fd::BorrowedFd;

use rustix::fs::Mode;
use rustix::io::{Errno, write};
use rustix::process::{
    DumpableBehavior, Pid, Signal, chdir, fchdir, getppid, set_dumpable_behavior,
    set_parent_process_death_signal, setsid, umask,
};
use rustix::thread::{
    Timespec, nanosleep, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::namespaces::write_file;
use super::prepared::{Fds, Identity, Prepared};
use super::raw;
use super::record::Record;
use super::stat::Stat;
use super::step::{Failed, Step};
use super::warden;

/// What the child that was cloned does. If it returns, the process is to end with this code.
pub(super) fn run(prepared: &Prepared<'_>, report: BorrowedFd<'_>) -> i32 {
    match begin(prepared, report) {
        Err(failed) => fail(failed, report),
        Ok(never) => match never {},
    }
}

/// What the child does that borrows its parent's memory: it executes the program, or says what failed. If it has the table of
/// its parent, all that it needs later is below `shared_from`.
pub(super) fn borrow(prepared: &Prepared<'_>, fds: Fds<'_>, shared_from: Option<c_uint>) -> Failed {
    let launcher = prepared.inherited.launcher;
    match enter(prepared)
        .and_then(|()| enter_dir(prepared))
        .and_then(|()| shared_from.map_or(Ok(()), take_table))
        .and_then(|()| take_stdio(fds))
        .and_then(|()| become_job(prepared, fds, Some(launcher), None))
        .and_then(|()| execute(prepared, 0))
    {
        Err(failed) => failed,
        Ok(never) => match never {},
    }
}

fn begin(prepared: &Prepared<'_>, report: BorrowedFd<'_>) -> Result<Infallible, Failed> {
    enter(prepared)?;
    match prepared.warden {
        None => run_job(prepared, Some(prepared.inherited.launcher), report),
        Some(kind) => warden::become_warden(prepared, kind, report),
    }
}

fn enter(prepared: &Prepared<'_>) -> Result<(), Failed> {
    for group in prepared.join {
        write(group, b"0").map_err(|errno| Step::Join.failed(errno))?;
    }
    Ok(())
}

fn enter_dir(prepared: &Prepared<'_>) -> Result<(), Failed> {
    if !prepared.enters_dir_first() {
        return Ok(());
    }
    fchdir(&prepared.dir).map_err(|errno| Step::Directory.failed(errno))
}

fn take_table(first: c_uint) -> Result<(), Failed> {
    raw::take_table_below(first).map_err(|errno| Step::Table.failed(errno))
}

/// Takes the three standard descriptors.
fn take_stdio(fds: Fds<'_>) -> Result<(), Failed> {
    let stdio = [fds.stdin, Some(fds.stdout), Some(fds.stderr)];
    for (fd, target) in stdio.into_iter().zip(0..) {
        if let Some(fd) = fd {
            raw::dup_onto(fd, target).map_err(|errno| Step::Stdio.failed(errno))?;
        }
    }
    Ok(())
}

/// Says what failed. The code with which the process is to end.
pub(super) fn fail(failed: Failed, report: BorrowedFd<'_>) -> i32 {
    let record = Record::Failed {
        step: failed.step,
        errno: failed.errno.raw_os_error(),
    };
    // If nobody reads it, nobody wants to know.
    let _ = record.send(report);
    FAILED
}

/// As shells do it. Nobody looks at it.
pub(super) const FAILED: i32 = 127;

/// Puts off all that is the launcher's, and executes the program. `parent`: who must be alive; where the kernel can
/// say it.
pub(super) fn run_job(
    prepared: &Prepared<'_>,
    parent: Option<Pid>,
    report: BorrowedFd<'_>,
) -> Result<Infallible, Failed> {
    introduce(report);
    enter_dir(prepared)?;
    take_stdio(prepared.fds())?;
    become_job(prepared, prepared.fds(), parent, Some(report))?;
    execute(prepared, LONGEST_WAIT)
}

/// Puts off all that is the launcher's, but this. Without a report, the child borrows the launcher's memory.
fn become_job(
    prepared: &Prepared<'_>,
    fds: Fds<'_>,
    parent: Option<Pid>,
    report: Option<BorrowedFd<'_>>,
) -> Result<(), Failed> {
    if report.is_none() {
        // At once: the pipes of others that are being started are among them, which others wait to see closed.
        close_all_but_kept(fds);
    }
    if prepared.inherited.is_preferred {
        // The launcher made itself a bad choice; it may not be allowed to, and then this is not either.
        let _ = write_file(c"/proc/self/oom_score_adj", b"0");
    }
    for signal in &prepared.inherited.ignored {
        raw::default_signal(*signal);
    }
    setsid().map_err(|errno| Step::Session.failed(errno))?;
    prepared.namespaces.enter()?;
    prepared
        .limits
        .apply()
        .map_err(|errno| Step::Limits.failed(errno))?;
    umask(Mode::WGRP | Mode::WOTH);
    if let Some(user) = &prepared.user {
        become_user(user)?;
        if report.is_none() {
            // The memory is the launcher's, and shows nothing to anybody; signals, by which it could be dumped, are still
            // held back.
            set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .map_err(|errno| Step::User.failed(errno))?;
        }
    }
    give_up_rights(fds.landlock)?;
    match fds.dir {
        Some(dir) => fchdir(dir).map_err(|errno| Step::Directory.failed(errno))?,
        // Whether this user may be there.
        None if prepared.namespaces.moves_mounts() => {
            chdir(c".").map_err(|errno| Step::Directory.failed(errno))?;
        }
        None => {}
    }
    // Now and not by the exec: a copy of a file that is open for writing would be in the way of its execution.
    match report {
        Some(report) => raw::close_all_but(FIRST_OTHER, [report]),
        None if fds.kept().next().is_some() => raw::close_all_but(FIRST_OTHER, []),
        None => {}
    }
    end_with_parent(parent)?;
    raw::block_signals(false);
    Ok(())
}

/// Closes what is not needed beside the three.
fn close_all_but_kept(fds: Fds<'_>) {
    match (fds.kept().next(), fds.kept().last()) {
        (Some(one), Some(other)) => raw::close_all_but(FIRST_OTHER, [one, other]),
        _ => raw::close_all_but(FIRST_OTHER, []),
    }
}

/// The first descriptor that is none of the three.
const FIRST_OTHER: u32 = 3;

/// Says which process this is, as long as it sees the launcher's `/proc`.
fn introduce(report: BorrowedFd<'_>) {
    if let Some(stat) = Stat::read(c"/proc/self/stat") {
        let record = Record::Main {
            pid: stat.pid,
            start_time: stat.start_time,
        };
        let _ = record.send(report);
    }
}

/// Changes this thread alone, which is the only one: the functions of the C library would look for the others.
fn become_user(user: &Identity) -> Result<(), Failed> {
    set_thread_groups(&user.groups).map_err(|errno| Step::Groups.failed(errno))?;
    set_thread_res_gid(user.gid, user.gid, user.gid).map_err(|errno| Step::User.failed(errno))?;
    set_thread_res_uid(user.uid, user.uid, user.uid).map_err(|errno| Step::User.failed(errno))
}

fn give_up_rights(landlock: Option<BorrowedFd<'_>>) -> Result<(), Failed> {
    set_no_new_privs(true).map_err(|errno| Step::NoNewPrivileges.failed(errno))?;
    if let Some(rules) = landlock {
        raw::landlock_restrict(rules).map_err(|errno| Step::Landlock.failed(errno))?;
    }
    Ok(())
}

/// Has the kernel kill this process with its parent. Only an extra: a program can undo it.
fn end_with_parent(parent: Option<Pid>) -> Result<(), Failed> {
    let orphaned = |errno| Step::Orphaned.failed(errno);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(orphaned)?;
    if parent.is_some() && getppid() != parent {
        return Err(orphaned(Errno::SRCH));
    }
    Ok(())
}

/// Executes the program. A file that was just written may still be open for writing in a process that is being forked
/// elsewhere, so that is waited for, in nanoseconds.
fn execute(prepared: &Prepared<'_>, patience: i64) -> Result<Infallible, Failed> {
    let mut pause = FIRST_PAUSE;
    let mut waited = 0;
    loop {
        let errno = raw::execve(prepared.program(), &prepared.argv, &prepared.env);
        if errno != Errno::TXTBSY || waited >= patience {
            return Err(Step::Execute.failed(errno));
        }
        let _ = nanosleep(&Timespec {
            tv_sec: 0,
            tv_nsec: pause,
        });
        waited += pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// All in nanoseconds. The usual holder of a file is gone in less than a millisecond.
const FIRST_PAUSE: i64 = 200_000;
const LONGEST_PAUSE: i64 = 20_000_000;
/// Whoever holds a file open for longer is writing it.
const LONGEST_WAIT: i64 = 2_000_000_000;
