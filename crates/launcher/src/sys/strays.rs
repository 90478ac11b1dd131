//! Dead processes that fell to the launcher.

use rustix::process::Pid;

use super::raw;

/// Reaps dead children that are not `known`: orphans of jobs, which fall to the launcher. Stops at the first dead one
/// that is known, which [`Child::reap`](super::Child::reap) reaps; to be called again after that. Never waits.
pub(crate) fn reap_strays(known: impl Fn(Pid) -> bool) -> Option<Pid> {
    loop {
        let pid = raw::dead_child()?;
        if known(pid) {
            return Some(pid);
        }
        raw::wait(Some(pid), false).ok()?;
    }
}
