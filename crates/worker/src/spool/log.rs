//! The output of one attempt.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jobyard_core::{
    AttemptId, LogChunk, LogEnd, MAX_CHUNK_BYTES, OutputPlace, OutputProgress, OutputStream,
    Timestamp,
};
use jobyard_launcher::spool::frame::{self, HEADER_BYTES};
use jobyard_launcher::spool::{SEGMENT_BYTES, segment_path};
use tokio::sync::{Notify, watch};

use super::budget::{Budget, Claim};
use super::reader::is_gone;
use super::tombstone;

/// The output of one attempt: written by its executor, or by a launcher and only [followed](Self::follow); read by the
/// uploader, deleted from its head. Calls that touch files block.
#[derive(Debug)]
pub struct SpoolLog {
    attempt: AttemptId,
    dir: PathBuf,
    segment_bytes: u64,
    inner: Mutex<Inner>,
    progress: watch::Sender<LogProgress>,
    shortage: Arc<Notify>,
    budget: Arc<Budget>,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Inner {
    /// How many bytes are kept.
    limit: u64,
    /// The offsets at which the segments begin that are still there.
    segments: VecDeque<u64>,
    /// Another process has begun segments of which not all are in the list: the directory tells.
    unlisted: bool,
    writer: Writer,
    /// There is a directory from an earlier life.
    found: bool,
    end: u64,
    dropped: u64,
    /// Something was not kept, so nothing that follows may be.
    cut: bool,
    /// That this happened before the limit was said.
    short: bool,
    /// There may have been more than there is, see [`SpoolLog::cut_short`].
    open_ended: bool,
    closed: Option<LogEnd>,
    /// The master has everything below this offset, as far as this life knows.
    durable: u64,
    /// The budget counts so much for it.
    counted: u64,
    /// It gave way to other output: nothing of it can be read.
    given_up: Option<GivenUp>,
    /// Nobody wants it any more.
    removed: bool,
}

/// What became of the files of output that gave way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    /// They hold what came from `first` on, and nobody deletes them so far, or `again`, since it failed.
    Due { first: u64, again: bool },
    /// The same, but somebody deletes them.
    Going { first: u64, again: bool },
    /// They are gone.
    Gone,
}

