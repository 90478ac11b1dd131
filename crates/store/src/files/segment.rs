//! Reading one segment file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use jobyard_core::AttemptId;

use super::frame::{FRAME_HEADER_BYTES, Frame, FrameHeader};
use super::index::Mark;

/// The bytes before the first frame.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 40;

/// The kind of file and the version of its format.
const MAGIC: [u8; 8] = *b"JOBYLOG1";

/// Memory for small frames. Larger ones bypass it.
const BUFFER_BYTES: usize = 32 * 1_024;

/// What a segment begins with: so that a file under a wrong name is found out.
pub(crate) fn header(attempt: AttemptId, base: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..24].copy_from_slice(attempt.job.as_uuid().as_bytes());
    bytes[24..28].copy_from_slice(&attempt.number.get().to_le_bytes());
    bytes[28..36].copy_from_slice(&base.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..36]);
    bytes[36..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Why the next frame is not there.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The file cannot be read.
    Io(io::Error),
    /// What stands at this position is not the next frame.
    Bad {
        position: u64,
        problem: &'static str,
    },
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Walks along the frames of a segment.
#[derive(Debug)]
pub(crate) struct SegmentScan<R = File> {
    file: BufReader<R>,
    /// Where the next frame begins.
    position: u64,
    /// Where the file ends, as far as we are concerned.
    len: u64,
    /// The offset that the next frame has to have.
    offset: u64,
    /// The seal was passed.
    sealed: bool,
}

impl<R: Read + Seek> SegmentScan<R> {
    /// Begins at the first frame of a file, whose header it checks.
    pub(crate) fn begin(
        file: R,
        attempt: AttemptId,
        base: u64,
        len: u64,
    ) -> Result<Self, ScanError> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        let bad = |problem| ScanError::Bad {
            position: 0,
            problem,
        };
        if len < SEGMENT_HEADER_BYTES as u64 {
            return Err(bad("the file is shorter than its header"));
        }
        let mut found = [0; SEGMENT_HEADER_BYTES];
        file.read_exact(&mut found)?;
        if found != header(attempt, base) {
            return Err(bad("the header is not the one of this segment"));
        }
        Ok(Self {
            file,
            position: SEGMENT_HEADER_BYTES as u64,
            len,
            offset: base,
            sealed: false,
        })
    }

    /// Begins at a known frame.
    pub(crate) fn resume(mut file: R, mark: Mark, len: u64) -> Result<Self, ScanError> {
        file.seek(SeekFrom::Start(mark.position))?;
        Ok(Self {
            file: BufReader::with_capacity(BUFFER_BYTES, file),
            position: mark.position,
            len,
            offset: mark.offset,
            sealed: false,
        })
    }

    /// Where the next frame has to begin.
    pub(crate) const fn place(&self) -> Mark {
        Mark {
            offset: self.offset,
            position: self.position,
        }
    }

    /// The next frame that reaches beyond `from`. Frames before it are passed without a look at their payload. `None`
    /// at the end of the file.
    pub(crate) fn next(
        &mut self,
        from: u64,
        mut passed: impl FnMut(Mark),
    ) -> Result<Option<Frame>, ScanError> {
        loop {
            if self.position == self.len {
                return Ok(None);
            }
            passed(self.place());
            let header = self.header()?;
            if !header.is_seal() && header.end() <= from {
                self.file.seek_relative(i64::from(header.len))?;
                self.pass(&header);
                continue;
            }
            let mut payload = vec![0; header.len as usize];
            self.file.read_exact(&mut payload)?;
            let frame = header
                .frame(Bytes::from(payload))
                .ok_or_else(|| self.bad("a frame does not match its checksum"))?;
            self.pass(&header);
            return Ok(Some(frame));
        }
    }

    fn header(&mut self) -> Result<FrameHeader, ScanError> {
        let room = self.len - self.position;
        if room < FRAME_HEADER_BYTES as u64 {
            return Err(self.bad("a frame is cut off"));
        }
        let mut bytes = [0; FRAME_HEADER_BYTES];
        self.file.read_exact(&mut bytes)?;
        let header = FrameHeader::parse(&bytes).ok_or_else(|| self.bad("there is no frame"))?;
        if self.sealed {
            return Err(self.bad("something follows the end"));
        }
        if header.offset != self.offset {
            return Err(self.bad("a frame has the wrong offset"));
        }
        if room - (FRAME_HEADER_BYTES as u64) < u64::from(header.len) {
            return Err(self.bad("a frame is cut off"));
        }
        Ok(header)
    }

    fn pass(&mut self, header: &FrameHeader) {
        self.position += FRAME_HEADER_BYTES as u64 + u64::from(header.len);
        self.offset = header.end();
        self.sealed = header.is_seal();
    }

    const fn bad(&self, problem: &'static str) -> ScanError {
        ScanError::Bad {
            position: self.position,
            problem,
        }
    }
}

/// Whether a frame behind `position` shows that the bytes at `position` were durable once.
///
/// Each frame says how much of its file was durable before it was written. A crash can only spoil what was not, so a
/// valid frame that vouches for a spoilt place proves damage of another kind. `tail` are the bytes from `position` on.
pub(crate) fn is_vouched_for(tail: &[u8], position: u64) -> bool {
    (0..tail.len()).any(|start| {
        let Some(header) = tail[start..].first_chunk().and_then(FrameHeader::parse) else {
            return false;
        };
        if u64::from(header.synced) <= position {
            return false;
        }
        let begin = start + FRAME_HEADER_BYTES;
        tail.get(begin..begin + header.len as usize)
            .is_some_and(|payload| header.frame(Bytes::copy_from_slice(payload)).is_some())
    })
}
