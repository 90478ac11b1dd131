//! The output of one attempt.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jobyard_core::{AttemptId, LogChunk, LogEnd, MAX_CHUNK_BYTES, OutputStream, Timestamp};
use jobyard_launcher::spool::frame::{self, HEADER_BYTES};
use jobyard_launcher::spool::{SEGMENT_BYTES, segment_path};
use tokio::sync::watch;

/// The output of one attempt: written by its executor, read by the uploader, deleted from its head. Calls that touch
/// files block.
#[derive(Debug)]
pub struct SpoolLog {
    attempt: AttemptId,
    dir: PathBuf,
    segment_bytes: u64,
    inner: Mutex<Inner>,
    progress: watch::Sender<LogProgress>,
}

/// How far the output of an attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogProgress {
    /// The offset after the last byte.
    pub end: u64,
    /// Where the output ends, once nothing more comes.
    pub closed: Option<LogEnd>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many bytes are kept.
    limit: u64,
    /// The offsets at which the segments begin that are still there.
    segments: VecDeque<u64>,
    /// The last segment, open.
    file: Option<File>,
    end: u64,
    dropped: u64,
    /// Something was not kept, so nothing that follows may be.
    cut: bool,
    closed: Option<LogEnd>,
}

impl SpoolLog {
    /// An attempt without output so far. Touches no file.
    pub(super) fn new(attempt: AttemptId, dir: PathBuf, limit: u64) -> Self {
        Self {
            attempt,
            dir,
            segment_bytes: SEGMENT_BYTES,
            inner: Mutex::new(Inner {
                limit,
                ..Inner::default()
            }),
            progress: watch::Sender::default(),
        }
    }

