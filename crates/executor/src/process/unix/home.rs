//! Where slots are, and what is written down of them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use jobyard_core::AttemptId;
use rustix::fs::{FlockOperation, flock};

use super::removal::remove_tree;
use super::slot::PASSABLE;

/// The directory of the slots of one pool, beside the files of the attempts:
///
/// ```text
/// .slots-TIME/attempts     which attempt each slot was last given to; locked by the pool while it lives
/// .slots-TIME/launchers    the launchers of the pool, who know which of these attempts run
/// .slots-TIME/NUMBER/      a slot
/// ```
///
/// What is written down is for a later life of this program on the same machine, not for after a crash of the machine,
/// when nothing runs any more.
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    notes: File,
    /// Whether an attempt that was let go of may still be in here.
    is_left: AtomicBool,
}

impl Home {
    /// Makes one.
    pub(super) fn make(parent: &Path, launchers: &Path) -> io::Result<Self> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let dir = parent.join(format!("{PREFIX}{}", now.as_nanos()));
        // By this name only once it is locked: nobody takes it for that of a dead pool.
        let made = parent.join(format!("{NEW_PREFIX}{}", now.as_nanos()));
        DirBuilder::new().mode(PASSABLE).create(&made)?;
        // Whatever our umask is: the jobs' users have to get through.
        fs::set_permissions(&made, Permissions::from_mode(PASSABLE))?;
        let mut create = OpenOptions::new();
        let create = create.read(true).write(true).create_new(true).mode(0o600);
        let notes = create.open(made.join(NOTES))?;
        flock(&notes, FlockOperation::NonBlockingLockExclusive)?;
        fs::write(made.join(LAUNCHERS), launchers.as_os_str().as_bytes())?;
        fs::rename(made, &dir)?;
        Ok(Self {
            dir,
            notes,
            is_left: AtomicBool::new(false),
        })
    }

    pub(super) fn is_in(&self, parent: &Path) -> bool {
        self.dir.parent() == Some(parent)
    }

    pub(super) fn slot(&self, number: u32) -> PathBuf {
        self.dir.join(number.to_string())
    }

    /// Writes down to whom a slot is given.
    pub(super) fn note(&self, number: u32, attempt: AttemptId) -> io::Result<()> {
        use std::io::Write as _;
        let mut record = [b' '; RECORD];
        writeln!(&mut record[..], "{attempt}")?;
        self.notes
            .write_all_at(&record, u64::from(number) * RECORD as u64)
    }

    /// Says that an attempt runs on in here.
    pub(super) fn on_left(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }

    /// Removes it. The pool has no slot any more.
    pub(super) fn close(&self) {
        if !self.is_left.load(Ordering::Relaxed) || !has_slots(&self.dir) {
            remove_or_warn(&self.dir);
        }
    }
}

/// Removes what pools of earlier lives left, but for what belongs to attempts that run. What belongs to other launchers is
/// left alone: nobody here knows what runs there.
pub(super) fn sweep(parent: &Path, launchers: &Path, runs: impl Fn(AttemptId) -> bool) {
    for (name, dir) in entries(parent) {
        // From before there were slots: nothing in it was ever in use.
        if name.starts_with(OLD_PREFIX) || is_abandoned(&name) {
            remove_or_warn(&dir);
        }
        if !name.starts_with(PREFIX) {
            continue;
        }
        let key = fs::read(dir.join(LAUNCHERS)).unwrap_or_default();
        let is_ours = key == launchers.as_os_str().as_bytes();
        let Some(notes) = dead_notes(&dir).filter(|_| is_ours) else {
            continue;
        };
        for (number, slot) in entries(&dir) {
            let attempt = number.parse().ok().and_then(|number| read(&notes, number));
            let is_slot = number.parse::<u32>().is_ok();
            if is_slot && !attempt.is_some_and(&runs) {
                remove_or_warn(&slot);
            }
        }
        if !has_slots(&dir) {
            remove_or_warn(&dir);
        }
    }
}

/// Whether this is the directory of a pool that died while it was made.
fn is_abandoned(name: &str) -> bool {
    let made = name
        .strip_prefix(NEW_PREFIX)
        .and_then(|made| made.parse().ok());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    made.is_some_and(|made| now.as_nanos().saturating_sub(made) > ABANDONED.as_nanos())
}

/// The slot that any pool gave to an attempt.
pub(super) fn find(parent: &Path, attempt: AttemptId) -> Option<PathBuf> {
    let homes = entries(parent).filter(|(name, _)| name.starts_with(PREFIX));
    for (_, dir) in homes {
        let Ok(notes) = File::open(dir.join(NOTES)) else {
            continue;
        };
        let is_it = |number: &u32| read(&notes, *number) == Some(attempt);
        let numbers = entries(&dir).filter_map(|(name, _)| name.parse().ok());
        if let Some(number) = { numbers }.find(is_it) {
            return Some(dir.join(number.to_string()));
        }
    }
    None
}

/// Removes a slot that was found, and what is around it if it was the last.
pub(super) fn remove_found(slot: &Path) {
    remove_or_warn(slot);
    if let Some(dir) = slot.parent()
        && dead_notes(dir).is_some()
        && !has_slots(dir)
    {
        remove_or_warn(dir);
    }
}

pub(super) fn remove_or_warn(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "files of an attempt could not be removed");
    }
}

/// The notes of a pool that is gone, locked.
fn dead_notes(dir: &Path) -> Option<File> {
    let notes = File::open(dir.join(NOTES)).ok()?;
    flock(&notes, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(notes)
}

fn has_slots(dir: &Path) -> bool {
    entries(dir).any(|(name, _)| name.parse::<u32>().is_ok())
}

fn read(notes: &File, number: u32) -> Option<AttemptId> {
    let mut record = [0; RECORD];
    notes
        .read_exact_at(&mut record, u64::from(number) * RECORD as u64)
        .ok()?;
    str::from_utf8(&record).ok()?.trim_end().parse().ok()
}

/// What is in a directory, by name.
fn entries(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

const PREFIX: &str = ".slots-";
const NEW_PREFIX: &str = ".new-slots-";
/// How long nobody takes to make the directory of a pool.
const ABANDONED: Duration = Duration::from_mins(10);
const OLD_PREFIX: &str = ".free-";
const NOTES: &str = "attempts";
const LAUNCHERS: &str = "launchers";
/// How long what is written down of one slot is: the longest name of an attempt, and a bit.
const RECORD: usize = 64;
