//! Reading output from the spool.

use std::fs::File;
use std::io::{self, BufReader};
use std::sync::Arc;

use jobyard_core::LogChunk;
use jobyard_launcher::spool::frame;

use super::log::SpoolLog;

/// Reads the output of one attempt, in order, from some offset on. Calls block.
#[derive(Debug)]
pub struct SpoolReader {
    log: Arc<SpoolLog>,
    /// The next byte to read.
    offset: u64,
    /// The segment that is being read, positioned at a frame that begins at or before the offset, or behind the rest.
    file: Option<BufReader<File>>,
    /// What was read of a chunk, and begins at the offset.
    rest: Option<LogChunk>,
}

/// What a chunk counts for beside its bytes when output is read in pieces: about what it takes on the wire.
pub const CHUNK_COST: usize = 40;

impl SpoolReader {
    /// A reader from this offset on. Touches no file.
    pub const fn new(log: Arc<SpoolLog>, offset: u64) -> Self {
        Self {
            log,
            offset,
            file: None,
            rest: None,
        }
    }

    /// The next byte to read.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next chunks, as many as `limit` bytes hold, for each of which [`CHUNK_COST`] is added, and at least one byte;
    /// none at the present end. The first is cut so that it begins exactly where the reader stands, and the last so that it
    /// fits.
    pub fn read(&mut self, limit: usize) -> Result<Vec<LogChunk>, ReadError> {
        let end = self.log.progress().end;
        let mut chunks = Vec::new();
        let mut left = limit.max(CHUNK_COST + 1);
        while self.offset < end && left > CHUNK_COST {
            let Some(mut chunk) = self.next()? else { break };
            left -= CHUNK_COST;
            if chunk.bytes.len() > left {
                let rest = chunk.bytes.split_off(left);
                self.rest = Some(LogChunk::new(chunk.end(), chunk.stream, chunk.at, rest));
            }
            left -= chunk.bytes.len();
            self.offset = chunk.end();
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// The chunk that begins where the reader stands.
    fn next(&mut self) -> Result<Option<LogChunk>, ReadError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        loop {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(open(&self.log, self.offset)?),
            };
            match frame::read(file).map_err(ReadError::Io)? {
                Some(chunk) if chunk.end() <= self.offset => {}
                Some(chunk) if chunk.offset > self.offset => return Err(self.damaged()),
                Some(mut chunk) => {
                    let skip = usize::try_from(self.offset - chunk.offset).unwrap_or(0);
                    chunk.bytes = chunk.bytes.split_off(skip);
                    chunk.offset = self.offset;
                    return Ok(Some(chunk));
                }
                // The end of this segment; the offset lies in the next, unless the file is not what was written.
                None => {
                    self.file = None;
                    match self.log.segment_of(self.offset) {
                        Some((start, _)) if start == self.offset => {}
                        _ => return Err(self.damaged()),
                    }
                }
            }
        }
    }

    const fn damaged(&self) -> ReadError {
        ReadError::Missing {
            offset: self.offset,
        }
    }
}

fn open(log: &SpoolLog, offset: u64) -> Result<BufReader<File>, ReadError> {
    let (_, path) = log
        .segment_of(offset)
        .ok_or(ReadError::Missing { offset })?;
    match File::open(path) {
        Ok(file) => Ok(BufReader::new(file)),
        // Nobody but this process deletes what is wanted, and who did all the same does not bring it back.
        Err(error) if is_gone(&error) => Err(ReadError::Missing { offset }),
        Err(error) => Err(ReadError::Io(error)),
    }
}

/// Whether a file is not there, or its directory.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Why output could not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The output at this offset is no longer here, or is damaged. It is lost; do not repeat.
    #[error("the output from offset {offset} on is not in the spool")]
    Missing {
        /// The first byte that is missing.
        offset: u64,
    },
    /// The disk refused. Try again later.
    #[error("the spool could not be read: {0}")]
    Io(#[source] io::Error),
}
