//! What children would have of this process.

use std::ffi::{CStr, c_int};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::read;
use rustix::process::{Resource, Rlimit, getrlimit};

use super::limits::RESOURCES;
use super::raw;

/// What a child has to put off: it would keep it when it executes a program. Found out once, since it is the same for
/// all children, and most of it is as a job shall have it anyway. Whoever changes it for this process looks again.
#[derive(Debug)]
pub(super) struct Inherited {
    /// The signals that are ignored.
    pub(super) ignored: Vec<c_int>,
    /// The limits.
    pub(super) limits: Vec<(Resource, Rlimit)>,
    /// Whether the kernel would rather kill others, or rather this, when memory is short.
    pub(super) is_preferred: bool,
}

impl Inherited {
    /// Looks at this process.
    pub(super) fn look() -> Self {
        Self {
            ignored: raw::ignored_signals(),
            limits: RESOURCES
                .into_iter()
                .map(|resource| (resource, getrlimit(resource)))
                .collect(),
            is_preferred: oom_score(c"/proc/self/oom_score_adj") != Some(*b"0\n"),
        }
    }

    /// What the limit is.
    pub(super) fn limit(&self, resource: Resource) -> Option<Rlimit> {
        let limit = self.limits.iter().find(|(other, _)| *other == resource);
        limit.map(|(_, limit)| *limit)
    }
}

/// The first two bytes; `None` where there are no more or fewer.
fn oom_score(path: &CStr) -> Option<[u8; 2]> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 3];
    let length = read(&file, &mut buffer).ok()?;
    <[u8; 2]>::try_from(buffer.get(..length)?).ok()
}
