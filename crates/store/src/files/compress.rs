//! Turning the segments of a log that is over into one compressed file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jobyard_core::{AttemptId, LogEnd};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::frame::Frame;
use super::index::{Kept, SealedFile};
use super::layout::{Layout, owner_only};
use super::log::Log;
use super::names::Kind;
use super::recover::{RecoverError, read_index, signed};
use super::segment::{ScanError, SegmentScan};
use crate::page_cache::forget_cached;
use crate::sealed::{Digests, SealedIndex, SealedWriter, decode};

/// Why a log stays as it is.
#[derive(Debug)]
pub(super) enum CompressError {
    /// What is there is not what was written. It stays for whoever can make something of it.
    Damaged(String),
    /// Something to repeat later.
    Later(String),
}

impl From<io::Error> for CompressError {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<RecoverError> for CompressError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Damaged(problem) => Self::Damaged(problem),
            RecoverError::Io(error) => error.into(),
        }
    }
}

/// One log to be compressed. Holds no lock and nothing of the store, so that nobody waits for it: the log is over, and
/// its segments stay until the file that replaces them has been read back.
#[derive(Debug)]
pub(super) struct Compression {
    attempt: AttemptId,
    end: LogEnd,
    held: u64,
    /// Path, base and length.
    segments: Vec<(PathBuf, u64, u64)>,
    to: PathBuf,
    cancelled: Arc<AtomicBool>,
}

/// Tells a thread that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Compression {
    /// Of this log, if it is over and still in segments.
    pub(super) fn of(layout: &Layout, log: &Log) -> Option<Self> {
        let (segments, end) = log.sealed_segments()?;
        let attempt = log.attempt();
        let segments = segments.into_iter();
        Some(Self {
            attempt,
            end,
            held: log.status().end,
            segments: segments
                .map(|segment| {
                    let path = layout.path(attempt, segment.base);
                    (path, segment.base, segment.len)
                })
                .collect(),
            to: layout.file(attempt, Kind::SealedPartial),
            cancelled: Arc::default(),
        })
    }

    /// The room that the segments take.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|(.., len)| len).sum()
    }

    /// How many bytes of output there are.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// Does it on a thread of its own, behind everything else that wants a processor. A thread whose result nobody
    /// waits for any more ends soon, and keeps its turn until then; what it leaves is overwritten by the next one.
    pub(super) async fn run_aside(
        self,
        turn: OwnedMutexGuard<()>,
    ) -> Result<SealedFile, CompressError> {
        let _guard = CancelOnDrop(Arc::clone(&self.cancelled));
        let (done, result) = oneshot::channel();
        std::thread::Builder::new()
            .name("jobyard-seal".to_owned())
            .spawn(move || {
                step_back();
                let _ = done.send(self.run());
                drop(turn);
            })?;
        result
            .await
            .unwrap_or_else(|_| Err(CompressError::Later("the thread is gone".to_owned())))
    }

    /// Writes the file and reads it back, or leaves none: on a disk that is full it would take the last room.
    fn run(self) -> Result<SealedFile, CompressError> {
        let done = self.write_and_verify();
        // If nobody waits for it any more, the name may be that of the file of the next one, which another store writes.
        if done.is_err() && !self.cancelled.load(Ordering::Relaxed) {
            let _ = fs::remove_file(&self.to);
        }
        done
    }

    fn write_and_verify(&self) -> Result<SealedFile, CompressError> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        let file = owner_only(options).open(&self.to)?;
        let mut writer = SealedWriter::begin(file, self.attempt, self.end);
        let mut reached = 0;
        for (path, base, len) in &self.segments {
            if *base != reached {
                // One that is cut between two frames looks whole by itself.
                let problem = format!("bytes from {reached} on are missing before {base}");
                return Err(CompressError::Damaged(problem));
            }
            reached = self.copy_segment(path, *base, *len, &mut writer)?;
        }
        let (index, bytes) = writer.finish()?;
        if index.held != self.held {
            let problem = format!("its segments hold {} of {} bytes", index.held, self.held);
            return Err(CompressError::Damaged(problem));
        }
        self.verify(&index)?;
        Ok(SealedFile { index, bytes })
    }

    /// Says where it ends.
    fn copy_segment(
        &self,
        path: &Path,
        base: u64,
        len: u64,
        writer: &mut SealedWriter,
    ) -> Result<u64, CompressError> {
        let unreadable = |error| match error {
            ScanError::Io(error) => error.into(),
            ScanError::Bad { position, problem } => CompressError::Damaged(format!(
                "{problem} at byte {position} of the segment from {base}"
            )),
        };
        let file = File::open(path)?;
        let mut scan = SegmentScan::begin(file, self.attempt, base, len).map_err(unreadable)?;
        while let Some(frame) = scan.next(0, |_| ()).map_err(unreadable)? {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(CompressError::Later("it was interrupted".to_owned()));
            }
            if let Frame::Chunk(chunk) = frame {
                writer.chunk(&chunk)?;
            }
        }
        Ok(scan.place().offset)
    }

    /// Whether the file gives back what the segments gave: the same bytes, in the same chunks.
    fn verify(&self, written: &SealedIndex) -> Result<(), CompressError> {
        let differs = || CompressError::Later("what was written reads back differently".to_owned());
        // What is to be read is what the disk holds.
        forget_cached(&File::open(&self.to)?);
        let index = read_index(&self.to, self.attempt).map_err(|_| differs())?;
        let mut digests = Digests::default();
        let mut file = File::open(&self.to)?;
        for block in &index.blocks {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(CompressError::Later("it was interrupted".to_owned()));
            }
            let mut frames = vec![0; usize::try_from(block.size()).map_err(io::Error::other)?];
            file.read_exact(&mut frames)?;
            let chunks = decode(&frames, block).map_err(|_| differs())?;
            for chunk in &chunks {
                digests.add(chunk);
            }
        }
        if digests.finish() != (written.bytes, written.chunks) || index != *written {
            return Err(differs());
        }
        Ok(())
    }
}