/// Who writes.
#[derive(Debug, Default)]
enum Writer {
    /// Nobody has in this life.
    #[default]
    Nobody,
    /// This process, into the last segment.
    This(File),
    /// Another one, which says how far it is.
    Another,
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
            shortage: Arc::default(),
            budget: Arc::new(Budget::new(u64::MAX)),
        }
    }

    /// Has this told when output is dropped that the limit would have let through.
    pub(super) fn with_shortage(mut self, shortage: &Arc<Notify>) -> Self {
        self.shortage = Arc::clone(shortage);
        self
    }

    /// Counts what it takes here.
    pub(super) fn within(mut self, budget: &Arc<Budget>) -> Self {
        self.budget = Arc::clone(budget);
        self.count(&mut self.lock());
        self
    }

    /// The output that an earlier life left in `dir`, as far as it is whole. Changes nothing there: a launcher may still
    /// write it. Blocks.
    pub(super) fn recover(attempt: AttemptId, dir: PathBuf, limit: u64) -> io::Result<Self> {
        let mut log = Self::new(attempt, dir, limit);
        if let Some(end) = tombstone::read(&log.dir) {
            let mut inner = log.lock();
            inner.give_up(GivenUp::Gone);
            inner.end = end;
            inner.found = true;
            drop(inner);
            log.progress.send_replace(LogProgress { end, closed: None });
            return Ok(log);
        }
        let segments = list(&log.dir)?;
        let mut end = 0;
        if let Some(last) = segments.back().copied() {
            (end, _) = scan(&File::open(segment_path(&log.dir, last))?, last)?;
        }
        // Nothing else than what the master had was deleted.
        let durable = segments.front().copied().unwrap_or(end);
        log.inner = Mutex::new(Inner {
            limit,
            segments,
            end,
            durable,
            found: true,
            ..Inner::default()
        });
        log.progress.send_replace(LogProgress { end, closed: None });
        Ok(log)
    }

    /// Sets how many bytes are kept of what is still to come.
    pub(super) fn set_limit(&self, limit: u64) {
        self.lock().limit = limit;
    }

    /// Whether there may be files.
    pub(super) fn has_files(&self) -> bool {
        let inner = self.lock();
        inner.end > 0 || inner.cut || inner.found
    }

    /// Where another process may write this output itself.
    pub fn place(&self) -> OutputPlace {
        OutputPlace::new(self.dir.clone(), self.lock().limit)
    }

    /// Another process has written into the [`place`](Self::place) up to here. It is the only writer from now on: what
    /// [`write`](Self::write) is given is dropped. Touches no file.
    pub fn follow(&self, progress: OutputProgress) {
        let mut inner = self.lock();
        if inner.closed.is_some() {
            return;
        }
        inner.writer = Writer::Another;
        if progress.end > 0
            && inner.segments.is_empty()
            && inner.end == 0
            && inner.given_up.is_none()
        {
            inner.segments.push_back(0);
        }
        if inner
            .segments
            .back()
            .is_some_and(|last| *last < progress.segment)
            && inner.given_up.is_none()
        {
            inner.segments.push_back(progress.segment);
            // What was said may leave out segments in between.
            inner.unlisted = true;
        }
        inner.end = inner.end.max(progress.end);
        inner.dropped = inner.dropped.max(progress.dropped);
        inner.cut |= progress.dropped > 0;
        self.mind_shortage(&mut inner);
        self.count(&mut inner);
        let end = inner.end;
        drop(inner);
        self.reached(end);
    }

    /// Whose output this is.
    pub const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// What it takes, while there is something that could be given up.
    pub(super) fn claim(&self) -> Option<Claim> {
        let inner = self.lock();
        let owed = inner.end.saturating_sub(inner.durable);
        (inner.given_up.is_none() && inner.counted > 0).then(|| Claim {
            attempt: self.attempt,
            held: inner.counted,
            // What is not here cannot be given up, whoever lacks it.
            owed: owed.min(inner.counted),
        })
    }

    /// The master has everything below this offset.
    pub(crate) fn is_durable(&self, offset: u64) {
        let mut inner = self.lock();
        inner.durable = inner.durable.max(offset);
    }

    /// Keeps nothing of it from now on, so that there is room for other output. What is here and what follows is lost, but
    /// for what the master has. [`bury`](Self::bury) then takes it off the disk.
    pub(crate) fn give_up(&self) {
        let mut inner = self.lock();
        let (held, durable) = (inner.counted, inner.durable);
        let first = inner.end.saturating_sub(held);
        inner.give_up(GivenUp::Due {
            first,
            again: false,
        });
        tracing::warn!(attempt = %self.attempt, held, durable, budget = self.budget.bytes(),
            "output gives way to other output: all of it together needs more room than the spool may take");
    }

    /// Whether what was given up has to be buried, and nobody does it; whoever asks does it.
    pub(super) fn take_burial(&self) -> bool {
        let mut inner = self.lock();
        let Some(GivenUp::Due { first, again }) = inner.given_up else {
            return false;
        };
        inner.given_up = Some(GivenUp::Going { first, again });
        true
    }

    /// Deletes what was given up, and has a launcher write no more of it than what it has begun. Until that is done, it
    /// counts; where it failed, it is due again. Blocks.
    pub(crate) fn bury(&self) {
        let put = tombstone::put(&self.dir, self.progress().end.max(1));
        let mut inner = self.lock();
        match (put, inner.given_up) {
            (Ok(()), _) => inner.given_up = Some(GivenUp::Gone),
            (Err(error), Some(GivenUp::Going { first, again })) => {
                inner.given_up = Some(GivenUp::Due { first, again: true });
                if !again {
                    tracing::warn!(attempt = %self.attempt, %error,
                        "output could not be deleted, which is tried again");
                }
            }
            (Err(_), _) => {}
        }
        self.count(&mut inner);
        if inner.removed {
            remove_dir(&self.dir);
        }
    }

    /// Says what it takes now.
    fn count(&self, inner: &mut Inner) {
        let first = match inner.given_up {
            Some(GivenUp::Due { first, .. } | GivenUp::Going { first, .. }) if !inner.removed => {
                first
            }
            _ => inner.segments.front().copied().unwrap_or(inner.end),
        };
        let takes = inner.end.saturating_sub(first);
        self.budget.count(inner.counted, takes);
        inner.counted = takes;
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
        let room = if inner.cut || matches!(inner.writer, Writer::Another) {
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
                    "output could not be written");
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
        self.mind_shortage(&mut inner);
        self.count(&mut inner);
        let end = inner.end;
        drop(inner);
        self.reached(end);
    }

    /// Counts output as dropped that must not be written, and all that follows.
    pub(super) fn refuse(&self, bytes: u64) {
        let mut inner = self.lock();
        if inner.closed.is_none() {
            inner.dropped += bytes;
            inner.cut = true;
        }
    }

    /// Says once if something was dropped that the limit would have let through: mostly the disk is full, and nothing
    /// else tells of that soon.
    fn mind_shortage(&self, inner: &mut Inner) {
        if inner.short || inner.dropped == 0 || inner.end >= inner.limit {
            return;
        }
        inner.short = true;
        tracing::warn!(attempt = %self.attempt, kept = inner.end, limit = inner.limit,
            "output is dropped before its limit: it could not be written, mostly because the disk is full");
        self.shortage.notify_one();
    }

    /// Wakes those who wait for output.
    fn reached(&self, end: u64) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.end < end;
            progress.end = progress.end.max(end);
            changed
        });
    }

    /// Says that nobody has seen the end of the output: there may have been more than there is.
    pub fn cut_short(&self) {
        self.lock().open_ended = true;
    }

    /// Says that nothing more comes, and where the output ends: [`LogEnd::UNKNOWN`], if that is known of what is kept
    /// alone. Where something was dropped, what may have followed would have been as well. A repeat changes nothing.
    pub fn close(&self) -> LogEnd {
        let mut inner = self.lock();
        let end = if inner.open_ended && inner.dropped == 0 {
            LogEnd::UNKNOWN
        } else {
            LogEnd {
                bytes: inner.end,
                dropped: inner.dropped,
            }
        };
        let end = *inner.closed.get_or_insert(end);
        inner.writer = Writer::Nobody;
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
        self.list_all(&mut inner);
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
        self.count(&mut inner);
    }

    /// Deletes everything. Blocks.
    pub(super) fn remove(&self) {
        let mut inner = self.lock();
        inner.writer = Writer::Nobody;
        inner.segments.clear();
        inner.cut = true;
        inner.removed = true;
        self.count(&mut inner);
        remove_dir(&self.dir);
    }

    /// The segment in which this offset lies, if it is still here.
    pub(super) fn segment_of(&self, offset: u64) -> Option<(u64, PathBuf)> {
        let mut inner = self.lock();
        self.list_all(&mut inner);
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
        match (&inner.writer, begun) {
            (Writer::This(_), _) if !is_full => {}
            (_, Some(begun)) if !is_full => inner.writer = Writer::This(self.go_on(begun)?),
            _ => {
                inner.writer = Writer::This(self.begin_segment(chunk.offset)?);
                inner.segments.push_back(chunk.offset);
            }
        }
        match &mut inner.writer {
            Writer::This(file) => file.write_all(&frame::encode(chunk)),
            Writer::Nobody | Writer::Another => Ok(()),
        }
    }

    /// The segment of an earlier life, without what was cut off at its end: nobody else writes it any more.
    fn go_on(&self, start: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).open(self.segment(start))?;
        let (_, length) = scan(&file, start)?;
        file.set_len(length)?;
        Ok(file)
    }

    /// Finds the segments that another process has begun, as far as it has said so.
    fn list_all(&self, inner: &mut Inner) {
        if !inner.unlisted {
            return;
        }
        match list(&self.dir) {
            Ok(mut segments) => {
                let newest = inner.segments.back().copied();
                segments.retain(|start| Some(*start) <= newest);
                inner.segments = segments;
                inner.unlisted = false;
            }
            // Nor are those there that are in the list, as whoever reads them finds.
            Err(error) if is_gone(&error) => inner.unlisted = false,
            Err(error) => {
                tracing::warn!(attempt = %self.attempt, %error, "the output cannot be listed");
            }
        }
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

impl Inner {
    fn give_up(&mut self, files: GivenUp) {
        self.given_up = Some(files);
        self.segments.clear();
        self.unlisted = false;
        self.writer = match self.writer {
            Writer::Another => Writer::Another,
            _ => Writer::Nobody,
        };
        self.cut = true;
        // Why, is said by whoever gives it up.
        self.short = true;
    }
}

/// Removes what is there of an attempt in the spool: a directory, or what stands in its place.
fn remove_dir(dir: &Path) {
    if let Err(error) = tombstone::delete(dir) {
        tracing::warn!(path = %dir.display(), %error, "output could not be deleted");
    }
}

/// The offsets at which the segments in a directory begin, in order.
fn list(dir: &Path) -> io::Result<VecDeque<u64>> {
    let mut segments: Vec<u64> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        segments.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments.into())
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
