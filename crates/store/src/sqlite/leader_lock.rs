//! The lock that one leading process holds.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Held while this process leads. The kernel releases it when the process dies, however it dies.
///
/// SQLite's own locks are taken per transaction and would let a second process lead between two of them; locking the
/// database file for good would keep people from reading it. So the lock lies on a file beside it, which also says
/// who holds it.
#[derive(Debug)]
pub(crate) struct LeaderLock {
    file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another has it: who, as they wrote it down.
    Held(String),
    /// The file could not be opened or locked.
    Io(io::Error),
}

/// How much of a holder's name is read.
const MAX_HOLDER_BYTES: u64 = 1_024;

impl LeaderLock {
    /// Takes the lock without waiting and writes down who has it.
    pub(crate) fn take(path: &Path, holder: &str) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(read_holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let mut lock = Self { file };
        lock.name(holder).map_err(LockError::Io)?;
        Ok(lock)
    }

    /// Writes down another holder, and which process of this machine that is.
    pub(crate) fn name(&mut self, holder: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        let name = format!("{holder} (process {})", std::process::id());
        self.file.write_all(name.as_bytes())
    }
}

/// The name in the file. It is missing for a moment after the lock was taken.
fn read_holder(file: &mut File) -> String {
    let mut name = Vec::new();
    let read = file.take(MAX_HOLDER_BYTES).read_to_end(&mut name);
    let name = String::from_utf8_lossy(&name);
    match read {
        Ok(_) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_names_its_holder_and_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = LeaderLock::take(&path, "first").unwrap();
        match LeaderLock::take(&path, "second") {
            Err(LockError::Held(holder)) => {
                assert_eq!(holder, format!("first (process {})", std::process::id()));
            }
            other => panic!("two hold the lock: {other:?}"),
        }
        drop(first);
        LeaderLock::take(&path, "second").unwrap();
    }
}
