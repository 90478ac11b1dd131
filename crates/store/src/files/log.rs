//! One log in memory: what is known about it, and who waits for it.

use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::{AppendError, Appended, AttemptId, LogChunk, LogEnd, LogReadError, LogStatus};
use tokio::sync::{Mutex as Turn, watch};

use super::frame::Frame;
use super::index::{Index, Kept, Mark, Segment, Tail};
use super::layout::Layout;
use super::names::Kind;
use super::recover::{RecoverError, recover, signed};
use super::segment::{ScanError, SegmentScan};
use super::write::LogWriter;
use crate::chunks;

/// The most memory that what one read returns takes, whatever its limit, but for the last chunk.
pub(crate) const MAX_READ_BYTES: usize = 4 * 1_024 * 1_024;

/// What a chunk takes beside its bytes: itself, and what an allocation and its counter cost. Of output that comes byte by
/// byte this is nearly everything.
const CHUNK_COST: usize = size_of::<LogChunk>() + 64;

/// What a chunk counts against the limit of a read.
pub(crate) const fn cost(chunk: &LogChunk) -> usize {
    chunk.bytes.len() + CHUNK_COST
}

/// How many held bytes are compared with a repeat at a time.
const COMPARE_BYTES: usize = 1_024 * 1_024;

/// A log that was used recently. Its methods block, but for those that say otherwise.
#[derive(Debug)]
pub(crate) struct Log {
    attempt: AttemptId,
    /// Whoever changes the log has this first, one after another.
    pub(crate) turn: Arc<Turn<()>>,
    /// What is durable. `None` while nobody has looked. Never locked during a write, so that readers do not wait.
    index: Mutex<Option<Index>>,
    status: watch::Sender<LogStatus>,
    /// When it was used last, in uses of the cache.
    pub(crate) used: AtomicU64,
    /// How often it was removed.
    removals: AtomicU64,
}

impl Log {
    /// Of which nothing is known.
    pub(crate) fn new(attempt: AttemptId) -> Self {
        Self {
            attempt,
            turn: Arc::default(),
            index: Mutex::new(None),
            status: watch::Sender::new(LogStatus::open(0)),
            used: AtomicU64::new(0),
            removals: AtomicU64::new(0),
        }
    }

    /// Whether the status is known. Does not block.
    pub(crate) fn is_known(&self) -> bool {
        self.index().is_some()
    }

    /// How it stands, once it is known. Does not block.
    pub(crate) fn status(&self) -> LogStatus {
        *self.status.borrow()
    }

    /// Whose it is.
    pub(crate) const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Where its bytes are, once it is known. Does not block.
    pub(crate) fn kept(&self) -> Kept {
        let index = self.index();
        index
            .as_ref()
            .map(|known| known.kept.clone())
            .unwrap_or_default()
    }

    /// What a task that rewrites it has to find unchanged in the end. Does not block.
    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    /// Its segments and its end, if it is sealed and still in segments. Does not block.
    pub(crate) fn sealed_segments(&self) -> Option<(Vec<Segment>, LogEnd)> {
        let index = self.index();
        let index = index.as_ref()?;
        match (&index.kept, index.sealed) {
            (Kept::Segments, Some(end)) => Some((index.segments.clone(), end)),
            _ => None,
        }
    }

    /// Its bytes are elsewhere from now on. In turn.
    pub(crate) fn move_to(&self, kept: Kept) {
        self.update(|index| {
            index.kept = kept;
            index.segments.clear();
        });
    }

    /// Tells how it stands from now on. Does not block.
    pub(crate) fn follow(&self) -> watch::Receiver<LogStatus> {
        self.status.subscribe()
    }

    /// Learns how it stands without a look at the disk, if no file of it can be there. Does not block.
    pub(crate) fn know_if_empty(&self, layout: &Layout) -> bool {
        let mut index = self.index();
        if index.is_none() && !layout.may_hold(self.attempt) {
            *index = Some(Index::default());
        }
        index.is_some()
    }

    /// Looks at the disk unless that was done. In turn.
    pub(crate) fn know(&self, layout: &Layout) -> Result<(), RecoverError> {
        if !self.is_known() {
            let index = recover(layout, self.attempt)?;
            self.update(|known| *known = index);
        }
        Ok(())
    }

    /// Adds chunks, whose span is known. `None` if the log is over and no longer in segments, so that what is held has
    /// to be looked at elsewhere. In turn.
    pub(crate) fn append(
        &self,
        layout: &Layout,
        chunks: &[LogChunk],
        span: (u64, u64),
    ) -> Result<Option<Appended>, AppendError> {
        self.know(layout).map_err(unusable)?;
        if !matches!(self.kept(), Kept::Segments) {
            return Ok(None);
        }
        self.append_to_segments(layout, chunks, span).map(Some)
    }

