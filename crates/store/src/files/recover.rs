//! Finding out, from disk alone, how a log stands.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use jobyard_core::{AttemptId, LogEnd};

use super::frame::Frame;
use super::index::{ArchivedFile, Index, Kept, SealedFile, Segment};
use super::layout::Layout;
use super::names::{Files, Kind};
use super::pointer::{Pointer, PointerError};
use super::segment::{SEGMENT_HEADER_BYTES, ScanError, SegmentScan, is_vouched_for};
use crate::sealed::{IndexError, SealedIndex, TAIL_GUESS_BYTES};

/// Why a log is not usable.
#[derive(Debug)]
pub(crate) enum RecoverError {
    /// What is there is not what was written.
    Damaged(String),
    /// The disk refused.
    Io(io::Error),
}

impl From<io::Error> for RecoverError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the last segment of a log and cuts off what a crash left unfinished. What the index says is durable when this
/// returns: a process that died may have written bytes and not yet forced them to disk.
pub(crate) fn recover(layout: &Layout, attempt: AttemptId) -> Result<Index, RecoverError> {
    let files = layout.files_of(attempt)?;
    if let Some((bytes, _)) = files.archived {
        return recover_archived(layout, attempt, &files, bytes);
    }
    if let Some(bytes) = files.sealed {
        return recover_sealed(layout, attempt, &files, bytes);
    }
    let files = files.segments;
    if files.first().is_some_and(|(base, _)| *base != 0) {
        return Err(RecoverError::Damaged("its beginning is missing".to_owned()));
    }
    let mut segments: Vec<Segment> = files
        .into_iter()
        .map(|(base, len)| Segment {
            len,
            ..Segment::empty(base)
        })
        .collect();
    while let Some(last) = segments.pop() {
        if let Some((last, end, sealed)) = recover_last(layout, attempt, last)? {
            segments.push(last);
            return Ok(Index {
                segments,
                end,
                sealed,
                kept: Kept::Segments,
            });
        }
    }
    Ok(Index::default())
}

/// A log that was compressed. If segments of it are still there, a crash came before they were removed.
fn recover_sealed(
    layout: &Layout,
    attempt: AttemptId,
    files: &Files,
    bytes: u64,
) -> Result<Index, RecoverError> {
    let path = layout.file(attempt, Kind::Sealed);
    let index = read_index(&path, attempt)?;
    remove_segments(layout, attempt, files)?;
    Ok(Index {
        segments: Vec::new(),
        end: index.held,
        sealed: Some(index.end),
        kept: Kept::Sealed(Arc::new(SealedFile { index, bytes })),
    })
}

/// A log that is in the archive.
fn recover_archived(
    layout: &Layout,
    attempt: AttemptId,
    files: &Files,
    bytes: u64,
) -> Result<Index, RecoverError> {
    let path = layout.file(attempt, Kind::Archived { bytes });
    let pointer = Pointer::load(&path, attempt).map_err(|error| match error {
        PointerError::Damaged(problem) => {
            RecoverError::Damaged(format!("what says where it is archived: {problem}"))
        }
        PointerError::Io(error) => RecoverError::Io(error),
    })?;
    if let Some(len) = files.sealed {
        fs::remove_file(layout.file(attempt, Kind::Sealed))?;
        layout.count(0, -signed(len));
    }
    remove_segments(layout, attempt, files)?;
    Ok(Index {
        segments: Vec::new(),
        end: pointer.status().end,
        sealed: Some(pointer.end()),
        kept: Kept::Archived(Arc::new(ArchivedFile {
            pointer,
            index: OnceLock::new(),
        })),
    })
}

fn remove_segments(layout: &Layout, attempt: AttemptId, files: &Files) -> io::Result<()> {
    for (base, len) in files.segments.iter().rev() {
        fs::remove_file(layout.path(attempt, *base))?;
        layout.count(0, -signed(*len));
    }
    Ok(())
}

