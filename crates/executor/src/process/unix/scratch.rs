//! The files of one attempt.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
use jobyard_core::AttemptId;
#[cfg(target_os = "linux")]
use rustix::process::{getgid, getuid};
use tokio::task::spawn_blocking;

#[cfg(target_os = "linux")]
use super::home;
#[cfg(target_os = "linux")]
use super::pool::Pool;
use super::removal::remove_tree;
#[cfg(target_os = "linux")]
use super::slot::Slot;
use super::{Owner, PRIVATE, TMP, WORK};

/// The private directories and files of an attempt: siblings whose names begin with the same path, or a slot of a pool in
/// place of the directories. All of them are removed, or given back to the pool, at the latest when this value is
/// dropped.
#[derive(Debug)]
pub(in super::super) struct Scratch {
    /// `None`: there is nothing to remove any more.
    base: Option<PathBuf>,
    /// As whom the job runs, if not as we do.
    owner: Option<Owner>,
    dirs: Dirs,
    /// Whether there may be something beside the directories.
    has_files: AtomicBool,
}

/// Where the two directories are.
#[derive(Debug)]
#[cfg_attr(
    target_os = "linux",
    expect(
        clippy::large_enum_variant,
        reason = "there is one for each attempt, and nearly all are in a slot"
    )
)]
enum Dirs {
    /// Beside everything else.
    Beside,
    /// In a slot of a pool.
    #[cfg(target_os = "linux")]
    Slot {
        pool: Pool,
        /// `None`: it was given back.
        slot: Option<Slot>,
        /// Whether nothing can hold on to it, so that it may be used again.
        is_alone: bool,
    },
    /// Where an earlier life of this program made them: beside everything else, or in this slot.
    #[cfg(target_os = "linux")]
    Found(Option<PathBuf>),
}

impl Scratch {
    /// Makes the directories. What stood there before is removed: it belongs to this attempt alone.
    pub(in super::super) fn create(base: &Path, owner: Option<Owner>) -> io::Result<Self> {
        let scratch = Self {
            base: Some(std::path::absolute(base)?),
            owner,
            dirs: Dirs::Beside,
            has_files: AtomicBool::new(false),
        };
        for name in [WORK, TMP] {
            scratch.make(&scratch.file(name))?;
        }
        Ok(scratch)
    }

    /// What an earlier life of this program made.
    pub(in super::super) fn left_over(base: &Path) -> Self {
        Self {
            base: Some(std::path::absolute(base).unwrap_or_else(|_| base.to_owned())),
            owner: None,
            dirs: Dirs::Beside,
            has_files: AtomicBool::new(true),
        }
    }

    /// The directory in which the job runs by default.
    pub(in super::super) fn work(&self) -> PathBuf {
        self.dir(WORK)
    }

    /// The directory for temporary files of the job.
    pub(in super::super) fn tmp(&self) -> PathBuf {
        self.dir(TMP)
    }

    fn dir(&self, name: &str) -> PathBuf {
        match &self.dirs {
            #[cfg(target_os = "linux")]
            Dirs::Slot {
                slot: Some(slot), ..
            } => slot.path(name).to_path_buf(),
            #[cfg(target_os = "linux")]
            Dirs::Found(Some(slot)) => slot.join(name),
            _ => self.file(name),
        }
    }

    /// Whether another user is known to get through to the directories.
    pub(in super::super) fn is_way_known(&self) -> bool {
        match &self.dirs {
            #[cfg(target_os = "linux")]
            Dirs::Slot {
                slot: Some(slot), ..
            } => slot.is_way_fresh(),
            _ => false,
        }
    }

