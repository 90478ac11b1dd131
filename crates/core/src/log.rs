//! Output of attempts: bytes by offset, and the contract of the place where they are kept.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{AttemptId, Epoch, LogEnd, LogState, Timestamp};

/// The most bytes in one chunk: small against the message limit, large against the cost of a message.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// Which stream a chunk came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output, or both if they were merged.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of an attempt's one byte sequence.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogChunk {
    /// Where its first byte stands in the sequence.
    pub offset: u64,
    /// Which stream it came from.
    pub stream: OutputStream,
    /// When the worker read it; the worker's clock.
    pub at: Timestamp,
    /// At most [`MAX_CHUNK_BYTES`], never empty.
    pub bytes: Bytes,
}

impl LogChunk {
    /// A chunk at this offset.
    pub const fn new(offset: u64, stream: OutputStream, at: Timestamp, bytes: Bytes) -> Self {
        Self {
            offset,
            stream,
            at,
            bytes,
        }
    }

    /// The offset after its last byte.
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl fmt::Debug for LogChunk {
    /// Leaves the bytes out: they are the job's affair.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LogChunk({:?} {}..{})",
            self.stream,
            self.offset,
            self.end()
        )
    }
}

/// Keeps the output of attempts.
///
/// # Contract
///
/// * **One sequence.** The bytes of an attempt are a prefix of its one byte sequence, without holes. Chunk borders
///   are not part of it: a reader may see other borders than were written.
/// * **Append** is idempotent: what is held already is compared and skipped; other bytes at a held offset are
///   [`AppendError::Conflict`], never a merge. On `Appended` everything below `durable_to` survives the loss of this
///   process and of its machine's power, in the configuration that runs.
/// * **Fencing.** Once an append of a higher epoch was seen, older ones are refused.
/// * **Seal** makes the end known; it is idempotent with the same end. Afterwards only repeats are taken.
/// * **Readers** never block writers. `watch` returns at once when there is more than `from` or the log is sealed.
/// * **Cancel-safety.** A dropped append may or may not have happened; repeat it. Reads and watches have no effect.
#[async_trait]
pub trait LogStore: Send + Sync + fmt::Debug {
    /// Adds chunks, which follow each other without holes and begin at or before the present end.
    async fn append(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        chunks: Vec<LogChunk>,
    ) -> Result<Appended, AppendError>;

    /// Chunks from an offset on, at most about `limit` bytes of them (at least one chunk if there is any). The first
    /// may be cut so that it begins exactly at `from`. Empty at the end.
    async fn read(
        &self,
        attempt: AttemptId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError>;

    /// Returns when the log reaches beyond `from`, or is sealed. Cancel-safe.
    async fn watch(&self, attempt: AttemptId, from: u64) -> Result<LogStatus, LogReadError>;

    /// What is held of an attempt's output. An attempt that nobody has written to has an empty open log.
    async fn status(&self, attempt: AttemptId) -> Result<LogStatus, LogReadError>;

    /// Says where the sequence ends. If `end.bytes` lies beyond what is held, the rest counts as lost.
    async fn seal(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        end: LogEnd,
    ) -> Result<LogStatus, AppendError>;

    /// How much room all logs take.
    async fn usage(&self) -> Result<LogUsage, LogReadError>;

    /// How much room the log of one attempt takes. Zero logs if there is none.
    async fn usage_of(&self, attempt: AttemptId) -> Result<LogUsage, LogReadError> {
        let end = self.status(attempt).await?.end;
        Ok(LogUsage::new(u64::from(end > 0), end))
    }

    /// Removes an attempt's output. Repeating it is no error.
    async fn remove(&self, attempt: AttemptId) -> Result<(), LogReadError>;

    /// Does the store's own work beside everything else, as compressing what is sealed, for as long as this is polled.
    /// Ends never; the default has nothing to do. The host runs one of these at a time and drops it when it likes:
    /// what was begun is then left as it was, or done.
    async fn maintain(&self) {
        std::future::pending::<()>().await;
    }
}

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Taken; everything below this offset is durable.
    Durable {
        /// The offset after the last durable byte.
        to: u64,
    },
    /// Not taken: bytes before the first chunk are missing.
    Gap {
        /// Where the next chunk has to begin.
        expected: u64,
    },
}

/// What is held of one attempt's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStatus {
    /// The offset after the last byte that is held.
    pub end: u64,
    /// Whether more may come.
    pub state: LogState,
    /// Bytes that the worker dropped because of the log limit; known once the log is sealed.
    pub dropped: u64,
}

impl LogStatus {
    /// An open log of this length.
    pub const fn open(end: u64) -> Self {
        Self {
            end,
            state: LogState::Uploading,
            dropped: 0,
        }
    }

    /// A sealed log: complete, or lost or corrupt from the end of what is held.
    pub const fn sealed(held: u64, end: LogEnd) -> Self {
        let state = if end.bytes == LogEnd::CORRUPT.bytes {
            LogState::Corrupt(held)
        } else if end.bytes > held {
            LogState::LostFrom(held)
        } else {
            LogState::Complete
        };
        Self {
            end: held,
            state,
            dropped: end.dropped,
        }
    }

    /// Whether nothing more will come.
    pub const fn is_sealed(&self) -> bool {
        !matches!(self.state, LogState::Uploading)
    }
}

/// How much room logs take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogUsage {
    /// Attempts with output.
    pub logs: u64,
    /// Bytes on disk, or in memory for a store that has no disk.
    pub bytes: u64,
    /// Bytes in an archive elsewhere, which `bytes` does not count.
    pub archived: u64,
    /// How many bytes there may be on disk, if that is limited. While there are that many, nothing more is taken.
    pub budget: Option<u64>,
}

impl LogUsage {
    /// So many logs of so many bytes.
    pub const fn new(logs: u64, bytes: u64) -> Self {
        Self {
            logs,
            bytes,
            archived: 0,
            budget: None,
        }
    }

    /// Whether output waits at its workers for room.
    pub fn is_full(&self) -> bool {
        self.budget.is_some_and(|budget| self.bytes >= budget)
    }
}

/// Why output was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A newer master writes this log. Give up: you lead no longer.
    #[error("the log belongs to the newer term {current}")]
    Fenced {
        /// The newer term.
        current: Epoch,
    },
    /// Other bytes are held at this offset. The writer's fault; do not repeat.
    #[error("the log holds other bytes at offset {offset}")]
    Conflict {
        /// The first byte that differs.
        offset: u64,
    },
    /// The log is sealed and this lies beyond its end, or the chunks have holes. The writer's fault; do not repeat.
    #[error("the chunks do not fit: {problem}")]
    Misplaced {
        /// In which way.
        problem: &'static str,
    },
    /// The bytes on disk are not what was written. The log takes no more, and no end; do not repeat.
    #[error("the log is damaged: {problem}")]
    Damaged {
        /// What was found.
        problem: String,
    },
    /// The disk refused. Try again later.
    #[error("the log could not be written: {problem}")]
    Storage {
        /// What the system said.
        problem: String,
    },
}

/// Why output could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogReadError {
    /// The bytes on disk are not what was written. Not worth repeating.
    #[error("the log of {attempt} is damaged: {problem}")]
    Damaged {
        /// Whose log.
        attempt: AttemptId,
        /// What was found.
        problem: String,
    },
    /// The disk refused. Try again later.
    #[error("the log could not be read: {problem}")]
    Storage {
        /// What the system said.
        problem: String,
    },
}
