//! The log store over segment files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jobyard_core::{
    AppendError, Appended, AttemptId, Epoch, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    LogUsage,
};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::spawn_blocking;

use super::cache::Cache;
use super::chores::{Chores, Wishes};
use super::layout::{Layout, LayoutError};
use super::log::{Log, not_written};
use super::recover::RecoverError;
use crate::archive::{LogArchive, Place};
use crate::chunks;

/// From how many bytes of segments on a log is compressed when it is over. A file takes a block of the disk at least,
/// and that is 4 KiB on most: compressing a shorter log costs two forced writes and frees nothing.
const COMPRESS_FROM_BYTES: u64 = 4_096 + 1;

/// How many operations are at the disk at once. More wait: beyond this a disk only gets slower.
const DISK_OPERATIONS: usize = 32;

/// Why a directory of logs could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLogsError {
    /// Another process uses the directory. Stop it first, or name another directory.
    #[error("{} is in use by another process", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// The disk refused. Repeat it when the cause is gone.
    #[error("{} could not be opened: {problem}", path.display())]
    Storage {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
}

/// Keeps output in files below one directory.
///
/// # On disk
///
/// The log of an attempt is a row of segment files `XX/YY/JOB.NUMBER.BASE.log`: `XX` and `YY` are the last two bytes of
/// the job's id in hexadecimal, so that a million logs do not share a directory; `BASE` is the offset of the first
/// byte in the attempt's sequence, in 20 decimal digits. A segment that has reached 8 MiB is followed by the next. A
/// file is made when there is something to put into it. All numbers in files are little-endian.
///
/// | segment header | bytes | |
/// |---|---|---|
/// | magic | 8 | `JOBYLOG1`, the last character is the version |
/// | job | 16 | its UUID |
/// | number | 4 | of the attempt |
/// | base | 8 | as in the name |
/// | checksum | 4 | CRC-32 (IEEE) of the above |
///
/// Frames follow, without gaps:
///
/// | frame | bytes | |
/// |---|---|---|
/// | checksum | 4 | CRC-32 of all that follows, the payload included |
/// | length | 4 | of the payload, at most 64 KiB |
/// | offset | 8 | of the payload in the attempt's sequence; for a seal, what is held |
/// | time | 8 | microseconds since 1970, signed; the worker's clock |
/// | synced | 4 | how many bytes of this file were durable before this frame was written |
/// | kind | 1 | 0 stdout, 1 stderr, 2 seal |
/// | reserved | 3 | zero |
/// | payload | | the bytes; for a seal: where the sequence ends (8), how much was dropped (8) |
///
/// # When a log is over
///
/// [`settle`](Self::settle) and [`maintain`](LogStore::maintain) turn the segments of a sealed log into one file
/// `JOB.NUMBER.zst`, see [`LogOptions`]. It is in the standard seekable format of zstd: any decoder gives back the byte
/// sequence of the attempt. Blocks of 256 KiB (a chunk more at most, and at most 65,536 chunks) follow each other:
///
/// | block | |
/// |---|---|
/// | skippable frame `0x184D2A5A` | the chunks, compressed by zstd: of each its length times two, plus one for stderr; and the difference of its time to that of the chunk before. Both with seven bits a byte, the lowest first; the difference as `2n`, or `-2n - 1` below zero |
/// | zstd frame, with checksum | the bytes |
///
/// Then the index, a skippable frame `0x184D2A5B`:
///
/// | index | bytes | |
/// |---|---|---|
/// | magic | 8 | `JOBYZST1`, the last character is the version |
/// | job, number | 16, 4 | whose log it is |
/// | blocks | 4 | how many |
/// | held, end, dropped | 3 x 8 | bytes that are held; the end that was sealed |
/// | digests | 3 x 32 | SHA-256 of the byte sequence; of the chunks, each as offset (8), stream (1), time (8), length (8), bytes; of the seek table |
/// | of each block | 56 | its bytes of the sequence, the lengths of its two frames, its chunks (4 each); the time of its first chunk (8); SHA-256 of both frames (32) |
/// | digest | 32 | SHA-256 of the above |
///
/// and the seek table, with two entries for each block and one for the index. What is written is read back and compared
/// before it gets its name. Then the segments go.
///
/// In an archive the same file has the name `XX/YY/JOB.NUMBER.DIGEST.zst`, with the first 16 digits of its SHA-256. What
/// stays is `JOB.NUMBER.SIZE.archived`: a line of JSON that names it and says how the log stands, and the CRC-32 of that
/// line. The same as `.removing` says what is to be removed from the archive: it is there before anything of a log is put
/// there and gets its other name when all is, and a log that is removed leaves it. If there are several forms of one log,
/// a crash came in between: an archived one counts before a sealed one, and that before segments, which go.
///
/// # After a crash
///
/// An append is one run of writes and one `fdatasync`, and nobody sees its bytes before that has returned. A crash
/// leaves an unfinished write at the end of the last segment: from the first frame there that is not whole or does not
/// match its checksum the segment is cut off. If a later frame says by its `synced` that the spoilt place was durable,
/// it was not a crash: that, and whatever is wrong in an earlier segment, is [`LogReadError::Damaged`], and such a log
/// takes no more bytes.
///
/// # Beyond the contract
///
/// * Sealing a log that has and should have no bytes writes nothing, since the end of each log stands in the attempt's
///   record as well: after a restart, or when it was not used for long, such a log is open and empty again. Ask the
///   attempt's record before following the log of an attempt that is over.
/// * The highest epoch that was seen is kept in memory; while the directory is open no other process can open it.
/// * Appends to one attempt go one after another, those of different attempts beside each other. Each costs one
///   `fdatasync`: whoever gathers what arrives during one append for the next, a few MiB at most, gets the disk's speed.
#[derive(Debug)]
pub struct FileLogs {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) layout: Layout,
    cache: Cache,
    /// The highest epoch that was seen.
    epoch: AtomicU64,
    disk: Arc<Semaphore>,
    /// The archive.
    pub(super) place: Option<Place>,
    pub(super) wishes: Wishes,
    pub(super) chores: Chores,
}

