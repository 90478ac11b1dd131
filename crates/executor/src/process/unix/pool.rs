//! Directories that can be used again.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Empty private directories that jobs left as they had found them: moving one costs a fraction of what removing and
/// making one does. A directory comes in only if it has no entry, the mode and the owner that it was given, and no
/// extended attribute, and only after everything that could hold on to it is proven gone. Cheap to clone; the last
/// clone removes what is left.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Pool(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Where they wait, beside the directories of the attempts: a move stays within a file system.
    dir: Option<PathBuf>,
    free: Vec<Free>,
    /// How many were ever put in.
    count: u64,
}

#[derive(Debug)]
struct Free {
    path: PathBuf,
    owner: Owner,
}

/// A user and a group.
pub(super) type Owner = (u32, u32);

impl Pool {
    /// Moves a directory of this owner to `target`, where nothing or an empty directory is; `false`: there is none.
    pub(super) fn take(&self, owner: Owner, target: &Path) -> bool {
        let found = {
            let mut state = self.lock();
            let place = state.free.iter().rposition(|free| free.owner == owner);
            place.map(|place| state.free.swap_remove(place))
        };
        found.is_some_and(|free| fs::rename(free.path, target).is_ok())
    }

    /// Takes a directory in, if it may be used again; `false`: it was left as it is.
    pub(super) fn offer(&self, path: &Path, parent: &Path) -> bool {
        let Some(owner) = owner_if_unchanged(path) else {
            return false;
        };
        let Some(place) = self.place(parent) else {
            return false;
        };
        if fs::rename(path, &place).is_err() {
            return false;
        }
        self.lock().free.push(Free { path: place, owner });
        true
    }

    /// Where the next one would wait; `None`: the pool is full, or cannot be there.
    fn place(&self, parent: &Path) -> Option<PathBuf> {
        let mut state = self.lock();
        if state.free.len() >= MAX_FREE {
            return None;
        }
        if state.dir.is_none() {
            state.dir = Some(make_dir(parent).ok()?);
        }
        state.count += 1;
        let dir = state.dir.as_ref()?;
        (dir.parent() == Some(parent)).then(|| dir.join(state.count.to_string()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let _ = super::removal::remove_tree(dir);
        }
    }
}

/// The mode of directories that nobody else may look into.
pub(super) const PRIVATE: u32 = 0o700;
const AS_MADE: rustix::fs::Mode = rustix::fs::Mode::RWXU;
/// More than this many jobs seldom end and begin at once.
const MAX_FREE: usize = 64;
const PREFIX: &str = ".free-";

/// Makes the directory in which they wait, and removes those of earlier lives. Another pool that lives there loses what
/// it has, and goes on without.
fn make_dir(parent: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(parent)?.flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            let _ = super::removal::remove_tree(&entry.path());
        }
    }
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let dir = parent.join(format!("{PREFIX}{}", now.as_nanos()));
    DirBuilder::new().mode(PRIVATE).create(&dir)?;
    Ok(dir)
}

fn owner_if_unchanged(path: &Path) -> Option<Owner> {
    use rustix::fs::{CWD, Dir, Mode, OFlags, flistxattr, fstat, openat};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat(CWD, path, flags, Mode::empty()).ok()?;
    let found = fstat(&dir).ok()?;
    let as_made = Mode::from_raw_mode(found.st_mode) == AS_MADE;
    // A size is asked for; a system without attributes answers with an error.
    let has_attributes = flistxattr(&dir, &mut [0_u8; 0]).is_ok_and(|size| size > 0);
    if !as_made || has_attributes {
        return None;
    }
    let is_nothing = |name: &[u8]| matches!(name, b"." | b"..");
    let is_empty = Dir::new(dir).ok()?.all(|entry| {
        // What cannot be read may be anything.
        entry.is_ok_and(|entry| is_nothing(entry.file_name().to_bytes()))
    });
    is_empty.then_some((found.st_uid, found.st_gid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn make(parent: &Path, name: &str) -> PathBuf {
        let path = parent.join(name);
        DirBuilder::new().mode(PRIVATE).create(&path).expect("made");
        path
    }

    fn own(path: &Path) -> Owner {
        let metadata = fs::metadata(path).expect("there");
        (metadata.uid(), metadata.gid())
    }

    #[test]
    fn untouched_directory_is_used_again() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = Pool::default();
        let first = make(base.path(), "a.tmp");
        let number = fs::metadata(&first).expect("there").ino();
        assert!(pool.offer(&first, base.path()));
        let second = base.path().join("b.tmp");
        assert!(pool.take(own(base.path()), &second));
        assert_eq!(fs::metadata(&second).expect("there").ino(), number);
        assert!(!pool.take(own(base.path()), &second), "there was one");
        drop(pool);
        let left = fs::read_dir(base.path()).expect("there").count();
        assert_eq!(left, 1, "the pool itself is gone");
    }

    #[test]
    fn directory_that_was_changed_is_not() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = Pool::default();
        let full = make(base.path(), "a");
        fs::write(full.join("file"), b"x").expect("written");
        let open = make(base.path(), "b");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("our own");
        for dir in [full, open] {
            assert!(!pool.offer(&dir, base.path()));
            assert!(dir.exists());
        }
    }

    #[test]
    fn only_the_same_owner_gets_it() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = Pool::default();
        assert!(pool.offer(&make(base.path(), "a"), base.path()));
        assert!(!pool.take((4711, 4711), &base.path().join("b")));
    }
}
