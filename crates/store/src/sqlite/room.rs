//! How much room there is, and the little that is kept for the worst case.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jobyard_core::Room;

/// How long an answer about free space counts: long against what asking costs, short against filling a disk.
const FRESH: Duration = Duration::from_secs(1);

/// Knows how much room there is without asking the disk each time.
#[derive(Debug)]
pub(crate) struct RoomGauge {
    /// A file on the file system in question.
    path: PathBuf,
    /// Below this new work is refused. 0: never.
    watermark: u64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When the disk was asked.
    at: Option<Instant>,
    /// What it said. `None` if it said nothing.
    disk: Option<u64>,
    /// What is left below the limit for the main file, if there is one.
    below_limit: Option<u64>,
    /// A commit found no room, and none has succeeded since.
    is_full: bool,
}

impl RoomGauge {
    pub(crate) fn new(path: &Path, watermark: u64) -> Self {
        Self {
            path: path.to_owned(),
            watermark,
            seen: Mutex::default(),
        }
    }

    /// What is known, if it is fresh. Does not block.
    pub(crate) fn known(&self) -> Option<Room> {
        let seen = self.seen();
        let is_fresh = seen.at.is_some_and(|at| at.elapsed() < FRESH);
        (is_fresh || self.watermark == 0).then(|| self.room(&seen))
    }

    /// Asks the disk, unless somebody has within the last second. May block.
    pub(crate) fn look(&self) -> Room {
        if let Some(room) = self.known() {
            return room;
        }
        let disk = free_bytes(&self.path);
        let mut seen = self.seen();
        seen.at = Some(Instant::now());
        seen.disk = disk;
        self.room(&seen)
    }

    /// A commit has succeeded, with this much left below the limit for the file.
    pub(crate) fn has_written(&self, below_limit: Option<u64>) {
        let mut seen = self.seen();
        seen.is_full = false;
        seen.below_limit = below_limit;
    }

    /// A commit found no room.
    pub(crate) fn is_full(&self) {
        let mut seen = self.seen();
        seen.is_full = true;
        seen.at = None;
    }

    /// Whether so many bytes more than the watermark are free.
    pub(crate) fn has_beyond(&self, bytes: u64) -> bool {
        self.look();
        let wanted = self.watermark.saturating_add(bytes);
        self.seen().disk.is_some_and(|free| free >= wanted)
    }

    fn room(&self, seen: &Seen) -> Room {
        let left = [seen.disk, seen.below_limit].into_iter().flatten().min();
        match left {
            // Right after a refusal only the disk knows better.
            _ if seen.is_full && self.watermark > 0 && !self.is_clearly_enough(seen) => Room::Low {
                free_bytes: left.unwrap_or(0),
                watermark_bytes: self.watermark,
            },
            Some(left) if left < self.watermark => Room::Low {
                free_bytes: left,
                watermark_bytes: self.watermark,
            },
            _ => Room::Enough,
        }
    }

    /// Whether the disk has said since the refusal that there is room again.
    fn is_clearly_enough(&self, seen: &Seen) -> bool {
        let above = |left: u64| left >= self.watermark;
        seen.disk.is_some_and(above) && seen.below_limit.is_none_or(above)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are free for this user where a file lies.
#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Not told here.
#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

/// What the writer does about room.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) gauge: Arc<RoomGauge>,
    pub(crate) reserve: Reserve,
    /// Whether the main file has a limit of its own.
    pub(crate) is_limited: bool,
}

/// A file that only takes room. It is given up when a commit finds none, so that what has begun can be finished even
/// if something else fills the disk to the last byte.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    is_there: bool,
}

impl Reserve {
    /// Finds out whether it is there.
    pub(crate) fn new(path: PathBuf, bytes: u64) -> Self {
        let is_there = fs::metadata(&path).is_ok_and(|found| found.len() >= bytes) && bytes > 0;
        Self {
            path,
            bytes,
            is_there,
        }
    }

    /// Gives the room back. Whether there was any.
    pub(crate) fn give_up(&mut self) -> bool {
        if !self.is_there {
            return false;
        }
        self.is_there = false;
        match fs::remove_file(&self.path) {
            Ok(()) => {
                tracing::error!(
                    bytes = self.bytes,
                    "the disk is full: the reserve was given up so that running jobs can be finished; make room"
                );
                true
            }
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "the reserve could not be given up");
                false
            }
        }
    }

    /// Takes the room again once there is plenty.
    pub(crate) fn restock(&mut self, gauge: &RoomGauge) {
        if self.is_there || self.bytes == 0 || !gauge.has_beyond(self.bytes) {
            return;
        }
        match self.take() {
            Ok(()) => self.is_there = true,
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "no room could be reserved");
                // Not again in this process: it would fail at each commit.
                self.bytes = 0;
                drop(fs::remove_file(&self.path));
            }
        }
    }

    fn take(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.path)?;
        allocate(&file, self.bytes)
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    Ok(())
}

/// Written, since a length alone takes no room.
#[cfg(not(target_os = "linux"))]
fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_low_below_the_watermark_and_after_a_refusal() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(RoomGauge::new(directory.path(), 1).look(), Room::Enough);
        let watermark_bytes = u64::MAX;
        let gauge = RoomGauge::new(directory.path(), watermark_bytes);
        assert!(!gauge.look().is_enough());
        assert_eq!(RoomGauge::new(directory.path(), 0).look(), Room::Enough);

        let gauge = RoomGauge::new(directory.path(), 1_000);
        gauge.has_written(Some(10));
        let free_bytes = 10;
        let watermark_bytes = 1_000;
        assert_eq!(
            gauge.look(),
            Room::Low {
                free_bytes,
                watermark_bytes
            }
        );
        gauge.has_written(Some(10_000));
        gauge.is_full();
        assert_eq!(gauge.known(), None, "it has to be asked again");
        assert_eq!(gauge.look(), Room::Enough);
    }

    #[test]
    fn reserve_is_given_up_once_and_restocked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reserve");
        let gauge = RoomGauge::new(directory.path(), 1);
        let mut reserve = Reserve::new(path.clone(), 4_096);
        assert!(!reserve.give_up(), "there is nothing yet");
        reserve.restock(&gauge);
        assert_eq!(fs::metadata(&path).unwrap().len(), 4_096);
        assert!(Reserve::new(path.clone(), 4_096).is_there);
        assert!(reserve.give_up());
        assert!(!path.exists());
        assert!(!reserve.give_up());
        let mut greedy = Reserve::new(path.clone(), u64::MAX / 2);
        greedy.restock(&gauge);
        assert!(!path.exists(), "there is no room for that much");
    }
}