impl Shared {
    /// What a look at the directory has found worth a second one.
    pub(super) fn remember_candidates(&self) {
        let (candidates, left_out) = self.layout.take_candidates();
        for attempt in candidates {
            self.chores.add(attempt);
        }
        if left_out {
            self.chores.leave_out();
        }
    }
}

/// How output is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogOptions {
    /// From how many bytes of segment files on a log is compressed once it is sealed. `None`: never. With an archive all
    /// logs that hold a byte are, since they go there in this form.
    pub compress_from: Option<u64>,
    /// Where compressed logs are moved. `None`: they stay in the directory. A store with an archive needs a runtime with
    /// timers.
    pub archive: Option<Arc<dyn LogArchive>>,
}

impl Default for LogOptions {
    /// What takes more than a block of the disk is compressed, and stays.
    fn default() -> Self {
        Self {
            compress_from: Some(COMPRESS_FROM_BYTES),
            archive: None,
        }
    }
}

/// The turn to change a log. Whatever runs in turn owns it, so that it ends in turn even if nobody waits for it.
type TurnGuard = OwnedMutexGuard<()>;

impl FileLogs {
    /// Opens a directory, or makes it. Blocks, and looks at each file in it once to know how much room they take: meant
    /// for the start of a program, or for a blocking thread.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, OpenLogsError> {
        Self::open_with(directory, LogOptions::default())
    }

    /// The same with a choice of how output is kept.
    pub fn open_with(
        directory: impl AsRef<Path>,
        options: LogOptions,
    ) -> Result<Self, OpenLogsError> {
        let directory = directory.as_ref();
        let wishes = Wishes {
            compress_from: options.compress_from,
            archive: options.archive.is_some(),
        };
        let layout = Layout::open(directory, |files| wishes.concern(files));
        let layout = layout.map_err(|error| {
            let path = directory.to_owned();
            match error {
                LayoutError::Held => OpenLogsError::Held { path },
                LayoutError::Io(error) => OpenLogsError::Storage {
                    path,
                    problem: error.to_string(),
                },
            }
        })?;
        let shared = Shared {
            layout,
            cache: Cache::default(),
            epoch: AtomicU64::new(0),
            disk: Arc::new(Semaphore::new(DISK_OPERATIONS)),
            place: options.archive.map(Place::new),
            wishes,
            chores: Chores::default(),
        };
        shared.remember_candidates();
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Refuses older epochs than the highest that was seen.
    fn fence(&self, epoch: Epoch) -> Result<(), AppendError> {
        let seen = self.shared.epoch.fetch_max(epoch.0, Ordering::AcqRel);
        if epoch.0 < seen {
            return Err(AppendError::Fenced {
                current: Epoch(seen),
            });
        }
        Ok(())
    }

    /// The log of an attempt, and the turn to change it.
    pub(super) async fn in_turn(&self, attempt: AttemptId) -> (Arc<Log>, TurnGuard) {
        let log = self.shared.cache.log(attempt);
        let turn = Arc::clone(&log.turn).lock_owned().await;
        (log, turn)
    }

    /// The log of an attempt, once it is known how it stands.
    pub(super) async fn known(&self, attempt: AttemptId) -> Result<Arc<Log>, LogReadError> {
        let log = self.shared.cache.log(attempt);
        if log.is_known() {
            return Ok(log);
        }
        let (log, turn) = self.in_turn(attempt).await;
        if log.know_if_empty(&self.shared.layout) {
            return Ok(log);
        }
        self.at_disk(log, move |shared, log| {
            let _turn = turn;
            log.know(&shared.layout)?;
            Ok(Arc::clone(log))
        })
        .await
        .map_err(storage)?
        .map_err(|error| match error {
            RecoverError::Damaged(problem) => LogReadError::Damaged { attempt, problem },
            RecoverError::Io(error) => storage(error.to_string()),
        })
    }

    /// Does something away from the threads of the runtime. It ends even if the caller loses interest.
    pub(super) async fn at_disk<T, F>(&self, log: Arc<Log>, work: F) -> Result<T, String>
    where
        T: Send + 'static,
        F: FnOnce(&Shared, &Arc<Log>) -> T + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let permit = Arc::clone(&shared.disk)
            .acquire_owned()
            .await
            .map_err(|error| error.to_string())?;
        spawn_blocking(move || {
            let done = work(&shared, &log);
            drop(permit);
            done
        })
        .await
        .map_err(|_| "the runtime is shutting down".to_owned())
    }
}

