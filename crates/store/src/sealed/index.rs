//! The end of a sealed file: which blocks there are, and the digests that vouch for all of it.

use jobyard_core::{AttemptId, LogEnd};
use zeekstd::SeekTable;

use super::block::{Block, SKIPPABLE_HEADER_BYTES, skippable_header};
use super::digest::{Sum, sum};

/// How much is read of the end of a file at first: enough for a log of some 250 MiB.
pub(crate) const TAIL_GUESS_BYTES: u64 = 64 * 1_024;

/// The kind of file and the version of its format.
const MAGIC: [u8; 8] = *b"JOBYZST1";

/// The frame that holds the index.
const INDEX_MAGIC: u32 = 0x184D_2A5B;

/// What precedes the blocks in an index.
const HEAD_BYTES: usize = 8 + 16 + 4 + 4 + 3 * 8 + 3 * 32;

/// What a block takes in it.
const BLOCK_ENTRY_BYTES: usize = 4 * 4 + 8 + 32;

/// How the seek table of the standard seekable format ends.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;

/// What it has beside its entries: the header of its frame; the number of frames, a byte of flags, the magic number.
const SEEK_TABLE_BYTES: usize = SKIPPABLE_HEADER_BYTES + 9;

/// What an entry takes in it.
const SEEK_ENTRY_BYTES: usize = 8;

/// What is known of a sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedIndex {
    /// The offset after the last byte that is held.
    pub(crate) held: u64,
    /// The end that was sealed.
    pub(crate) end: LogEnd,
    /// Of the byte sequence.
    pub(crate) bytes: Sum,
    /// Of the chunks, with their borders, streams and times.
    pub(crate) chunks: Sum,
    /// In order.
    pub(crate) blocks: Vec<Block>,
    /// Of the index itself, and by what it holds of the whole file.
    pub(crate) root: Sum,
}

/// Why there is no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexError {
    /// So many bytes from the end of the file have to be looked at.
    More(u64),
    /// This is not the end of a sealed file.
    Bad(&'static str),
}

impl SealedIndex {
    /// The number of the block that holds the byte at this offset.
    pub(crate) fn block_of(&self, offset: u64) -> Option<usize> {
        let number = self.blocks.partition_point(|block| block.end() <= offset);
        (number < self.blocks.len()).then_some(number)
    }

