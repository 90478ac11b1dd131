//! Dead children, whoever they are.

use rustix::process::Pid;

use super::raw::{self, Waited};

/// A child that is dead and was reaped: one that was started, or an orphan of a job, which falls to the launcher. Its
/// number is free for others from now on.
pub(crate) struct Dead {
    pub(super) waited: Waited,
}

impl Dead {
    /// Its number.
    pub(crate) fn pid(&self) -> Pid {
        self.waited.pid
    }
}

impl std::fmt::Debug for Dead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dead")
            .field("pid", &self.waited.pid)
            .field("status", &self.waited.status)
            .finish_non_exhaustive()
    }
}

/// Reaps one child that is dead, whichever; whoever started it is to be told. `None`: none is. Never waits.
pub(crate) fn reap_any() -> Option<Dead> {
    let waited = raw::wait(None, false).ok()??;
    Some(Dead { waited })
}
