//! What a log says, in two numbers.

use jobyard_core::{LogChunk, OutputStream};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Sum = [u8; 32];

/// Sums up a log chunk by chunk, wherever it is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digests {
    bytes: Sha256,
    chunks: Sha256,
    end: u64,
}

impl Digests {
    /// Adds the next chunk.
    pub(crate) fn add(&mut self, chunk: &LogChunk) {
        self.bytes.update(&chunk.bytes);
        self.chunks.update(chunk.offset.to_le_bytes());
        self.chunks.update([match chunk.stream {
            OutputStream::Stdout => 0,
            OutputStream::Stderr => 1,
        }]);
        self.chunks.update(chunk.at.as_micros().to_le_bytes());
        self.chunks.update((chunk.bytes.len() as u64).to_le_bytes());
        self.chunks.update(&chunk.bytes);
        self.end = chunk.end();
    }

    /// The offset after the last byte that was added.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Of the byte sequence, and of the chunks with their borders, streams and times.
    pub(crate) fn finish(self) -> (Sum, Sum) {
        (self.bytes.finalize().into(), self.chunks.finalize().into())
    }
}

/// The sum of some bytes.
pub(crate) fn sum(bytes: &[u8]) -> Sum {
    Sha256::digest(bytes).into()
}