#[async_trait]
impl LogStore for FileLogs {
    async fn append(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        chunks: Vec<LogChunk>,
    ) -> Result<Appended, AppendError> {
        let span = chunks::span(&chunks)?;
        self.fence(epoch)?;
        let Some(span) = span else {
            let log = self.known(attempt).await.map_err(not_written)?;
            let to = log.status().end;
            return Ok(Appended::Durable { to });
        };
        let (log, turn) = self.in_turn(attempt).await;
        // Again: while this append waited its turn, a newer master may have come.
        self.fence(epoch)?;
        let chunks = Arc::new(chunks);
        let given = Arc::clone(&chunks);
        let appended = self
            .at_disk(Arc::clone(&log), move |shared, log| {
                let _turn = turn;
                log.append(&shared.layout, &given, span)
            })
            .await
            .map_err(|problem| AppendError::Storage { problem })??;
        match appended {
            Some(appended) => Ok(appended),
            None => self.repeat(&log, &chunks, span).await,
        }
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        let log = self.known(attempt).await?;
        self.read_log(&log, from, limit).await
    }

    async fn watch(&self, attempt: AttemptId, from: u64) -> Result<LogStatus, LogReadError> {
        let log = self.known(attempt).await?;
        let mut status = log.follow();
        let found = status
            .wait_for(|status| status.end > from || status.is_sealed())
            .await;
        match found {
            Ok(status) => Ok(*status),
            Err(_) => Err(storage("the log is gone".to_owned())),
        }
    }

    async fn status(&self, attempt: AttemptId) -> Result<LogStatus, LogReadError> {
        Ok(self.known(attempt).await?.status())
    }

    async fn seal(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        end: LogEnd,
    ) -> Result<LogStatus, AppendError> {
        self.fence(epoch)?;
        let (log, turn) = self.in_turn(attempt).await;
        self.fence(epoch)?;
        if log.know_if_empty(&self.shared.layout)
            && let Some(status) = log.seal_in_memory(end)?
        {
            return Ok(status);
        }
        self.at_disk(log, move |shared, log| {
            let _turn = turn;
            let sealed = log.seal(&shared.layout, end)?;
            let segments = log.sealed_segments().map(|(segments, _)| segments);
            let bytes = segments.iter().flatten().map(|segment| segment.len).sum();
            if sealed.end > 0 && shared.wishes.are_for_bytes(bytes) {
                shared.chores.add(attempt);
            }
            Ok(sealed)
        })
        .await
        .map_err(|problem| AppendError::Storage { problem })?
    }

    async fn usage(&self) -> Result<LogUsage, LogReadError> {
        Ok(self.shared.layout.usage())
    }

    async fn usage_of(&self, attempt: AttemptId) -> Result<LogUsage, LogReadError> {
        let log = self.shared.cache.log(attempt);
        let found = self
            .at_disk(log, move |shared, _| shared.layout.files_of(attempt))
            .await
            .map_err(storage)?
            .map_err(|error| storage(error.to_string()))?;
        let mut usage = LogUsage::new(u64::from(found.is_log()), found.bytes());
        // What is noted only, because it is on its way there, still takes its room here.
        usage.archived = found.archived.map_or(0, |(bytes, _)| bytes);
        Ok(usage)
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), LogReadError> {
        let (log, turn) = self.in_turn(attempt).await;
        let is_archived = self
            .at_disk(log, move |shared, log| {
                let _turn = turn;
                log.remove(&shared.layout)
            })
            .await
            .map_err(storage)?
            .map_err(|error| storage(error.to_string()))?;
        if is_archived {
            self.shared.chores.add(attempt);
        }
        Ok(())
    }

    async fn maintain(&self) {
        self.keep_settling().await;
    }
}

pub(super) fn storage(problem: String) -> LogReadError {
    LogReadError::Storage { problem }
}