    /// The output that an earlier life left in `dir`, without what was cut off at its end. Blocks.
    pub(super) fn recover(attempt: AttemptId, dir: PathBuf, limit: u64) -> io::Result<Self> {
        let mut log = Self::new(attempt, dir, limit);
        let mut segments: Vec<u64> = Vec::new();
        for entry in fs::read_dir(&log.dir)? {
            segments.extend(
                entry?
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<u64>().ok()),
            );
        }
        segments.sort_unstable();
        let mut end = 0;
        if let Some(last) = segments.last().copied() {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .open(segment_path(&log.dir, last))?;
            let (at, length) = scan(&file, last)?;
            file.set_len(length)?;
            end = at;
            log.inner = Mutex::new(Inner {
                limit,
                segments: segments.into(),
                file: Some(file),
                end,
                ..Inner::default()
            });
        }
        log.progress.send_replace(LogProgress { end, closed: None });
        Ok(log)
    }

    /// Sets how many bytes are kept of what is still to come.
    pub(super) fn set_limit(&self, limit: u64) {
        self.lock().limit = limit;
    }

    /// Whether there may be files.
    pub(super) fn has_files(&self) -> bool {
        self.progress().end > 0 || self.lock().cut
    }

    /// Whose output this is.
    pub const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// How far it is. The receiver is woken by each change.
    pub fn watch(&self) -> watch::Receiver<LogProgress> {
        self.progress.subscribe()
    }

    /// How far it is now.
    pub fn progress(&self) -> LogProgress {
        *self.progress.borrow()
    }

    /// The offset of the first byte that is still here.
    pub fn first(&self) -> u64 {
        let inner = self.lock();
        inner.segments.front().copied().unwrap_or(inner.end)
    }

    /// Adds output. What exceeds the limit, or what the disk does not take, is counted as dropped. Blocks.
    pub fn write(&self, stream: OutputStream, at: Timestamp, bytes: &Bytes) {
        let mut inner = self.lock();
        if inner.closed.is_some() {
            return;
        }
        let room = if inner.cut {
            0
        } else {
            inner.limit.saturating_sub(inner.end)
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut rest = bytes.clone();
        let mut kept = rest.split_to(room.min(rest.len()));
        while !kept.is_empty() {
            let chunk = kept.split_to(kept.len().min(MAX_CHUNK_BYTES));
            let length = chunk.len() as u64;
            let chunk = LogChunk::new(inner.end, stream, at, chunk);
            if let Err(error) = self.append(&mut inner, &chunk) {
                tracing::warn!(attempt = %self.attempt, offset = chunk.offset, %error,
                    "output could not be kept: it is dropped from here on");
                inner.dropped += length + kept.len() as u64;
                inner.cut = true;
                break;
            }
            inner.end += length;
        }
        if !rest.is_empty() {
            inner.dropped += rest.len() as u64;
            inner.cut = true;
        }
        let end = inner.end;
        drop(inner);
        self.progress.send_if_modified(|progress| {
            let changed = progress.end != end;
            progress.end = progress.end.max(end);
            changed
        });
    }

    /// Says that nothing more comes, and where the output ends. A repeat changes nothing.
    pub fn close(&self) -> LogEnd {
        let mut inner = self.lock();
        let end = LogEnd {
            bytes: inner.end,
            dropped: inner.dropped,
        };
        let end = *inner.closed.get_or_insert(end);
        inner.file = None;
        drop(inner);
        self.progress
            .send_modify(|progress| progress.closed = Some(end));
        end
    }

    /// As [`close`](Self::close), for output of which an earlier life has reported this end.
    pub(super) fn close_at(&self, end: LogEnd) {
        self.lock().closed = Some(end);
        self.close();
    }

    /// Deletes what lies below this offset, by whole segments; with the last byte everything, once it is closed.
    /// Blocks.
    pub fn trim(&self, durable: u64) {
        let mut inner = self.lock();
        let closed = inner.closed.is_some();
        while let Some(start) = inner.segments.front().copied() {
            let end = match inner.segments.get(1) {
                Some(next) => *next,
                None if closed => inner.end,
                None => break,
            };
            if end > durable {
                break;
            }
            if let Err(error) = fs::remove_file(self.segment(start)) {
                tracing::debug!(attempt = %self.attempt, %error, "a segment could not be deleted");
            }
            inner.segments.pop_front();
        }
    }

    /// Deletes everything. Blocks.
    pub(super) fn remove(&self) {
        let mut inner = self.lock();
        inner.file = None;
        inner.segments.clear();
        inner.cut = true;
        remove_dir(&self.dir);
    }

    /// The segment in which this offset lies, if it is still here.
    pub(super) fn segment_of(&self, offset: u64) -> Option<(u64, PathBuf)> {
        let inner = self.lock();
        let start = inner
            .segments
            .iter()
            .rev()
            .find(|start| **start <= offset)
            .copied()?;
        (offset < inner.end).then(|| (start, self.segment(start)))
    }

    fn append(&self, inner: &mut Inner, chunk: &LogChunk) -> io::Result<()> {
        let begun = inner.segments.back().copied();
        let is_full = begun.is_some_and(|start| chunk.offset - start >= self.segment_bytes);
        if is_full || inner.file.is_none() {
            inner.file = Some(self.begin_segment(chunk.offset)?);
            inner.segments.push_back(chunk.offset);
        }
        let Some(file) = &mut inner.file else {
            return Ok(());
        };
        file.write_all(&frame::encode(chunk))
    }

    fn begin_segment(&self, start: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(self.segment(start)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.create(&self.dir)?;
                options.open(self.segment(start))
            }
            other => other,
        }
    }

    fn segment(&self, start: u64) -> PathBuf {
        segment_path(&self.dir, start)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half done by a panic that could make the values wrong: they are numbers.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a directory of the spool, if it is there.
pub(super) fn remove_dir(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %dir.display(), %error, "output could not be deleted");
        }
        _ => {}
    }
}

/// Where the whole frames of a segment end: as an offset of the sequence, and as a length of the file.
fn scan(file: &File, start: u64) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::new(file);
    let (mut end, mut length) = (start, 0);
    while let Some(chunk) = frame::read(&mut reader)? {
        if chunk.offset != end {
            break;
        }
        end = chunk.end();
        length += (HEADER_BYTES + chunk.bytes.len()) as u64;
    }
    Ok((end, length))
}

#[cfg(test)]
mod tests;
