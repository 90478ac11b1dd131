//! Starting a child.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Resource;

use super::prepared::{Prepared, above_standard, no_resources};
use super::raw::{self, Clone3};
use super::stat::Stat;
use super::step::{Failed, Step};
use super::vfork::vfork;
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
    /// Its standard input.
    pub(crate) stdin: BorrowedFd<'a>,
    /// Its standard output.
    pub(crate) stdout: BorrowedFd<'a>,
    /// Its standard error; may be the same as its standard output.
    pub(crate) stderr: BorrowedFd<'a>,
    /// The way into its cage.
    pub(crate) entry: Entry<'a>,
    /// As whom it runs; `None`: as the launcher's own user.
    pub(crate) user: Option<&'a User>,
    /// Limits for each of its processes: soft and hard, `u64::MAX` for none. They come before the limits of a fresh login.
    pub(crate) rlimits: Vec<(Resource, u64, u64)>,
    /// What else keeps it apart.
    pub(crate) isolation: &'a Isolation,
    /// What starts have in common.
    pub(crate) starter: &'a Starter,
}

/// Forks a child. Its first report, which may be there already, says whether the program was executed.
///
/// # Errors
///
/// Nothing was forked.
pub(crate) fn spawn(spawn: &Spawn<'_>) -> Result<Child, LaunchFailure> {
    let prepared = Prepared::new(spawn)?;
    if prepared.may_borrow()
        && spawn.starter.may_borrow()
        && is_at_hand(spawn.program)
        && let Some(child) = spawn_borrowing(spawn, &prepared)?
    {
        return Ok(child);
    }
    spawn_copying(spawn, &prepared)
}

/// Whether a program can be executed without waiting for anybody but a disk of this machine. Who borrows the memory of
/// this process holds it up until it has executed its program, and a server of files that does not answer would hold up
/// all jobs with one.
///
/// Nothing of the question itself waits: the path is only looked up in what the kernel remembers (`RESOLVE_CACHED`, Linux
/// 5.12), and file systems that are on no disk, those of networks and of other programs among them, have devices with the
/// major number 0.
fn is_at_hand(program: &Path) -> bool {
    let remembered = openat2(
        CWD,
        program,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::CACHED,
    );
    let of_a_disk = |file| {
        let how = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let known: Result<_, Errno> = statx(&file, c"", how, StatxFlags::TYPE);
        known.is_ok_and(|known| known.stx_dev_major != 0)
    };
    remembered.is_ok_and(of_a_disk)
}

/// Without a copy of this process. `None`: it has to be tried with one.
fn spawn_borrowing(
    spawn: &Spawn<'_>,
    prepared: &Prepared<'_>,
) -> Result<Option<Child>, LaunchFailure> {
    let mut failed = None;
    let mut born = start_time::now();
    let before = born;
    let begun = Instant::now();
    let made = vfork(spawn.entry.cgroup2, || {
        born = start_time::now();
        let problem = child_side::borrow(prepared);
        failed = Some(problem);
        child_side::FAILED
    });
    spawn.starter.stood_still(begun.elapsed());
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
    if let Some(Failed {
        step: Step::Execute,
        errno: Errno::TXTBSY,
    }) = failed
    {
        // It is dead, so this does not wait.
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

/// With a copy of this process.
fn spawn_copying(spawn: &Spawn<'_>, prepared: &Prepared<'_>) -> Result<Child, LaunchFailure> {
    let (report, child_report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        .and_then(|(read, write)| Ok((read, above_standard(write)?)))
        .map_err(|errno| no_resources("cannot make a pipe", errno))?;
    let how = Clone3 {
        cgroup: spawn.entry.cgroup2,
        new_pid: prepared.namespaces.clone_pid(),
        new_user: prepared.namespaces.clone_user(),
    };
    let (pid, pidfd) = raw::fork(how, || child_side::run(prepared, child_report.as_fd()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_on_a_disk_are_at_hand() {
        let sh = Path::new("/bin/sh");
        // Whatever was forgotten of it is remembered now.
        std::fs::metadata(sh).expect("every system has one");
        let dev = statx(CWD, sh, AtFlags::empty(), StatxFlags::TYPE);
        let on_a_disk = dev.expect("there").stx_dev_major != 0;
        assert_eq!(is_at_hand(sh), on_a_disk);
        assert!(!is_at_hand(Path::new("/proc/self/exe/nothing")));
        assert!(!is_at_hand(Path::new("/proc/version")), "of no disk");
    }
}
