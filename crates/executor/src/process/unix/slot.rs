//! The two private directories of an attempt, in a place where they stay for the next one.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Dir, Mode, OFlags, Stat, flistxattr, fstat, lstat, openat};

use super::home::Home;
use super::removal::remove_tree;
use super::{Owner, PRIVATE, TMP, WORK};

/// A pair of private directories, `work` and `tmp`. They are used again only if they are proven to be as they were made:
/// no entry, the mode and the owner that they were given, no extended attribute.
///
/// A look at what is in them proves that. It is spared where the time of their last change, which the kernel keeps and
/// nobody can set, is still that of such a look.
#[derive(Debug)]
pub(super) struct Slot {
    home: Arc<Home>,
    number: u32,
    /// `work` and `tmp`.
    paths: [PathBuf; 2],
    owner: Owner,
    /// What identifies each directory in the state that was proven.
    proven: [Mark; 2],
    proven_at: Instant,
    /// When it was last known to be as it was made.
    seen_at: Instant,
    /// When somebody was last seen to get through to it who is not its owner's superior.
    way_seen_at: Option<Instant>,
    /// When it was last given to an attempt.
    taken_at: Instant,
}

/// What changes with every change of a directory, and with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    mode: u32,
    owner: Owner,
    /// So that what has the same mark is as quickly looked through as when it was made.
    size: i64,
    changed: (i64, i64),
}

impl Slot {
    /// Makes the directories.
    pub(super) fn make(home: Arc<Home>, number: u32, owner: Owner) -> io::Result<Self> {
        let dir = home.slot(number);
        let make = || DirBuilder::new().mode(PASSABLE).create(&dir);
        match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree(&dir)?;
                make()?;
            }
            done => done?,
        }
        // Whatever our umask is: the job's user has to get through.
        fs::set_permissions(&dir, Permissions::from_mode(PASSABLE))?;
        let mut marks = [None; 2];
        for (name, mark) in [WORK, TMP].into_iter().zip(&mut marks) {
            let path = dir.join(name);
            DirBuilder::new().mode(PRIVATE).create(&path)?;
            chown(&path, Some(owner.0), Some(owner.1))?;
            *mark = as_made(&path, owner);
        }
        let [Some(work), Some(tmp)] = marks else {
            remove_tree(&dir)?;
            return Err(io::Error::other("a directory is not as it was made"));
        };
        let now = Instant::now();
        Ok(Self {
            home,
            number,
            paths: [WORK, TMP].map(|name| dir.join(name)),
            owner,
            proven: [work, tmp],
            proven_at: now,
            seen_at: now,
            way_seen_at: None,
            taken_at: now,
        })
    }

    pub(super) const fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Where both directories are.
    pub(super) fn dir(&self) -> PathBuf {
        self.home.slot(self.number)
    }

    /// One of the two directories.
    pub(super) fn path(&self, name: &str) -> &Path {
        let [work, tmp] = &self.paths;
        if name == TMP { tmp } else { work }
    }

    /// Whether it was known to be good a moment ago, so that nobody needs to look.
    pub(super) fn is_fresh(&self) -> bool {
        self.seen_at.elapsed() < FRESH
    }

    /// Whether the way to it was known to be open a moment ago.
    pub(super) fn is_way_fresh(&self) -> bool {
        self.way_seen_at.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Says that the way to it was found open.
    pub(super) fn on_way_seen(&mut self) {
        self.way_seen_at = Some(Instant::now());
    }

    /// Whether it was taken a moment ago, so that all of it is still in the memory of the kernel.
    pub(super) fn is_brief(&self) -> bool {
        self.taken_at.elapsed() < FRESH
    }

    /// Gives it to an attempt, which is written down for a later life.
    pub(super) fn hand_out(&mut self, attempt: jobyard_core::AttemptId) -> io::Result<()> {
        self.taken_at = Instant::now();
        self.home.note(self.number, attempt)
    }

    /// Whether nothing was done to it since it was handed out, or put by, by one look at each directory; `false`: it
    /// takes more to know. Asks for what the kernel has in memory, of a slot that was in use a moment ago.
    pub(super) fn is_untouched(&mut self) -> bool {
        let is_same = self
            .paths
            .iter()
            .zip(&self.proven)
            .all(|(path, proven)| lstat(path).is_ok_and(|now| Mark::of(&now) == *proven));
        if !is_same {
            return false;
        }
        let since = self.taken_at.max(self.seen_at);
        if since.saturating_duration_since(self.proven_at) < GRAIN {
            // A change in the same moment as the proof would not show. What was made a moment ago, and has not grown, is
            // looked through in less time than it takes to have another thread do it.
            return self.prove();
        }
        self.seen_at = Instant::now();
        true
    }

    /// Whether it is as it was made, by looking at all there is to see. Blocks on the disk.
    pub(super) fn prove(&mut self) -> bool {
        let now = Instant::now();
        let [Some(work), Some(tmp)] = self.paths.each_ref().map(|path| as_made(path, self.owner))
        else {
            return false;
        };
        // With the same marks an earlier proof holds on: what is done from now on will show against it.
        if self.proven != [work, tmp] {
            self.proven = [work, tmp];
            self.proven_at = now;
        }
        self.seen_at = now;
        true
    }
}

#[cfg(test)]
impl Slot {
    /// As if its proof were of long ago.
    pub(super) fn age(&mut self) {
        self.proven_at = self
            .taken_at
            .checked_sub(GRAIN)
            .expect("the machine runs for longer");
    }
}

impl Mark {
    #[expect(
        clippy::useless_conversion,
        reason = "these have other types on other systems"
    )]
    fn of(found: &Stat) -> Self {
        Self {
            device: u64::try_from(found.st_dev).unwrap_or_default(),
            inode: u64::from(found.st_ino),
            mode: u32::from(found.st_mode),
            owner: (found.st_uid, found.st_gid),
            size: i64::from(found.st_size),
            changed: (
                i64::from(found.st_ctime),
                i64::try_from(found.st_ctime_nsec).unwrap_or_default(),
            ),
        }
    }
}

/// The mark of a directory that is empty and private to its owner, and nothing else.
fn as_made(path: &Path, owner: Owner) -> Option<Mark> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat(CWD, path, flags, Mode::empty()).ok()?;
    let found = fstat(&dir).ok()?;
    let is_private = Mode::from_raw_mode(found.st_mode) == Mode::RWXU;
    // A size is asked for; a system without attributes answers with an error.
    let has_attributes = flistxattr(&dir, &mut [0_u8; 0]).is_ok_and(|size| size > 0);
    if !is_private || has_attributes || (found.st_uid, found.st_gid) != owner {
        return None;
    }
    let is_nothing = |name: &[u8]| matches!(name, b"." | b"..");
    let is_empty = Dir::new(dir).ok()?.all(|entry| {
        // What cannot be read may be anything.
        entry.is_ok_and(|entry| is_nothing(entry.file_name().to_bytes()))
    });
    is_empty.then(|| Mark::of(&found))
}

/// The mode of directories through which others get, and in which they see nothing.
pub(super) const PASSABLE: u32 = 0o711;
/// For how long what was seen counts.
const FRESH: Duration = Duration::from_secs(1);
/// How far apart two changes have to be to have different times on any file system.
const GRAIN: Duration = Duration::from_secs(3);
