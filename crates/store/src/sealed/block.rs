//! Blocks: the pieces of which a sealed file consists. Each is read by itself.

use std::io;

use bytes::Bytes;
use jobyard_core::{LogChunk, OutputStream, Timestamp};

use super::digest::{Sum, sum};

/// When a block has reached this length the next chunk begins a new one: what a reader decompresses at least.
pub(super) const BLOCK_BYTES: usize = 256 * 1_024;

/// How many chunks a block holds at most: a bound for the memory of a job that prints byte by byte.
pub(super) const BLOCK_CHUNKS: usize = 64 * 1_024;

/// What precedes the payload of a frame that decoders skip.
pub(super) const SKIPPABLE_HEADER_BYTES: usize = 8;

/// The frame that says which chunks a block has.
const TABLE_MAGIC: u32 = 0x184D_2A5A;

/// zstd's own default: faster than a disk writes.
const LEVEL: i32 = 3;

/// The most that a chunk takes in a table: a length with its stream, and a time.
const ENTRY_BYTES: usize = 5 + 10;

/// Where a block stands, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The offset of its first byte in the attempt's sequence.
    pub(crate) offset: u64,
    /// How many bytes of the sequence it holds.
    pub(crate) len: u32,
    /// Its position in the file.
    pub(crate) position: u64,
    /// The length of the frame that says which chunks there are.
    pub(crate) table: u32,
    /// The length of the frame with their bytes.
    pub(crate) data: u32,
    /// How many chunks.
    pub(crate) chunks: u32,
    /// The time of the first of them, in microseconds since 1970.
    pub(crate) at: i64,
    /// Of both frames.
    pub(crate) sum: Sum,
}

impl Block {
    /// The offset after its last byte.
    pub(crate) const fn end(&self) -> u64 {
        self.offset + self.len as u64
    }

    /// The length of both frames.
    pub(crate) const fn size(&self) -> u64 {
        self.table as u64 + self.data as u64
    }
}

/// Gathers chunks for a block.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    bytes: Vec<u8>,
    table: Vec<u8>,
    chunks: u32,
    first_at: i64,
    last_at: i64,
}

impl BlockBuilder {
    pub(super) fn add(&mut self, chunk: &LogChunk) {
        let at = chunk.at.as_micros();
        if self.chunks == 0 {
            (self.first_at, self.last_at) = (at, at);
        }
        let stream = u64::from(chunk.stream == OutputStream::Stderr);
        put_number(&mut self.table, (chunk.bytes.len() as u64) << 1 | stream);
        // Clocks may be set back, and far: the difference wraps around, here and where it is added again.
        put_number(&mut self.table, zigzag(at.wrapping_sub(self.last_at)));
        self.last_at = at;
        self.bytes.extend_from_slice(&chunk.bytes);
        self.chunks += 1;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BLOCK_BYTES || self.chunks as usize >= BLOCK_CHUNKS
    }

    /// The block, which begins at this offset of the sequence and position of the file, and its frames. Empties the
    /// builder.
    pub(super) fn finish(&mut self, offset: u64, position: u64) -> io::Result<(Block, Vec<u8>)> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        let table = compressor.compress(&self.table)?;
        compressor.include_checksum(true)?;
        let data = compressor.compress(&self.bytes)?;
        let mut frames = skippable_header(TABLE_MAGIC, table.len()).to_vec();
        frames.extend_from_slice(&table);
        let table = frames.len();
        frames.extend_from_slice(&data);
        let block = Block {
            offset,
            len: small(self.bytes.len()),
            position,
            table: small(table),
            data: small(data.len()),
            chunks: self.chunks,
            at: self.first_at,
            sum: sum(&frames),
        };
        self.bytes.clear();
        self.table.clear();
        self.chunks = 0;
        Ok((block, frames))
    }
}

/// The chunks of a block, given its frames. An error says what is wrong with them.
pub(crate) fn decode(frames: &[u8], block: &Block) -> Result<Vec<LogChunk>, &'static str> {
    if frames.len() as u64 != block.size() {
        return Err("a block is cut off");
    }
    if sum(frames) != block.sum {
        return Err("a block does not match its digest");
    }
    let (table, data) = frames.split_at(block.table as usize);
    let table = table
        .get(SKIPPABLE_HEADER_BYTES..)
        .ok_or("a block has no table")?;
    let room = block.chunks as usize * ENTRY_BYTES;
    let table = zstd::bulk::decompress(table, room).map_err(|_| "a table is not compressed")?;
    let data = zstd::bulk::decompress(data, block.len as usize)
        .map_err(|_| "the bytes of a block are not compressed")?;
    chunks_of(&table, data.into(), block).ok_or("a table does not fit its block")
}

fn chunks_of(table: &[u8], mut data: Bytes, block: &Block) -> Option<Vec<LogChunk>> {
    let mut chunks = Vec::with_capacity(block.chunks as usize);
    let mut rest = table;
    let (mut offset, mut at) = (block.offset, block.at);
    while !rest.is_empty() {
        let length = take_number(&mut rest)?;
        at = at.wrapping_add(unzigzag(take_number(&mut rest)?));
        let stream = match length & 1 {
            0 => OutputStream::Stdout,
            _ => OutputStream::Stderr,
        };
        let length = usize::try_from(length >> 1).ok()?;
        if length == 0 || length > data.len() {
            return None;
        }
        let bytes = data.split_to(length);
        chunks.push(LogChunk::new(
            offset,
            stream,
            Timestamp::from_micros(at),
            bytes,
        ));
        offset += length as u64;
    }
    (data.is_empty() && chunks.len() == block.chunks as usize).then_some(chunks)
}

/// What a frame that decoders skip begins with.
pub(super) fn skippable_header(magic: u32, payload: usize) -> [u8; SKIPPABLE_HEADER_BYTES] {
    let mut header = [0; SKIPPABLE_HEADER_BYTES];
    header[..4].copy_from_slice(&magic.to_le_bytes());
    header[4..].copy_from_slice(&small(payload).to_le_bytes());
    header
}

/// Blocks and tables lie far below the limit.
pub(super) fn small(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a block and an index are far below 4 GiB")
}

/// Seven bits a byte, the lowest first.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Small numbers of either sign become small ones.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were_written() {
        for number in [0, 1, -1, 127, -128, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, zigzag(number));
            let mut rest = bytes.as_slice();
            assert_eq!(take_number(&mut rest).map(unzigzag), Some(number));
            assert!(rest.is_empty());
        }
        assert_eq!(take_number(&mut [0x80].as_slice()), None);
        assert_eq!(take_number(&mut [0xff; 11].as_slice()), None);
    }

    #[test]
    fn every_flipped_bit_of_a_block_is_found() {
        let mut builder = BlockBuilder::default();
        let mut chunks = Vec::new();
        for (offset, at) in [(0, i64::MIN), (5, i64::MAX), (10, 0)] {
            let at = Timestamp::from_micros(at);
            let chunk = LogChunk::new(offset, OutputStream::Stderr, at, Bytes::from("bytes"));
            builder.add(&chunk);
            chunks.push(chunk);
        }
        let (block, frames) = builder.finish(0, 0).expect("a block");
        assert_eq!(decode(&frames, &block), Ok(chunks));
        for bit in 0..frames.len() * 8 {
            let mut damaged = frames.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            decode(&damaged, &block).expect_err("damage");
        }
    }
}