    fn append_to_segments(
        &self,
        layout: &Layout,
        chunks: &[LogChunk],
        (begin, end): (u64, u64),
    ) -> Result<Appended, AppendError> {
        let tail = self.tail();
        let held = tail.end;
        if begin > held && tail.sealed.is_none() {
            return Ok(Appended::Gap { expected: held });
        }
        self.compare(layout, chunks, begin, end.min(held))?;
        if end <= held {
            return Ok(Appended::Durable { to: held });
        }
        if tail.sealed.is_some() {
            return Err(AppendError::Misplaced {
                problem: "the log is sealed",
            });
        }
        let written = self.write(layout, tail.last, |writer| {
            chunks
                .iter()
                .filter_map(|chunk| chunks::from_offset(chunk, held))
                .try_for_each(|chunk| writer.chunk(&chunk))
        })?;
        self.update(|index| {
            index.extend(written);
            index.end = end;
        });
        Ok(Appended::Durable { to: end })
    }

    /// Whether the end can be taken without a write: it was sealed so before, or there is nothing to hold. `None` if
    /// it has to be written, with [`seal`](Self::seal). In turn, and once it is known. Does not block.
    pub(crate) fn seal_in_memory(&self, end: LogEnd) -> Result<Option<LogStatus>, AppendError> {
        let tail = self.tail();
        let misplaced = |problem| Err(AppendError::Misplaced { problem });
        match tail.sealed {
            Some(sealed) if sealed == end => return Ok(Some(tail.status())),
            Some(_) => return misplaced("the log is sealed with another end"),
            None => {}
        }
        if end.bytes < tail.end {
            return misplaced("the end lies before bytes that are held");
        }
        if tail.last.is_some() || end != LogEnd::default() {
            return Ok(None);
        }
        Ok(Some(self.update(|index| index.sealed = Some(end))))
    }

    /// Writes the end. In turn.
    pub(crate) fn seal(&self, layout: &Layout, end: LogEnd) -> Result<LogStatus, AppendError> {
        self.know(layout).map_err(unusable)?;
        if let Some(status) = self.seal_in_memory(end)? {
            return Ok(status);
        }
        let tail = self.tail();
        let held = tail.end;
        let written = self.write(layout, tail.last, |writer| writer.seal(held, end))?;
        Ok(self.update(|index| {
            index.extend(written);
            index.sealed = Some(end);
        }))
    }

