//! Writing a sealed file.

use std::fs::File;
use std::io::{self, Write};

use jobyard_core::{AttemptId, LogChunk, LogEnd};

use super::block::BlockBuilder;
use super::digest::{Digests, Sum};
use super::index::SealedIndex;

/// After how many bytes the file is forced to disk: never so many at once that appends wait behind them.
const SYNC_EVERY: u64 = 4 * 1_024 * 1_024;

/// Writes a log chunk by chunk.
#[derive(Debug)]
pub(crate) struct SealedWriter {
    attempt: AttemptId,
    file: File,
    block: BlockBuilder,
    digests: Digests,
    index: SealedIndex,
    position: u64,
    synced: u64,
}

impl SealedWriter {
    /// Into an empty file.
    pub(crate) fn begin(file: File, attempt: AttemptId, end: LogEnd) -> Self {
        Self {
            attempt,
            file,
            block: BlockBuilder::default(),
            digests: Digests::default(),
            index: SealedIndex {
                held: 0,
                end,
                bytes: Sum::default(),
                chunks: Sum::default(),
                blocks: Vec::new(),
                root: Sum::default(),
            },
            position: 0,
            synced: 0,
        }
    }

    /// Adds the next chunk.
    pub(crate) fn chunk(&mut self, chunk: &LogChunk) -> io::Result<()> {
        self.digests.add(chunk);
        self.block.add(chunk);
        if self.block.is_full() {
            self.end_block()?;
        }
        Ok(())
    }

    /// Ends the file and forces it to disk. What is in it, and its length.
    pub(crate) fn finish(mut self) -> io::Result<(SealedIndex, u64)> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.index.held = self.digests.end();
        (self.index.bytes, self.index.chunks) = self.digests.finish();
        let tail = self.index.encode(self.attempt).map_err(io::Error::other)?;
        self.file.write_all(&tail)?;
        self.file.sync_all()?;
        Ok((self.index, self.position + tail.len() as u64))
    }

    fn end_block(&mut self) -> io::Result<()> {
        let last = self.index.blocks.last();
        let offset = last.map_or(0, super::block::Block::end);
        let (block, frames) = self.block.finish(offset, self.position)?;
        self.file.write_all(&frames)?;
        self.position += frames.len() as u64;
        self.index.blocks.push(block);
        if self.position - self.synced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.synced = self.position;
        }
        Ok(())
    }
}
