//! Frames: the pieces of which a segment consists. The format is described in [`FileLogs`](super::FileLogs).

use bytes::Bytes;
use jobyard_core::{LogChunk, LogEnd, MAX_CHUNK_BYTES, OutputStream, Timestamp};

/// The bytes before the payload of a frame.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;

/// The bytes of the payload of a seal.
const SEAL_BYTES: usize = 16;

/// The header of a frame, taken apart. All numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// CRC-32 of the rest of the header and of the payload.
    crc: u32,
    /// The length of the payload.
    pub(crate) len: u32,
    /// Where the payload stands in the attempt's byte sequence; for a seal, what is held.
    pub(crate) offset: u64,
    /// When the worker read it.
    at: i64,
    /// How much of this file was durable before the frame was written.
    pub(crate) synced: u32,
    kind: u8,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Bytes.
    Chunk(LogChunk),
    /// The end.
    Seal(LogEnd),
}

const STDOUT: u8 = 0;
const STDERR: u8 = 1;
const SEAL: u8 = 2;

impl FrameHeader {
    /// Takes a header apart. `None` if no frame can have it, whatever its payload.
    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER_BYTES]) -> Option<Self> {
        let (head, reserved) = bytes.split_at(29);
        let len = u32::from_le_bytes(field(head, 4));
        let kind = head[28];
        let fits = match kind {
            STDOUT | STDERR => len != 0 && len as usize <= MAX_CHUNK_BYTES,
            SEAL => len as usize == SEAL_BYTES,
            _ => false,
        };
        (fits && reserved == [0; 3]).then(|| Self {
            crc: u32::from_le_bytes(field(head, 0)),
            len,
            offset: u64::from_le_bytes(field(head, 8)),
            at: i64::from_le_bytes(field(head, 16)),
            synced: u32::from_le_bytes(field(head, 24)),
            kind,
        })
    }

    /// The frame, if the payload is the one that was written.
    pub(crate) fn frame(&self, payload: Bytes) -> Option<Frame> {
        let header = self.encode();
        if checksum(&header, &payload) != self.crc {
            return None;
        }
        let stream = match self.kind {
            STDOUT => OutputStream::Stdout,
            STDERR => OutputStream::Stderr,
            _ => {
                return Some(Frame::Seal(LogEnd {
                    bytes: u64::from_le_bytes(field(&payload, 0)),
                    dropped: u64::from_le_bytes(field(&payload, 8)),
                }));
            }
        };
        let at = Timestamp::from_micros(self.at);
        Some(Frame::Chunk(LogChunk::new(
            self.offset,
            stream,
            at,
            payload,
        )))
    }

    /// Whether it announces the end.
    pub(crate) const fn is_seal(&self) -> bool {
        self.kind == SEAL
    }

    /// The offset after the payload; a seal has no bytes of the sequence.
    pub(crate) const fn end(&self) -> u64 {
        if self.is_seal() {
            self.offset
        } else {
            self.offset.saturating_add(self.len as u64)
        }
    }

    fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.crc.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.at.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.synced.to_le_bytes());
        bytes[28] = self.kind;
        bytes
    }
}

/// Adds the frame of a chunk, which is not larger than [`MAX_CHUNK_BYTES`].
pub(crate) fn put_chunk(out: &mut Vec<u8>, chunk: &LogChunk, synced: u32) {
    put_chunk_header(out, chunk, synced);
    out.extend_from_slice(&chunk.bytes);
}

/// As [`put_chunk`], without the bytes of the chunk, which have to follow.
pub(crate) fn put_chunk_header(out: &mut Vec<u8>, chunk: &LogChunk, synced: u32) {
    let kind = match chunk.stream {
        OutputStream::Stdout => STDOUT,
        OutputStream::Stderr => STDERR,
    };
    let at = chunk.at.as_micros();
    put_header(out, kind, chunk.offset, at, synced, &chunk.bytes);
}

/// Adds the frame that ends a log of which `held` bytes are there.
pub(crate) fn put_seal(out: &mut Vec<u8>, held: u64, end: LogEnd, synced: u32) {
    let mut payload = [0; SEAL_BYTES];
    payload[..8].copy_from_slice(&end.bytes.to_le_bytes());
    payload[8..].copy_from_slice(&end.dropped.to_le_bytes());
    put_header(out, SEAL, held, 0, synced, &payload);
    out.extend_from_slice(&payload);
}

fn put_header(out: &mut Vec<u8>, kind: u8, offset: u64, at: i64, synced: u32, payload: &[u8]) {
    let mut header = FrameHeader {
        crc: 0,
        len: u32::try_from(payload.len()).expect("a payload is at most MAX_CHUNK_BYTES long"),
        offset,
        at,
        synced,
        kind,
    };
    header.crc = checksum(&header.encode(), payload);
    out.extend_from_slice(&header.encode());
}

/// Covers all of a frame but the checksum itself.
fn checksum(header: &[u8; FRAME_HEADER_BYTES], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[4..]);
    crc.update(payload);
    crc.finalize()
}

/// The bytes of a number. The caller knows that they are there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Frame> {
        let header = FrameHeader::parse(bytes.first_chunk()?)?;
        let payload = bytes.get(FRAME_HEADER_BYTES..)?;
        (payload.len() == header.len as usize)
            .then(|| header.frame(Bytes::copy_from_slice(payload)))?
    }

    #[test]
    fn frames_read_back_as_they_were_written() {
        let at = Timestamp::from_micros(-5);
        let chunk = LogChunk::new(7, OutputStream::Stderr, at, Bytes::from_static(b"bytes"));
        let mut bytes = Vec::new();
        put_chunk(&mut bytes, &chunk, 3);
        assert_eq!(parse(&bytes), Some(Frame::Chunk(chunk)));

        let end = LogEnd {
            bytes: 9,
            dropped: 2,
        };
        let mut bytes = Vec::new();
        put_seal(&mut bytes, 4, end, 3);
        assert_eq!(parse(&bytes), Some(Frame::Seal(end)));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let at = Timestamp::from_micros(1);
        let chunk = LogChunk::new(7, OutputStream::Stdout, at, Bytes::from_static(b"bytes"));
        let mut bytes = Vec::new();
        put_chunk(&mut bytes, &chunk, 3);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&damaged), None, "bit {bit}");
        }
    }
}
