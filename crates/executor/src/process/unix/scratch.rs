//! The files of one attempt.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

/// A private directory that is removed with all it contains, at the latest when this value is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    root: Option<PathBuf>,
}

impl Scratch {
    /// Makes the directories. What stood there before is removed: it belongs to this attempt alone.
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        make_root(&root)?;
        let scratch = Self { root: Some(root) };
        for dir in [scratch.work(), scratch.tmp()] {
            DirBuilder::new().mode(PRIVATE).create(dir)?;
        }
        Ok(scratch)
    }

    /// What an earlier life of this program made.
    pub(super) fn left_over(root: PathBuf) -> Self {
        Self { root: Some(root) }
    }

    /// The directory in which the job runs by default.
    pub(super) fn work(&self) -> PathBuf {
        self.root().join(WORK)
    }

    /// The directory for temporary files of the job.
    pub(super) fn tmp(&self) -> PathBuf {
        self.root().join(TMP)
    }

    /// A place for a file of the executor.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Removes everything, without holding up other tasks.
    pub(super) async fn remove(self) {
        // A runtime that shuts down drops the closure, and the drop removes as well.
        let _ = spawn_blocking(move || drop(self)).await;
    }

    fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(Path::new(""))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(root) = self.root.take()
            && let Err(error) = remove_tree(&root)
        {
            tracing::warn!(path = %root.display(), %error, "files of an attempt could not be removed");
        }
    }
}

/// Makes the private directory itself. Nearly always its parent exists and it does not, so that is tried first: every
/// call counts when thousands of short jobs run.
fn make_root(root: &Path) -> io::Result<()> {
    let make = || DirBuilder::new().mode(PRIVATE).create(root);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_tree(root)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            root.parent().map_or(Ok(()), fs::create_dir_all)?;
        }
        done => return done,
    }
    make()
}

/// Removes a tree without following links. Directories that were made unreadable are opened up first.
fn remove_tree(root: &Path) -> io::Result<()> {
    let removed = match fs::remove_dir_all(root) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(root, MAX_DEPTH);
            fs::remove_dir_all(root)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(root),
        other => other,
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes every directory of a tree writable for its owner. Links are not followed, as far as paths can promise that:
/// a process that escaped could swap a directory for a link meanwhile, but it runs as the same user, and could change
/// the same modes itself.
fn open_up(dir: &Path, depth: u32) {
    let _ = fs::set_permissions(dir, Permissions::from_mode(PRIVATE));
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && depth > 0 {
            open_up(&entry.path(), depth - 1);
        }
    }
}

/// The mode of directories that nobody else may look into.
const PRIVATE: u32 = 0o700;
/// How deep directories are opened up: each level takes stack and a descriptor.
const MAX_DEPTH: u32 = 256;
const WORK: &str = "work";
const TMP: &str = "tmp";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn remove_directories_without_permissions_but_not_behind_links() {
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("kept"), b"x").expect("a file");
        let base = tempfile::tempdir().expect("a directory");
        let root = base.path().join("deep/scratch");
        let scratch = Scratch::create(&root).expect("made");
        let closed = scratch.work().join("a/b");
        fs::create_dir_all(&closed).expect("made");
        fs::write(closed.join("file"), b"x").expect("a file");
        symlink(outside.path(), scratch.work().join("link")).expect("a link");
        for dir in [closed, scratch.work().join("a")] {
            fs::set_permissions(dir, Permissions::from_mode(0o000)).expect("our own");
        }
        drop(scratch);
        assert!(!root.exists());
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn what_stood_there_before_is_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let root = base.path().join("s");
        fs::create_dir(&root).expect("made");
        fs::write(root.join("old"), b"x").expect("a file");
        let scratch = Scratch::create(&root).expect("made");
        assert!(!root.join("old").exists());
        assert!(scratch.work().exists());
    }

    #[test]
    fn directories_are_private() {
        let base = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::create(&base.path().join("s")).expect("made");
        let mode = fs::metadata(scratch.tmp()).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
    }
}
