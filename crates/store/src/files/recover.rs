//! Finding out, from disk alone, how a log stands.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};

use jobyard_core::{AttemptId, LogEnd};

use super::frame::Frame;
use super::index::{Index, Segment};
use super::layout::Layout;
use super::segment::{SEGMENT_HEADER_BYTES, ScanError, SegmentScan, is_vouched_for};

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
    let files = layout.segments_of(attempt)?;
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
            });
        }
    }
    Ok(Index::default())
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