    /// Removes the files, the last first, so that what a crash leaves is a log still. Says whether the archive holds
    /// something that has to go as well: of that a note stays. In turn.
    pub(crate) fn remove(&self, layout: &Layout) -> io::Result<bool> {
        let files = layout.files_of(self.attempt)?;
        *self.index() = None;
        self.removals.fetch_add(1, Ordering::AcqRel);
        for (base, len) in files.segments.iter().rev() {
            fs::remove_file(layout.path(self.attempt, *base))?;
            layout.count(0, -signed(*len));
        }
        if let Some(len) = files.sealed {
            fs::remove_file(layout.file(self.attempt, Kind::Sealed))?;
            layout.count(0, -signed(len));
        }
        for kind in &files.partials {
            match fs::remove_file(layout.file(self.attempt, *kind)) {
                // Whoever wrote it has given up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        if let Some((bytes, _)) = files.archived {
            let from = layout.file(self.attempt, Kind::Archived { bytes });
            fs::rename(from, layout.file(self.attempt, Kind::Removing { bytes }))?;
            if let Some((noted, len)) = files.removing
                && noted == bytes
            {
                layout.count(0, -signed(len));
                layout.count_archived(-signed(bytes));
            }
            layout.sync_names(self.attempt)?;
        }
        layout.count(-i64::from(files.is_log()), 0);
        self.update(|index| *index = Index::default());
        Ok(files.archived.is_some() || files.removing.is_some())
    }

    /// Chunks from an offset on, once it is known.
    pub(crate) fn read(
        &self,
        layout: &Layout,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        let limit = limit.min(MAX_READ_BYTES);
        let mut found = Vec::new();
        let mut taken = 0;
        let mut next = from;
        // A segment that gives nothing ends the read: then the log was removed meanwhile.
        while let Some(chunks) = self.read_segment(layout, next, limit.saturating_sub(taken))? {
            let Some(last) = chunks.last() else { break };
            next = last.end();
            taken += chunks.iter().map(cost).sum::<usize>();
            found.extend(chunks);
            if taken >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// Chunks of the segment that holds this offset, at least one. `None` if it is not held.
    fn read_segment(
        &self,
        layout: &Layout,
        from: u64,
        limit: usize,
    ) -> Result<Option<Vec<LogChunk>>, LogReadError> {
        let Some(place) = self.place_of(from) else {
            return Ok(None);
        };
        let file = match File::open(layout.path(self.attempt, place.base)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.holds(place.base) => {
                return Ok(None);
            }
            Err(error) => return Err(self.unreadable(ScanError::Io(error), place.base)),
        };
        let unreadable = |error| self.unreadable(error, place.base);
        let mut scan = match place.mark {
            Some(mark) => SegmentScan::resume(file, mark, place.len),
            None => SegmentScan::begin(file, self.attempt, place.base, place.len),
        }
        .map_err(unreadable)?;
        let mut passed = Segment::empty(place.base);
        let mut chunks = Vec::new();
        let mut left = limit;
        let mut is_stopped = false;
        while !is_stopped
            && let Some(frame) = scan
                .next(from, |mark| passed.mark(mark))
                .map_err(unreadable)?
        {
            if let Frame::Chunk(chunk) = frame
                && let Some(chunk) = chunks::from_offset(&chunk, from)
            {
                left = left.saturating_sub(cost(&chunk));
                is_stopped = left == 0;
                chunks.push(chunk);
            }
        }
        self.remember(passed);
        let reached = chunks.last().map_or(from, LogChunk::end);
        if !is_stopped && reached != place.end {
            return Err(self.damaged(format!(
                "bytes from {reached} on are missing in the segment from {}",
                place.base
            )));
        }
        Ok(Some(chunks))
    }

    /// Where to look for an offset.
    fn place_of(&self, offset: u64) -> Option<Place> {
        let index = self.index();
        let index = index.as_ref()?;
        let number = index.segment_of(offset)?;
        let segment = &index.segments[number];
        let next = index.segments.get(number + 1);
        Some(Place {
            base: segment.base,
            len: segment.len,
            end: next.map_or(index.end, |next| next.base),
            mark: segment.mark_before(offset),
        })
    }

    fn holds(&self, base: u64) -> bool {
        let index = self.index();
        let mut segments = index.iter().flat_map(|index| &index.segments);
        segments.any(|segment| segment.base == base)
    }

    /// Keeps places that a reader came by, for the next one.
    fn remember(&self, passed: Segment) {
        let mut index = self.index();
        let segments = index.as_mut().map(|index| &mut index.segments);
        let segment = segments
            .into_iter()
            .flatten()
            .find(|segment| segment.base == passed.base);
        if let Some(segment) = segment {
            for mark in passed.marks {
                segment.mark(mark);
            }
        }
    }

    /// Compares a repeat with what is held.
    fn compare(
        &self,
        layout: &Layout,
        chunks: &[LogChunk],
        begin: u64,
        end: u64,
    ) -> Result<(), AppendError> {
        let mut at = begin;
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let held = self
                .read(layout, at, left.min(COMPARE_BYTES))
                .map_err(not_written)?;
            for held in &held {
                if let Some(offset) = chunks::first_difference(held, chunks) {
                    return Err(AppendError::Conflict { offset });
                }
                at = held.end();
            }
            if held.is_empty() {
                return Err(AppendError::Storage {
                    problem: "the log was removed meanwhile".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Writes frames; or leaves everything as it was.
    fn write(
        &self,
        layout: &Layout,
        last: Option<Segment>,
        put: impl FnOnce(&mut LogWriter<'_>) -> io::Result<()>,
    ) -> Result<Vec<Segment>, AppendError> {
        let failed = |error: io::Error| AppendError::Storage {
            problem: error.to_string(),
        };
        let mut writer = LogWriter::open(layout, self.attempt, last).map_err(failed)?;
        let finished = match put(&mut writer) {
            Ok(()) => writer.finish(),
            Err(error) => Err((writer, error)),
        };
        finished.map_err(|(writer, error)| {
            if writer.undo().is_err() {
                *self.index() = None;
            }
            failed(error)
        })
    }

    /// Changes what is known and lets everybody see it.
    fn update(&self, change: impl FnOnce(&mut Index)) -> LogStatus {
        let status = {
            let mut index = self.index();
            let index = index.get_or_insert_default();
            change(index);
            index.status()
        };
        self.status.send_replace(status);
        status
    }

    /// The end as it is known. In turn, nobody changes it meanwhile.
    fn tail(&self) -> Tail {
        self.index().as_ref().map(Index::tail).unwrap_or_default()
    }

    fn index(&self) -> MutexGuard<'_, Option<Index>> {
        // Every change under the lock is whole before anything can panic.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, error: ScanError, base: u64) -> LogReadError {
        match error {
            ScanError::Io(error) if is_missing(&error) => {
                self.damaged(format!("bytes of the segment from {base} are missing"))
            }
            ScanError::Io(error) => LogReadError::Storage {
                problem: error.to_string(),
            },
            ScanError::Bad { position, problem } => self.damaged(format!(
                "{problem} at byte {position} of the segment from {base}"
            )),
        }
    }

    pub(crate) fn damaged(&self, problem: String) -> LogReadError {
        LogReadError::Damaged {
            attempt: self.attempt,
            problem,
        }
    }
}

/// Where a reader looks.
struct Place {
    base: u64,
    len: u64,
    /// The offset after the last byte of the segment.
    end: u64,
    mark: Option<Mark>,
}

/// A file that is gone, or shorter than it was.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
    )
}

/// Why nothing was written to a log that could not be read.
pub(crate) fn not_written(error: LogReadError) -> AppendError {
    match error {
        LogReadError::Damaged { problem, .. } => AppendError::Damaged { problem },
        error => AppendError::Storage {
            problem: error.to_string(),
        },
    }
}

/// Why a log cannot be written.
pub(crate) fn unusable(error: RecoverError) -> AppendError {
    match error {
        RecoverError::Damaged(problem) => AppendError::Damaged { problem },
        RecoverError::Io(error) => AppendError::Storage {
            problem: error.to_string(),
        },
    }
}
