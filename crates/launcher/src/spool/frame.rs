//! One frame of a segment. The format is in the documentation of the [module](super).

use std::io::{self, Read};

use bytes::Bytes;
use jobyard_core::{LogChunk, MAX_CHUNK_BYTES, OutputStream, Timestamp};

/// The size of what precedes the output in a frame.
pub const HEADER_BYTES: usize = 25;
const CRC: usize = 4;

/// The frame of a chunk, which holds between one byte and [`MAX_CHUNK_BYTES`].
pub fn encode(chunk: &LogChunk) -> Vec<u8> {
    let header = header(chunk.offset, chunk.stream, chunk.at, &chunk.bytes);
    let mut frame = Vec::with_capacity(HEADER_BYTES + chunk.bytes.len());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(&chunk.bytes);
    frame
}

/// What precedes this output in its frame: between one byte and [`MAX_CHUNK_BYTES`] of a stream, read at this time, of
/// which the first stands at this offset.
pub fn header(
    offset: u64,
    stream: OutputStream,
    at: Timestamp,
    bytes: &[u8],
) -> [u8; HEADER_BYTES] {
    debug_assert!(
        (1..=MAX_CHUNK_BYTES).contains(&bytes.len()),
        "chunks fit a frame"
    );
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut header = [0; HEADER_BYTES];
    header[4..8].copy_from_slice(&length.to_be_bytes());
    header[8..16].copy_from_slice(&offset.to_be_bytes());
    header[16..24].copy_from_slice(&at.as_micros().to_be_bytes());
    header[24] = match stream {
        OutputStream::Stdout => 1,
        OutputStream::Stderr => 2,
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[CRC..]);
    hasher.update(bytes);
    header[..CRC].copy_from_slice(&hasher.finalize().to_be_bytes());
    header
}

/// The next frame; `None` where there is no whole and right one: the end, or what a crash or a writer that is about to
/// go on has left of a frame.
pub fn read(from: &mut impl Read) -> io::Result<Option<LogChunk>> {
    let mut header = [0; HEADER_BYTES];
    if !fill(from, &mut header)? {
        return Ok(None);
    }
    let (crc, fields) = header.split_at(CRC);
    let (length, rest) = fields.split_at(4);
    let (offset, rest) = rest.split_at(8);
    let (at, stream) = rest.split_at(8);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
    };
    let length = usize::try_from(number(length)).unwrap_or(usize::MAX);
    let stream = match stream {
        [1] => OutputStream::Stdout,
        [2] => OutputStream::Stderr,
        _ => return Ok(None),
    };
    if !(1..=MAX_CHUNK_BYTES).contains(&length) {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    if !fill(from, &mut bytes)? {
        return Ok(None);
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(&bytes);
    if u64::from(hasher.finalize()) != number(crc) {
        return Ok(None);
    }
    let at = Timestamp::from_micros(number(at).cast_signed());
    Ok(Some(LogChunk::new(
        number(offset),
        stream,
        at,
        Bytes::from(bytes),
    )))
}

/// Fills the buffer, or says that there is not enough.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
