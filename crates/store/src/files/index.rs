//! Where the frames of one log stand.

use std::sync::{Arc, OnceLock};

use jobyard_core::{LogEnd, LogStatus};

use super::pointer::Pointer;
use crate::sealed::SealedIndex;

/// How far apart two marks stand, in bytes of a file: what a reader skips at most before it finds its place.
const MARK_EVERY: u64 = 128 * 1_024;

/// The durable state of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// In order. Empty if nothing is on disk.
    pub(crate) segments: Vec<Segment>,
    /// The offset after the last byte that is held.
    pub(crate) end: u64,
    /// The end that was sealed.
    pub(crate) sealed: Option<LogEnd>,
    /// Where the bytes are.
    pub(crate) kept: Kept,
}

/// Where the bytes of a log are.
#[derive(Clone, Debug, Default)]
pub(crate) enum Kept {
    /// In segments, as they came.
    #[default]
    Segments,
    /// In one compressed file.
    Sealed(Arc<SealedFile>),
    /// In the archive.
    Archived(Arc<ArchivedFile>),
}

/// One compressed file.
#[derive(Debug)]
pub(crate) struct SealedFile {
    /// What is in it.
    pub(crate) index: SealedIndex,
    /// Its length.
    pub(crate) bytes: u64,
}

/// The same in the archive.
#[derive(Debug)]
pub(crate) struct ArchivedFile {
    /// Where.
    pub(crate) pointer: Pointer,
    /// What is in it, once somebody has asked.
    pub(crate) index: OnceLock<SealedIndex>,
}

impl Kept {
    /// Whether this is the very same file, or are segments both times.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Segments, Self::Segments) => true,
            (Self::Sealed(one), Self::Sealed(other)) => Arc::ptr_eq(one, other),
            (Self::Archived(one), Self::Archived(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last segment. `None` if nothing is on disk.
    pub(crate) last: Option<Segment>,
    /// The offset after the last byte that is held.
    pub(crate) end: u64,
    /// The end that was sealed.
    pub(crate) sealed: Option<LogEnd>,
}

impl Tail {
    /// How the log stands.
    pub(crate) const fn status(&self) -> LogStatus {
        status(self.end, self.sealed)
    }
}

const fn status(end: u64, sealed: Option<LogEnd>) -> LogStatus {
    match sealed {
        Some(sealed) => LogStatus::sealed(end, sealed),
        None => LogStatus::open(end),
    }
}

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The offset of its first byte in the attempt's sequence.
    pub(crate) base: u64,
    /// The length of the file, in bytes.
    pub(crate) len: u64,
    /// Places of some frames, in order.
    pub(crate) marks: Vec<Mark>,
}

/// The place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its offset in the attempt's sequence.
    pub(crate) offset: u64,
    /// Its position in the file.
    pub(crate) position: u64,
}

impl Index {
    /// How the log stands.
    pub(crate) const fn status(&self) -> LogStatus {
        status(self.end, self.sealed)
    }

    /// What a writer needs to know. A copy, so that nobody is kept from reading meanwhile.
    pub(crate) fn tail(&self) -> Tail {
        Tail {
            last: self.segments.last().cloned(),
            end: self.end,
            sealed: self.sealed,
        }
    }

    /// Takes over segments that were written, the first of which may be the last one, grown.
    pub(crate) fn extend(&mut self, written: Vec<Segment>) {
        if let (Some(last), Some(first)) = (self.segments.last(), written.first())
            && last.base == first.base
        {
            self.segments.pop();
        }
        self.segments.extend(written);
    }

    /// Which segment holds the byte at this offset, if it is held.
    pub(crate) fn segment_of(&self, offset: u64) -> Option<usize> {
        if offset >= self.end {
            return None;
        }
        self.segments
            .partition_point(|segment| segment.base <= offset)
            .checked_sub(1)
    }
}

impl Segment {
    /// A file that has no frame yet.
    pub(crate) const fn empty(base: u64) -> Self {
        Self {
            base,
            len: 0,
            marks: Vec::new(),
        }
    }

    /// The last known frame that begins at or before this offset.
    pub(crate) fn mark_before(&self, offset: u64) -> Option<Mark> {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        self.marks[..after].last().copied()
    }

    /// Remembers the place of a frame if it lies far enough beyond the last one.
    pub(crate) fn mark(&mut self, mark: Mark) {
        let last = self.marks.last().map_or(0, |last| last.position);
        if mark.position >= last + MARK_EVERY {
            self.marks.push(mark);
        }
    }
}