    /// Writes the end of a file, and says what its digest is.
    pub(super) fn encode(&mut self, attempt: AttemptId) -> Result<Vec<u8>, zeekstd::Error> {
        let table = self.seek_table()?;
        let mut bytes = skippable_header(INDEX_MAGIC, self.payload_bytes()).to_vec();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(attempt.job.as_uuid().as_bytes());
        bytes.extend_from_slice(&attempt.number.get().to_le_bytes());
        bytes.extend_from_slice(&super::block::small(self.blocks.len()).to_le_bytes());
        for number in [self.held, self.end.bytes, self.end.dropped] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for sum in [self.bytes, self.chunks, sum(&table)] {
            bytes.extend_from_slice(&sum);
        }
        for block in &self.blocks {
            for number in [block.len, block.table, block.data, block.chunks] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&block.at.to_le_bytes());
            bytes.extend_from_slice(&block.sum);
        }
        self.root = sum(&bytes[SKIPPABLE_HEADER_BYTES..]);
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&table);
        Ok(bytes)
    }

    /// Reads it from the last bytes of a file of this length.
    pub(crate) fn parse(tail: &[u8], file: u64, attempt: AttemptId) -> Result<Self, IndexError> {
        let blocks = blocks_by_footer(tail)?;
        let payload = payload_bytes(blocks);
        let table = SEEK_TABLE_BYTES + (2 * blocks + 1) * SEEK_ENTRY_BYTES;
        let whole = SKIPPABLE_HEADER_BYTES + payload + table;
        if whole as u64 > file {
            return Err(IndexError::Bad("the file is shorter than its index"));
        }
        let Some(start) = tail.len().checked_sub(whole) else {
            return Err(IndexError::More(whole as u64));
        };
        let (index, table) = tail[start..].split_at(SKIPPABLE_HEADER_BYTES + payload);
        let (header, payload) = index.split_at(SKIPPABLE_HEADER_BYTES);
        if header != skippable_header(INDEX_MAGIC, payload.len()) {
            return Err(IndexError::Bad("there is no index"));
        }
        let index = Self::parse_payload(payload, table, attempt).map_err(IndexError::Bad)?;
        let end = index
            .blocks
            .last()
            .map_or(0, |last| last.position + last.size());
        if end + whole as u64 != file || index.blocks.last().map_or(0, Block::end) != index.held {
            return Err(IndexError::Bad("the blocks do not fit the file"));
        }
        Ok(index)
    }

    fn parse_payload(
        payload: &[u8],
        table: &[u8],
        attempt: AttemptId,
    ) -> Result<Self, &'static str> {
        let (body, root) = payload
            .split_last_chunk::<32>()
            .ok_or("the index is cut off")?;
        if sum(body) != *root {
            return Err("the index does not match its digest");
        }
        let mut fields = Fields(body);
        if fields.take()? != MAGIC {
            return Err("it is not a sealed log of this version");
        }
        let job: [u8; 16] = fields.take()?;
        let number = u32::from_le_bytes(fields.take()?);
        if job != *attempt.job.as_uuid().as_bytes() || number != attempt.number.get() {
            return Err("it is the log of another attempt");
        }
        let blocks = u32::from_le_bytes(fields.take()?);
        let mut index = Self {
            held: fields.number()?,
            end: LogEnd {
                bytes: fields.number()?,
                dropped: fields.number()?,
            },
            bytes: fields.take()?,
            chunks: fields.take()?,
            blocks: Vec::with_capacity(blocks as usize),
            root: *root,
        };
        if fields.take()? != sum(table) {
            return Err("the seek table does not match its digest");
        }
        let (mut offset, mut position) = (0, 0);
        for _ in 0..blocks {
            let block = fields.block(offset, position)?;
            (offset, position) = (block.end(), position + block.size());
            index.blocks.push(block);
        }
        Ok(index)
    }

    fn payload_bytes(&self) -> usize {
        payload_bytes(self.blocks.len())
    }

    /// The seek table of the standard seekable format: two frames for each block, and one for the index.
    fn seek_table(&self) -> Result<Vec<u8>, zeekstd::Error> {
        let mut table = SeekTable::new();
        for block in &self.blocks {
            table.log_frame(block.table, 0)?;
            table.log_frame(block.data, block.len)?;
        }
        let index = SKIPPABLE_HEADER_BYTES + self.payload_bytes();
        table.log_frame(super::block::small(index), 0)?;
        let mut serializer = table.into_serializer();
        let mut bytes = vec![0; serializer.encoded_len()];
        serializer.write_into(&mut bytes);
        Ok(bytes)
    }
}

/// What is left to read of an index, whose length was checked against its number of blocks.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (field, rest) = self.0.split_first_chunk().ok_or("the index is cut off")?;
        self.0 = rest;
        Ok(*field)
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        self.take().map(u64::from_le_bytes)
    }

    fn block(&mut self, offset: u64, position: u64) -> Result<Block, &'static str> {
        Ok(Block {
            offset,
            position,
            len: u32::from_le_bytes(self.take()?),
            table: u32::from_le_bytes(self.take()?),
            data: u32::from_le_bytes(self.take()?),
            chunks: u32::from_le_bytes(self.take()?),
            at: i64::from_le_bytes(self.take()?),
            sum: self.take()?,
        })
    }
}

const fn payload_bytes(blocks: usize) -> usize {
    HEAD_BYTES + blocks * BLOCK_ENTRY_BYTES + 32
}

/// How many blocks there are, by the number of frames at the very end of the file.
fn blocks_by_footer(tail: &[u8]) -> Result<usize, IndexError> {
    let bad = IndexError::Bad("it does not end like a sealed log");
    let Some((_, footer)) = tail.split_last_chunk::<9>() else {
        return Err(bad);
    };
    let frames = u32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]);
    let is_ours = footer[4] == 0 && footer[5..] == SEEKABLE_MAGIC.to_le_bytes();
    if !is_ours || frames % 2 != 1 {
        return Err(bad);
    }
    usize::try_from(frames / 2).map_err(|_| bad)
}
