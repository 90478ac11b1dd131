//! The files of one attempt.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{getgid, getuid};
use tokio::task::spawn_blocking;

use super::pool::{Owner, PRIVATE, Pool};
use super::removal::remove_tree;

/// The private directories and files of an attempt: siblings whose names begin with the same path. All of them are
/// removed with all they contain, at the latest when this value is dropped.
#[derive(Debug)]
pub(in super::super) struct Scratch {
    /// `None`: there is nothing to remove any more.
    base: Option<PathBuf>,
    /// As whom the job runs, if not as we do.
    owner: Option<Owner>,
    /// Where directories come from and go to; `None`: they are made and removed.
    pool: Option<Pool>,
    /// Whether nothing can hold on to the directories any more, so that they may be used again.
    is_proven: bool,
    /// Whether there may be something beside the directories.
    has_files: AtomicBool,
}

impl Scratch {
    /// Makes the directories. What stood there before is removed: it belongs to this attempt alone.
    pub(in super::super) fn create(
        base: &Path,
        owner: Option<Owner>,
        pool: Option<Pool>,
    ) -> io::Result<Self> {
        let scratch = Self {
            base: Some(std::path::absolute(base)?),
            owner,
            pool,
            is_proven: false,
            has_files: AtomicBool::new(false),
        };
        for name in [WORK, TMP] {
            scratch.make(&scratch.file(name))?;
        }
        Ok(scratch)
    }

    /// What an earlier life of this program made.
    pub(in super::super) fn left_over(base: &Path, pool: Option<Pool>) -> Self {
        Self {
            base: Some(std::path::absolute(base).unwrap_or_else(|_| base.to_owned())),
            owner: None,
            pool,
            is_proven: false,
            has_files: AtomicBool::new(true),
        }
    }

    /// The directory in which the job runs by default.
    pub(in super::super) fn work(&self) -> PathBuf {
        self.file(WORK)
    }

    /// The directory for temporary files of the job.
    pub(in super::super) fn tmp(&self) -> PathBuf {
        self.file(TMP)
    }

    /// A place for something else of the attempt; one of the names below.
    pub(in super::super) fn file(&self, name: &str) -> PathBuf {
        if !matches!(name, WORK | TMP) {
            self.has_files.store(true, Ordering::Relaxed);
        }
        let mut path = self.base.clone().unwrap_or_default().into_os_string();
        path.push(".");
        path.push(name);
        PathBuf::from(path)
    }

    /// Writes a file that only the job's user may read.
    pub(in super::super) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.file(name);
        let create = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
        };
        let mut file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree(&path)?;
                create()?
            }
            other => other?,
        };
        file.write_all(text.as_bytes())?;
        self.give(&path)?;
        Ok(path)
    }

    /// Makes directories beneath the one in which the job runs.
    pub(in super::super) fn make_beneath(&self, dir: &Path) -> io::Result<PathBuf> {
        let mut path = self.work();
        for part in dir.components() {
            path.push(part);
            match DirBuilder::new().mode(0o755).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.give(&path)?,
            }
        }
        Ok(path)
    }

    /// Says that everything is gone that could hold on to the directories.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only what a launcher holds is proven or left")
    )]
    pub(in super::super) fn proven_alone(&mut self) {
        self.is_proven = true;
    }

    /// Leaves everything where it is.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only what a launcher holds is proven or left")
    )]
    pub(in super::super) fn leave(mut self) {
        self.base = None;
    }

    /// Removes everything, without holding up other tasks.
    pub(in super::super) async fn remove(self) {
        // A runtime that shuts down drops the closure, and the drop removes as well.
        let _ = spawn_blocking(move || drop(self)).await;
    }

    /// Makes a private directory of the job's user. Nearly always its parent exists and it does not, so that is tried
    /// first: every call counts when thousands of short jobs run.
    fn make(&self, path: &Path) -> io::Result<()> {
        let owner = self
            .owner
            .unwrap_or_else(|| (getuid().as_raw(), getgid().as_raw()));
        if let Some(pool) = &self.pool
            && pool.take(owner, path)
        {
            return Ok(());
        }
        let make = || DirBuilder::new().mode(PRIVATE).create(path);
        match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree(path)?;
                make()?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                make()?;
            }
            done => done?,
        }
        self.give(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        self.owner
            .map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)))
    }

    fn remove_all(&self, parent: &Path) {
        for name in [WORK, TMP] {
            let path = self.file(name);
            let kept = self.is_proven
                && self
                    .pool
                    .as_ref()
                    .is_some_and(|pool| pool.offer(&path, parent));
            if !kept {
                remove_or_warn(&path);
            }
        }
        if !self.has_files.load(Ordering::Relaxed) {
            return;
        }
        for name in [SCRIPT, STDIN, OUTPUT] {
            remove_or_warn(&self.file(name));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let parent = self.base.as_ref().and_then(|base| base.parent());
        if let Some(parent) = parent {
            self.remove_all(parent);
        }
    }
}

fn remove_or_warn(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "files of an attempt could not be removed");
    }
}

const WORK: &str = "work";
const TMP: &str = "tmp";
/// The name of the script that a job runs.
pub(in super::super) const SCRIPT: &str = "script";
/// The name of what a job reads.
pub(in super::super) const STDIN: &str = "stdin";
/// The name of the directory of output that is on its way through this program.
pub(in super::super) const OUTPUT: &str = "output";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_stood_there_before_is_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let work = base.path().join("s.work");
        fs::create_dir(&work).expect("made");
        fs::write(work.join("old"), b"x").expect("a file");
        let scratch = Scratch::create(&base.path().join("s"), None, None).expect("made");
        assert_eq!(scratch.work(), work);
        assert!(!work.join("old").exists());
    }

    #[test]
    fn directories_are_private_and_gone_in_the_end() {
        let base = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::create(&base.path().join("deep/s"), None, None).expect("made");
        let mode = fs::metadata(scratch.tmp()).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        scratch.write(SCRIPT, "true").expect("written");
        drop(scratch);
        let left = fs::read_dir(base.path().join("deep")).expect("there");
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn proven_directories_are_used_again() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = Pool::default();
        let create = |name: &str| {
            let path = base.path().join(name);
            Scratch::create(&path, None, Some(pool.clone())).expect("made")
        };
        let mut first = create("a");
        first.proven_alone();
        drop(first);
        let second = create("b");
        assert!(second.work().is_dir() && second.tmp().is_dir());
    }
}
