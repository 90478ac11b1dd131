//! What the system keeps in memory of files.

use std::fs::File;

/// Lets the system forget what it holds of a file that was forced to disk, so that reading it back asks the disk, or the
/// server behind it. Where that cannot be said, or is not done, the memory of the system answers: no error.
pub(crate) fn forget_cached(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
