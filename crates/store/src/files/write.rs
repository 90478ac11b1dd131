//! Adding frames to a log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};

use jobyard_core::{AttemptId, LogChunk, LogEnd};

use super::frame::{self, FRAME_HEADER_BYTES};
use super::index::{Mark, Segment};
use super::layout::Layout;
use super::recover::signed;
use super::segment;

/// When a segment has reached this length the next frame begins a new one. Recovery reads one segment at most, a reader
/// opens one at a time, and a gigabyte of output is 128 of them.
pub(crate) const SEGMENT_BYTES: u64 = 8 * 1_024 * 1_024;

/// How many bytes are gathered before they are handed to the system.
const FLUSH_BYTES: usize = 512 * 1_024;

/// Chunks of this size are handed over from where they lie instead of being gathered: a copy costs more than a call.
const BYPASS_BYTES: usize = 16 * 1_024;

/// Writes frames behind what a log holds. Nothing counts before [`finish`](Self::finish); if that is never reached,
/// [`undo`](Self::undo) takes everything back.
#[derive(Debug)]
pub(crate) struct LogWriter<'l> {
    layout: &'l Layout,
    attempt: AttemptId,
    /// What the log was like before.
    before: Option<(u64, u64)>,
    /// The segments that were touched.
    touched: Vec<Segment>,
    /// The file of the last of them.
    file: Option<File>,
    /// Frames that the system does not have yet.
    pending: Vec<u8>,
    /// How much of the last file was durable before this write.
    synced: u32,
    /// A segment was made.
    made: bool,
}

impl<'l> LogWriter<'l> {
    /// Behind the last segment.
    pub(crate) fn open(
        layout: &'l Layout,
        attempt: AttemptId,
        last: Option<Segment>,
    ) -> io::Result<Self> {
        let mut writer = Self {
            layout,
            attempt,
            before: last.as_ref().map(|last| (last.base, last.len)),
            touched: Vec::new(),
            file: None,
            pending: Vec::new(),
            synced: 0,
            made: false,
        };
        if let Some(last) = last.filter(|last| last.len < SEGMENT_BYTES) {
            let path = layout.path(attempt, last.base);
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.seek(SeekFrom::Start(last.len))?;
            writer.file = Some(file);
            writer.synced = u32::try_from(last.len).unwrap_or(u32::MAX);
            writer.touched.push(last);
        }
        Ok(writer)
    }

    /// Adds a chunk.
    pub(crate) fn chunk(&mut self, chunk: &LogChunk) -> io::Result<()> {
        self.make_room(chunk.offset)?;
        if let Some(segment) = self.touched.last_mut() {
            segment.mark(Mark {
                offset: chunk.offset,
                position: segment.len,
            });
        }
        let synced = self.synced;
        if chunk.bytes.len() < BYPASS_BYTES {
            return self.add(|pending| frame::put_chunk(pending, chunk, synced));
        }
        frame::put_chunk_header(&mut self.pending, chunk, synced);
        if let Some(segment) = self.touched.last_mut() {
            segment.len += (FRAME_HEADER_BYTES + chunk.bytes.len()) as u64;
        }
        self.flush_with(&chunk.bytes)
    }

    /// Adds the end.
    pub(crate) fn seal(&mut self, held: u64, end: LogEnd) -> io::Result<()> {
        self.make_room(held)?;
        let synced = self.synced;
        self.add(|pending| frame::put_seal(pending, held, end, synced))
    }

    /// Forces everything to disk. The segments as they are now: the last one if it grew, and new ones.
    pub(crate) fn finish(mut self) -> Result<Vec<Segment>, (Self, io::Error)> {
        if let Err(error) = self.sync() {
            return Err((self, error));
        }
        for segment in &self.touched {
            match self.before {
                Some((base, len)) if base == segment.base => {
                    self.layout.count(0, signed(segment.len - len));
                }
                _ => {
                    let logs = i64::from(segment.base == 0);
                    self.layout.count(logs, signed(segment.len));
                }
            }
        }
        Ok(self.touched)
    }

    /// Leaves the files as they were. If that fails too, the next look at them has to start from scratch.
    pub(crate) fn undo(self) -> io::Result<()> {
        drop(self.file);
        for segment in self.touched.iter().rev() {
            let path = self.layout.path(self.attempt, segment.base);
            match self.before {
                Some((base, len)) if base == segment.base => {
                    OpenOptions::new().write(true).open(path)?.set_len(len)?;
                }
                _ => match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// Begins a new segment if the present one is full, or there is none.
    fn make_room(&mut self, offset: u64) -> io::Result<()> {
        let full = |segment: &Segment| segment.len >= SEGMENT_BYTES;
        if self.file.is_some() && !self.touched.last().is_some_and(full) {
            return Ok(());
        }
        // The next segment proves that this one is whole, so this one has to be safe first.
        self.flush_and_sync()?;
        self.file = Some(self.layout.create(self.attempt, offset)?);
        self.made = true;
        self.synced = 0;
        self.touched.push(Segment::empty(offset));
        let header = segment::header(self.attempt, offset);
        self.add(|pending| pending.extend_from_slice(&header))
    }

    fn add(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let before = self.pending.len();
        put(&mut self.pending);
        if let Some(segment) = self.touched.last_mut() {
            segment.len += (self.pending.len() - before) as u64;
        }
        if self.pending.len() >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_with(&[])
    }

    /// Hands over what was gathered and these bytes behind it.
    fn flush_with(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let parts = [IoSlice::new(&self.pending), IoSlice::new(bytes)];
            // Mostly that is all; what is left is then empty.
            let written = if bytes.is_empty() {
                0
            } else {
                file.write_vectored(&parts)?
            };
            let (from_pending, from_bytes) = match written.checked_sub(self.pending.len()) {
                Some(of_bytes) => (self.pending.len(), of_bytes),
                None => (written, 0),
            };
            file.write_all(&self.pending[from_pending..])?;
            file.write_all(&bytes[from_bytes..])?;
        }
        self.pending.clear();
        Ok(())
    }

    fn flush_and_sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush_and_sync()?;
        if self.made {
            self.layout.sync_names(self.attempt)?;
        }
        Ok(())
    }
}