/// Puts the file in the place of the segments, unless the log was removed meanwhile. In turn.
pub(super) fn publish(
    layout: &Layout,
    log: &Log,
    file: SealedFile,
    removals: u64,
) -> io::Result<()> {
    let attempt = log.attempt();
    let partial = layout.file(attempt, Kind::SealedPartial);
    let Some((segments, _)) = log.sealed_segments().filter(|_| log.removals() == removals) else {
        return match fs::remove_file(partial) {
            // The removal took it along.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
    };
    fs::rename(partial, layout.file(attempt, Kind::Sealed))?;
    layout.sync_names(attempt)?;
    layout.count(0, signed(file.bytes));
    log.move_to(Kept::Sealed(Arc::new(file)));
    for segment in segments.iter().rev() {
        fs::remove_file(layout.path(attempt, segment.base))?;
        layout.count(0, -signed(segment.len));
    }
    Ok(())
}

/// Reads a whole sealed file, compares each part of it with its index, and gives the digest of all of it.
pub(super) fn checked_sum(
    path: &Path,
    attempt: AttemptId,
    file: &SealedFile,
) -> Result<[u8; 32], CompressError> {
    let mut from = File::open(path)?;
    let mut all = Sha256::new();
    for block in &file.index.blocks {
        let mut frames = vec![0; usize::try_from(block.size()).map_err(io::Error::other)?];
        from.read_exact(&mut frames)?;
        decode(&frames, block).map_err(|problem| CompressError::Damaged(problem.to_owned()))?;
        all.update(&frames);
    }
    let mut tail = Vec::new();
    from.read_to_end(&mut tail)?;
    if !SealedIndex::parse(&tail, file.bytes, attempt).is_ok_and(|index| index == file.index) {
        let problem = "the index of the sealed file is not what was written";
        return Err(CompressError::Damaged(problem.to_owned()));
    }
    all.update(&tail);
    Ok(all.finalize().into())
}

/// Everything else goes first. Where that cannot be said, the scheduler of the system has to be fair.
fn step_back() {
    // On Linux this is about the calling thread alone.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}
