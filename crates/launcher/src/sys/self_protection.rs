//! What the launcher does to itself.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getpid, getrlimit, set_child_subreaper,
    set_dumpable_behavior, setrlimit,
};
use rustix::thread::set_name;

use super::namespaces::write_file;
use super::raw;

/// Makes this process fit to be a launcher: other processes of its user can neither trace it nor read its memory,
/// orphans fall to it, it dumps no core, the kernel prefers to kill others for memory, it may open as many files as it
/// is allowed to at all, its threads share one heap, SIGPIPE is ignored and everything else about signals is as a fresh process has it. To be called
/// once, first of all, before there are threads, children or signal handlers.
///
/// # Errors
///
/// The kernel is too old. What only the super-user may do is left out otherwise, without an error.
pub(crate) fn protect_self() -> io::Result<()> {
    raw::share_one_heap();
    raw::default_signals();
    raw::ignore(Signal::PIPE);
    raw::block_signals(false);
    set_child_subreaper(Some(getpid()))?;
    // Before it may not look into itself any more.
    let _ = write_file(c"/proc/self/oom_score_adj", OOM_SCORE);
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    set_name(NAME)?;
    Ok(())
}

/// Has this thread not interrupt what has its turn on a processor when something happens, but wait until that turn is over:
/// where jobs take all of a machine, each interruption costs them more than what is done for it. Where a processor is
/// free, it is not slower. If whoever started this process has said how it is to have its turns, that stays. Says whether
/// anything was changed: threads that begin after it, and their children, are patient as well, until they are
/// [told otherwise](be_as_others).
pub(crate) fn be_patient() -> bool {
    raw::scheduling() == Some(libc::SCHED_OTHER) && raw::set_scheduling(libc::SCHED_BATCH).is_ok()
}

/// Takes back for this thread what [`be_patient`] has changed.
pub(crate) fn be_as_others() {
    // What could be done can be undone.
    let _ = raw::set_scheduling(libc::SCHED_OTHER);
}

/// As it is listed; at most 15 bytes.
const NAME: &std::ffi::CStr = c"jobyard-launch";

/// Nearly never: everything that a machine's memory is spent on is started by it, and none of it matters as much. Not
/// -1000, so that a launcher that itself runs wild can be killed.
const OOM_SCORE: &[u8] = b"-900";