/// What is in a sealed file, by its end.
pub(crate) fn read_index(path: &Path, attempt: AttemptId) -> Result<SealedIndex, RecoverError> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut wanted = TAIL_GUESS_BYTES;
    loop {
        let tail_len = wanted.min(len);
        let mut tail = vec![0; usize::try_from(tail_len).map_err(io::Error::other)?];
        file.seek(SeekFrom::Start(len - tail_len))?;
        file.read_exact(&mut tail)?;
        match SealedIndex::parse(&tail, len, attempt) {
            Ok(index) => return Ok(index),
            Err(IndexError::More(more)) if tail_len < len => wanted = more,
            Err(IndexError::More(_)) => {
                return Err(RecoverError::Damaged(
                    "the sealed file is cut off".to_owned(),
                ));
            }
            Err(IndexError::Bad(problem)) => {
                return Err(RecoverError::Damaged(format!("the sealed file: {problem}")));
            }
        }
    }
}

/// A segment, the end of the log in it, and its seal. `None` if the file was not even begun, and is gone now.
type Last = Option<(Segment, u64, Option<LogEnd>)>;

fn recover_last(
    layout: &Layout,
    attempt: AttemptId,
    mut segment: Segment,
) -> Result<Last, RecoverError> {
    let path = layout.path(attempt, segment.base);
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    let scanned = scan(file.try_clone()?, attempt, &mut segment);
    let (good, end, sealed) = match scanned {
        Ok((end, sealed)) => (segment.len, end, sealed),
        Err((ScanError::Io(error), ..)) => return Err(RecoverError::Io(error)),
        Err((ScanError::Bad { position, problem }, end, sealed)) => {
            check_torn(&mut file, position, problem, segment.base)?;
            (position, end, sealed)
        }
    };
    let cut = segment.len - good;
    if cut > 0 {
        tracing::info!(%attempt, bytes = cut, "cut off what a crash left of a log's last write");
    }
    if good == 0 {
        fs::remove_file(&path)?;
        layout.count(-i64::from(segment.base == 0), -signed(cut));
        return Ok(None);
    }
    if cut > 0 {
        file.set_len(good)?;
        layout.count(0, -signed(cut));
        segment.len = good;
    }
    file.sync_all()?;
    layout.sync_names(attempt)?;
    Ok(Some((segment, end, sealed)))
}

/// What was found before the frames stopped, and why they did.
type Stopped = (ScanError, u64, Option<LogEnd>);

/// Walks along all frames. Where the log ends, and its seal.
fn scan(
    file: File,
    attempt: AttemptId,
    segment: &mut Segment,
) -> Result<(u64, Option<LogEnd>), Stopped> {
    let mut sealed = None;
    let mut frames = SegmentScan::begin(file, attempt, segment.base, segment.len)
        .map_err(|error| (error, segment.base, None))?;
    loop {
        let place = frames.place();
        match frames.next(0, |_| ()) {
            Ok(Some(Frame::Chunk(_))) => segment.mark(place),
            Ok(Some(Frame::Seal(end))) => sealed = Some(end),
            Ok(None) => return Ok((place.offset, sealed)),
            Err(error) => return Err((error, place.offset, sealed)),
        }
    }
}

/// Tells a write that a crash cut short from damage to bytes that were safe.
fn check_torn(
    file: &mut File,
    position: u64,
    problem: &str,
    base: u64,
) -> Result<(), RecoverError> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(position))?;
    file.read_to_end(&mut tail)?;
    if is_vouched_for(&tail, position) {
        return Err(RecoverError::Damaged(format!(
            "{problem} at byte {position} of the segment from {base}"
        )));
    }
    Ok(())
}

/// How much of the last segment of a log is whole, given all bytes of the file. All of it if it is damaged and not only
/// cut short: whoever reads it then finds that out.
pub(crate) fn durable_prefix(bytes: &[u8], attempt: AttemptId, base: u64) -> usize {
    let len = bytes.len() as u64;
    let Ok(mut frames) = SegmentScan::begin(io::Cursor::new(bytes), attempt, base, len) else {
        return if bytes.len() < SEGMENT_HEADER_BYTES {
            0
        } else {
            bytes.len()
        };
    };
    loop {
        match frames.next(0, |_| ()) {
            Ok(Some(_)) => {}
            Ok(None) | Err(ScanError::Io(_)) => return bytes.len(),
            Err(ScanError::Bad { position, .. }) => {
                let Ok(place) = usize::try_from(position) else {
                    return bytes.len();
                };
                return if is_vouched_for(&bytes[place..], position) {
                    bytes.len()
                } else {
                    place
                };
            }
        }
    }
}

/// File lengths lie far below the limit.
pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