    /// Says that the job's user gets through to the directories.
    pub(in super::super) fn on_way_seen(&mut self) {
        match &mut self.dirs {
            #[cfg(target_os = "linux")]
            Dirs::Slot {
                slot: Some(slot), ..
            } => slot.on_way_seen(),
            _ => {}
        }
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

    /// Removes everything, without holding up other tasks.
    pub(in super::super) async fn remove(self) {
        // A runtime that shuts down drops the closure, and the drop removes as well.
        let _ = spawn_blocking(move || drop(self)).await;
    }

    /// Makes a private directory of the job's user. Nearly always its parent exists and it does not, so that is tried
    /// first: every call counts when thousands of short jobs run.
    fn make(&self, path: &Path) -> io::Result<()> {
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

    fn remove_all(&mut self) {
        match &mut self.dirs {
            #[cfg(target_os = "linux")]
            Dirs::Slot {
                pool,
                slot,
                is_alone,
            } => {
                if let Some(mut slot) = slot.take() {
                    if *is_alone && (slot.is_untouched() || slot.prove()) {
                        pool.give(slot);
                    } else {
                        pool.dispose(&slot);
                    }
                }
            }
            #[cfg(target_os = "linux")]
            Dirs::Found(Some(slot)) => home::remove_found(slot),
            _ => {
                for name in [WORK, TMP] {
                    remove_or_warn(&self.file(name));
                }
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

#[cfg(target_os = "linux")]
impl Scratch {
    /// In a slot that was in use a moment ago, without asking the file system for anything. `None`: there is none.
    pub(in super::super) fn at_once(
        base: &Path,
        owner: Option<Owner>,
        pool: &Pool,
        attempt: AttemptId,
    ) -> Option<Self> {
        let base = if base.is_absolute() {
            base.to_owned()
        } else {
            std::path::absolute(base).ok()?
        };
        let user = owner.unwrap_or_else(ourselves);
        let slot = pool.take_fresh(base.parent()?, user, owner.is_some(), attempt)?;
        Some(Self::in_slot(base, owner, pool, slot))
    }

    /// In a slot, if the pool has its slots there. Blocks on the disk.
    pub(in super::super) fn pooled(
        base: &Path,
        owner: Option<Owner>,
        pool: &Pool,
        attempt: AttemptId,
    ) -> io::Result<Self> {
        let path = std::path::absolute(base)?;
        let slot = match path.parent() {
            Some(parent) => pool.take(parent, owner.unwrap_or_else(ourselves), attempt)?,
            None => None,
        };
        match slot {
            Some(slot) => Ok(Self::in_slot(path, owner, pool, slot)),
            None => Self::create(base, owner),
        }
    }

    fn in_slot(base: PathBuf, owner: Option<Owner>, pool: &Pool, slot: Slot) -> Self {
        Self {
            base: Some(base),
            owner,
            dirs: Dirs::Slot {
                pool: pool.clone(),
                slot: Some(slot),
                is_alone: true,
            },
            has_files: AtomicBool::new(false),
        }
    }

    /// What an earlier life of this program made for an attempt, of this build or of an older one. Blocks on the disk.
    pub(in super::super) fn found(base: &Path, pool: &Pool, attempt: AttemptId) -> Self {
        let mut scratch = Self::left_over(base);
        let parent = scratch.base.as_deref().and_then(Path::parent);
        let slot = parent.and_then(|parent| pool.find(parent, attempt));
        scratch.dirs = Dirs::Found(slot);
        scratch
    }

    /// Says that from now on something may hold on to the directories.
    pub(in super::super) fn hand_over(&mut self) {
        self.set_alone(false);
    }

    /// Says that everything is gone that could hold on to the directories.
    pub(in super::super) fn proven_alone(&mut self) {
        self.set_alone(true);
    }

    fn set_alone(&mut self, now: bool) {
        if let Dirs::Slot { is_alone, .. } = &mut self.dirs {
            *is_alone = now;
        }
    }

    /// Gives the directories back, if that takes no more than two looks at what the kernel has in memory, and if there is
    /// nothing else; `false`: nothing was done.
    pub(in super::super) fn give_back_at_once(&mut self) -> bool {
        let Dirs::Slot {
            pool,
            slot,
            is_alone: true,
        } = &mut self.dirs
        else {
            return false;
        };
        if self.has_files.load(Ordering::Relaxed) {
            return false;
        }
        let is_good = |slot: &mut Slot| slot.is_brief() && slot.is_untouched();
        let Some(used) = slot.take_if(is_good) else {
            return false;
        };
        pool.give(used);
        self.base = None;
        true
    }

    /// All of it, to be removed elsewhere: nothing stays here.
    pub(in super::super) fn take(&mut self) -> Self {
        Self {
            base: self.base.take(),
            owner: self.owner,
            dirs: std::mem::replace(&mut self.dirs, Dirs::Beside),
            has_files: AtomicBool::new(self.has_files.load(Ordering::Relaxed)),
        }
    }

    /// Leaves everything where it is.
    pub(in super::super) fn leave(mut self) {
        if let Dirs::Slot {
            slot: Some(slot), ..
        } = &self.dirs
        {
            slot.home().on_left();
        }
        self.base = None;
    }
}

/// As whom a job runs by default.
#[cfg(target_os = "linux")]
fn ourselves() -> Owner {
    (getuid().as_raw(), getgid().as_raw())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.base.is_some() {
            self.remove_all();
        }
    }
}

fn remove_or_warn(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "files of an attempt could not be removed");
    }
}

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
        let scratch = Scratch::create(&base.path().join("s"), None).expect("made");
        assert_eq!(scratch.work(), work);
        assert!(!work.join("old").exists());
    }

    #[test]
    fn directories_are_private_and_gone_in_the_end() {
        let base = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::create(&base.path().join("deep/s"), None).expect("made");
        let mode = fs::metadata(scratch.tmp()).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        scratch.write(SCRIPT, "true").expect("written");
        drop(scratch);
        let left = fs::read_dir(base.path().join("deep")).expect("there");
        assert_eq!(left.count(), 0);
    }

    #[cfg(target_os = "linux")]
    mod pooled {
        use jobyard_core::{AttemptNumber, JobId};

        use super::*;

        fn attempt(number: u128) -> AttemptId {
            let job = JobId::from_uuid(uuid::Uuid::from_u128(number));
            AttemptId::new(job, AttemptNumber::FIRST)
        }

        fn pool() -> Pool {
            Pool::new("/launchers".into(), |_| true)
        }

        #[test]
        fn proven_directories_are_used_again_and_unproven_ones_removed() {
            let base = tempfile::tempdir().expect("a directory");
            let pool = pool();
            let create = |number: u128| {
                let path = base.path().join(number.to_string());
                Scratch::pooled(&path, None, &pool, attempt(number)).expect("made")
            };
            let mut first = create(1);
            let work = first.work();
            first.hand_over();
            first.proven_alone();
            drop(first);
            let mut second = create(2);
            assert_eq!(second.work(), work);
            assert!(second.work().is_dir() && second.tmp().is_dir());
            second.hand_over();
            drop(second);
            assert!(!work.exists());
        }

        #[test]
        fn what_another_build_made_is_removed_with_the_rest() {
            let base = tempfile::tempdir().expect("a directory");
            let old = Scratch::create(&base.path().join("s"), None).expect("made");
            old.write(STDIN, "x").expect("written");
            old.leave();
            drop(Scratch::found(&base.path().join("s"), &pool(), attempt(1)));
            let left = fs::read_dir(base.path()).expect("there");
            assert_eq!(left.count(), 0);
        }

        #[test]
        fn slot_that_an_attempt_was_left_in_is_found_and_removed_by_a_later_life() {
            let base = tempfile::tempdir().expect("a directory");
            let path = base.path().join("s");
            let first = pool();
            let scratch = Scratch::pooled(&path, None, &first, attempt(1)).expect("made");
            let work = scratch.work();
            fs::write(work.join("file"), b"x").expect("written");
            scratch.leave();
            drop(first);
            let found = Scratch::found(&path, &pool(), attempt(1));
            assert_eq!(found.work(), work);
            assert!(work.join("file").exists());
            drop(found);
            let left = fs::read_dir(base.path()).expect("there");
            assert_eq!(left.count(), 0);
        }
    }
}
