//! Starting a child.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Resource;

use super::prepared::{Prepared, above_standard, no_resources};
use super::raw::{self, Clone3};
use super::stat::Stat;
use super::step::{Failed, Step};
use super::vfork::{Table, vfork};
use super::{Child, Entry, Starter, child_side, start_time};
use crate::protocol::{Isolation, LaunchFailure, Stage, User};

/// All that a child is started with.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    /// The file to execute; absolute.
    pub(crate) program: &'a Path,
    /// Its arguments, the first of which is its name as it was called.
    pub(crate) argv: &'a [String],
    /// Its whole environment.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Where it runs: a directory, `O_PATH` is enough. Entered as the user of the job.
    pub(crate) dir: BorrowedFd<'a>,
    /// Its standard input; `None`: that of this process.
    pub(crate) stdin: Option<BorrowedFd<'a>>,
    /// Its standard output.
    pub(crate) stdout: BorrowedFd<'a>,
    /// Its standard error; may be the same as its standard output.
    pub(crate) stderr: BorrowedFd<'a>,
    /// The way into its cage.
    pub(crate) entry: Entry<'a>,
    /// As whom it runs; `None`: as the launcher's own user.
    pub(crate) user: Option<&'a User>,
    /// Limits for each of its processes: soft and hard, `u64::MAX` for none. They come before the limits of a fresh login.
    pub(crate) rlimits: &'a [(Resource, u64, u64)],
    /// What else keeps it apart.
    pub(crate) isolation: &'a Isolation,
}

/// Forks a child. Its first report, which may be there already, says whether the program was executed. Blocks until what
/// it executes was found, and for as long as somebody keeps the child from executing it.
///
/// The child can be seen as [`Starter::newborn`] before this returns, until [`Newborn::is_told`](super::Newborn::is_told).
///
/// # Errors
///
/// Nothing was forked.
pub(crate) fn spawn(spawn: &Spawn<'_>, starter: &mut Starter) -> Result<Child, LaunchFailure> {
    let inherited = Arc::clone(&starter.inherited);
    let prepared = Prepared::new(spawn, &inherited)?;
    if prepared.may_borrow()
        && let Some(child) = spawn_borrowing(spawn, &prepared, starter)?
    {
        return Ok(child);
    }
    spawn_copying(spawn, &prepared, starter)
}

/// Without a copy of this process. `None`: it has to be tried with one.
fn spawn_borrowing(
    spawn: &Spawn<'_>,
    prepared: &Prepared<'_>,
    starter: &mut Starter,
) -> Result<Option<Child>, LaunchFailure> {
    let mut failed = None;
    let mut born = start_time::now();
    let before = born;
    let fds = prepared.fds();
    let shared_from = starter.shares_table.then(|| fds.end());
    let table = shared_from.map_or(Table::Copied, |_| Table::Shared);
    let Starter {
        stack,
        newborn,
        named,
        ..
    } = starter;
    let made = vfork(spawn.entry.cgroup2, table, *named, stack, newborn, || {
        born = start_time::now();
        let problem = child_side::borrow(prepared, fds, shared_from);
        failed = Some(problem);
        child_side::FAILED
    });
    let (pid, pidfd) = match made {
        Err(Errno::NOSYS) => return Ok(None),
        made => made.map_err(|errno| {
            let how = Clone3 {
                cgroup: spawn.entry.cgroup2,
                ..Clone3::default()
            };
            not_forked(how, errno)
        })?,
    };
    if let Some(failed) = failed
        && let Some(again) = Again::after(failed)
    {
        if again == Again::WithoutSharing {
            starter.shares_table = false;
        }
        // It is dead, so this does not wait; or somebody else has reaped it.
        let _ = raw::wait(Some(pid), true);
        return Ok(None);
    }
    let number = pid.as_raw_nonzero().get().unsigned_abs();
    let started = if before == born {
        born
    } else {
        // It began between two ticks, and only the kernel knows in which.
        Stat::of(number).map_or(born, |stat| stat.start_time)
    };
    let stat = Stat {
        pid: number,
        start_time: started,
    };
    Ok(Some(Child::borrowing(
        pid,
        pidfd,
        spawn.program,
        stat,
        failed,
    )))
}

/// What may work where a borrowing child has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// A child that can wait for the program.
    Waiting,
    /// This kernel or sandbox does not give a child that shares a table one of its own.
    WithoutSharing,
}

impl Again {
    fn after(failed: Failed) -> Option<Self> {
        match (failed.step, failed.errno) {
            (Step::Execute, Errno::TXTBSY) => Some(Self::Waiting),
            (Step::Table, Errno::NOSYS | Errno::INVAL | Errno::PERM) => Some(Self::WithoutSharing),
            _ => None,
        }
    }
}

/// With a copy of this process.
fn spawn_copying(
    spawn: &Spawn<'_>,
    prepared: &Prepared<'_>,
    starter: &Starter,
) -> Result<Child, LaunchFailure> {
    let (report, child_report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        .and_then(|(read, write)| Ok((read, above_standard(write)?)))
        .map_err(|errno| no_resources("cannot make a pipe", errno))?;
    let how = Clone3 {
        cgroup: spawn.entry.cgroup2,
        new_pid: prepared.namespaces.clone_pid(),
        new_user: prepared.namespaces.clone_user(),
    };
    let (pid, pidfd) = raw::fork(how, Some(&starter.newborn), || {
        child_side::run(prepared, child_report.as_fd())
    })
    .map_err(|errno| not_forked(how, errno))?;
    Ok(Child::new(
        pid,
        pidfd,
        report,
        spawn.program,
        spawn.entry.warden,
    ))
}

fn not_forked(how: Clone3<'_>, errno: Errno) -> LaunchFailure {
    let stage = match errno {
        Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE => Stage::Resources,
        _ if how.cgroup.is_some() => Stage::Cage,
        _ if how.new_pid || how.new_user => Stage::Isolation,
        _ => Stage::Resources,
    };
    LaunchFailure::new(
        stage,
        errno.raw_os_error(),
        format!("cannot make a process: {errno}"),
    )
}
