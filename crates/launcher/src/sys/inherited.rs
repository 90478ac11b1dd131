//! What children would have of this process.

use std::ffi::{CStr, c_int};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::read;
use rustix::process::{DumpableBehavior, Pid, Rlimit, dumpable_behavior, getpid, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::limits::RESOURCES;
use super::raw;

/// What a child has to put off: it would keep it when it executes a program. Found out once, since it is the same for
/// all children, and most of it is as a job shall have it anyway. Whoever changes it for this process looks again.
#[derive(Debug)]
pub(super) struct Inherited {
    /// Which process this is.
    pub(super) launcher: Pid,
    /// The signals that are ignored.
    pub(super) ignored: Vec<c_int>,
    /// The limits, in the order of [`RESOURCES`].
    pub(super) limits: [Rlimit; RESOURCES.len()],
    /// Whether a child may raise the hard ones, as far as is known.
    pub(super) may_raise: bool,
    /// Whether the kernel would rather kill others, or rather this, when memory is short.
    pub(super) is_preferred: bool,
    /// Whether its memory stays hidden from other users when a child that borrows it becomes one of them.
    pub(super) is_hidden: bool,
}

impl Inherited {
    /// Looks at this process.
    pub(super) fn look() -> Self {
        Self {
            launcher: getpid(),
            ignored: raw::ignored_signals(),
            limits: RESOURCES.map(getrlimit),
            may_raise: capabilities(None).map_or(true, |has| {
                has.effective.contains(CapabilitySet::SYS_RESOURCE)
            }),
            is_preferred: line(c"/proc/self/oom_score_adj") != Some(*b"0\n"),
            is_hidden: is_hidden(),
        }
    }
}

/// The kernel marks memory as `fs.suid_dumpable` says when a process that uses it changes its user. With 1, which is for
/// debugging, the new user may look into it; with 0 and 2 only the super-user may, until the child has marked it again as
/// it was, which it can only where it was hidden.
fn is_hidden() -> bool {
    let hidden_when_changed = matches!(
        line(c"/proc/sys/fs/suid_dumpable"),
        Some([b'0' | b'2', b'\n'])
    );
    hidden_when_changed && dumpable_behavior() == Ok(DumpableBehavior::NotDumpable)
}

/// The first two bytes; `None` where there are no more or fewer.
fn line(path: &CStr) -> Option<[u8; 2]> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 3];
    let length = read(&file, &mut buffer).ok()?;
    <[u8; 2]>::try_from(buffer.get(..length)?).ok()
}
