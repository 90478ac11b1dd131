//! What this machine allows.

use std::io;

use rustix::io::Errno;
use rustix::process::set_child_subreaper;

use super::WardenKind;
use super::namespaces::NamespacePlan;
use super::raw::{self, Clone3};
use super::step::Failed;
use crate::protocol::Namespaces;

/// Tries to make these namespaces, and those of a warden, in a child that ends at once. With `pid` and `mount` asked for,
/// this includes a `/proc` of their own.
///
/// # Errors
///
/// What the kernel said to the first that it refused.
pub(crate) fn try_namespaces(namespaces: Namespaces, warden: Option<WardenKind>) -> io::Result<()> {
    let plan = NamespacePlan::new(namespaces, warden);
    let how = Clone3 {
        cgroup: None,
        new_pid: plan.clone_pid(),
        new_user: plan.clone_user(),
    };
    let (pid, _) = raw::fork(how, None, || attempt(&plan, warden))?;
    let status = loop {
        match raw::wait(Some(pid), true) {
            Ok(Some(dead)) => break dead.status,
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    };
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => Ok(()),
        (true, errno) => Err(io::Error::from_raw_os_error(errno)),
        (false, _) => Err(Errno::CANCELED.into()),
    }
}

/// Ends with the number of an error, all of which fit into a code of exit.
fn attempt(plan: &NamespacePlan, warden: Option<WardenKind>) -> i32 {
    let entered = plan.begin().and_then(|()| plan.enter());
    let subreaper = match warden {
        Some(WardenKind::Subreaper) => set_child_subreaper(Some(rustix::process::getpid())),
        _ => Ok(()),
    };
    match (entered, subreaper) {
        (Err(Failed { errno, .. }), _) | (_, Err(errno)) => errno.raw_os_error(),
        (Ok(()), Ok(())) => 0,
    }
}

/// The version of Landlock that the kernel has; `None`: it has none, or it is switched off.
pub(crate) fn landlock_version() -> Option<u32> {
    raw::landlock_version().ok()
}
