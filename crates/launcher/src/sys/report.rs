//! What is heard of a child.

use jobyard_core::{Exit, Usage};
use rustix::process::Pid;

use crate::protocol::LaunchFailure;

/// Something that happened to a child, in this order: `Running` or `Failed` once; after `Running` once `Exited`, and then,
/// with a warden, once `Empty`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The program was executed.
    Running {
        /// The main process, in the launcher's own numbering.
        main: Pid,
        /// When the kernel says that it started, in its ticks since boot.
        start_time: u64,
    },
    /// The program was not executed. Nothing runs, or at once will; the child still has to be reaped.
    Failed(LaunchFailure),
    /// The main process has ended.
    Exited {
        /// How.
        exit: Exit,
        /// What it used, with what it waited for itself.
        usage: Usage,
    },
    /// The warden is gone: nothing of the attempt runs any more.
    Empty,
}
