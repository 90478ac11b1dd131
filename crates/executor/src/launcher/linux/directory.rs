//! The directories of launchers.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jobyard_launcher::protocol::LOCK;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The lock of a dead launcher: while it is held, no other process takes its directory for its own.
#[derive(Debug)]
pub(super) struct DeadLock(#[expect(dead_code, reason = "held")] Option<File>);

/// Whether the launcher of a directory lives: `Some` with its lock if not.
pub(super) fn take_if_dead(dir: &Path) -> io::Result<Option<DeadLock>> {
    let file = match File::open(dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(DeadLock(None))),
        other => other?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(DeadLock(Some(file)))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All launchers' directories, the newest first. Makes the one above them if it is not there. What else is in that one
/// is somebody else's: a directory without a lock counts as that of a dead launcher, and those are removed. One that was
/// made just now is left out until it has a lock: its launcher may be about to take it.
pub(super) fn list(above: &Path) -> io::Result<Vec<PathBuf>> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(above)?;
    let mut dirs = Vec::new();
    for entry in fs::read_dir(above)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(made) = name.to_str().and_then(made_at) else {
            continue;
        };
        let path = entry.path();
        if entry.file_type()?.is_dir() && (!is_new(made) || path.join(LOCK).exists()) {
            dirs.push(path);
        }
    }
    dirs.sort_unstable();
    dirs.reverse();
    Ok(dirs)
}

/// Makes a directory for a new launcher.
pub(super) fn make(above: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // Sorted by age, and unlike that of any other launcher of the machine: control groups are named after it.
    let name = format!("{:014x}-{:x}", now.as_micros(), std::process::id());
    let dir = above.join(name);
    DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

/// Whether a directory that was made then may still get its lock.
fn is_new(made: SystemTime) -> bool {
    // An age of less than nothing is that of a clock that was set back.
    made.elapsed().is_ok_and(|age| age < NEW)
}

/// When a directory was made, if it is called as [`make`] calls them.
fn made_at(name: &str) -> Option<SystemTime> {
    let is_number = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty() && bytes.all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (time, process) = name.split_once('-')?;
    let is_name = time.len() >= 14 && is_number(time) && is_number(process);
    let micros = u64::from_str_radix(time, 16).ok().filter(|_| is_name)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
}

/// Removes the directory of a dead launcher. Nothing but files of its own is in it.
pub(super) fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(dir = %dir.display(), %error, "the directory of a dead launcher cannot be removed");
    }
}

/// Longer than a launcher takes from its directory to its lock, the first thing that it does.
const NEW: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_others_are_not_taken_for_launchers() {
        let above = tempfile::tempdir().expect("a directory");
        for name in [
            "documents",
            "0123456789abcd",
            "cafe-1",
            "00000000000000-x",
            "-",
        ] {
            fs::create_dir(above.path().join(name)).expect("made");
        }
        let ours = make(above.path()).expect("made");
        File::create(ours.join(LOCK)).expect("made");
        assert_eq!(list(above.path()).expect("readable"), [ours]);
    }

    #[test]
    fn directory_that_waits_for_its_lock_is_not_that_of_a_dead_launcher() {
        let above = tempfile::tempdir().expect("a directory");
        make(above.path()).expect("made");
        let old = above.path().join("00000000000001-1");
        fs::create_dir(&old).expect("made");
        assert_eq!(list(above.path()).expect("readable"), [old]);
    }
}
