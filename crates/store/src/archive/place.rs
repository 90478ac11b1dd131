//! An archive as the log store uses it: with patience, and comparing what it gets.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::contract::{ArchiveError, LogArchive};

/// How long one read of an archive may take: readers wait for it.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// How long a whole file may take to get there.
const PUT_PATIENCE: Duration = Duration::from_hours(1);

/// How much is read back at once to compare it.
const COMPARE_BYTES: u64 = 4 * 1_024 * 1_024;

/// Where sealed logs go.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    archive: Arc<dyn LogArchive>,
}

impl Place {
    pub(crate) fn new(archive: Arc<dyn LogArchive>) -> Self {
        Self { archive }
    }

    /// Makes an archive of the place.
    pub(crate) async fn begin(&self) -> Result<(), ArchiveError> {
        let begun = timeout(READ_PATIENCE, self.archive.begin()).await;
        begun.unwrap_or_else(|_| Err(silent()))
    }

    /// Keeps a file of this length and digest there, and reads it back. `false`: what is there is something else.
    pub(crate) async fn put(
        &self,
        name: &str,
        file: &Path,
        bytes: u64,
        sum: [u8; 32],
    ) -> Result<bool, ArchiveError> {
        let put = timeout(PUT_PATIENCE, self.archive.put(name, file)).await;
        put.unwrap_or_else(|_| Err(silent()))?;
        let mut found = Sha256::new();
        let mut at = 0;
        while at < bytes {
            let piece = self.read(name, at..bytes.min(at + COMPARE_BYTES)).await?;
            if piece.is_empty() {
                return Ok(false);
            }
            found.update(&piece);
            at += piece.len() as u64;
        }
        let more = self.read(name, bytes..bytes + 1).await?;
        Ok(more.is_empty() && found.finalize()[..] == sum)
    }

    /// Some bytes of a file. Fewer if it ends before.
    pub(crate) async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let read = timeout(READ_PATIENCE, self.archive.read(name, range)).await;
        read.unwrap_or_else(|_| Err(silent()))
    }

    /// Keeps a file no longer.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        let removed = timeout(READ_PATIENCE, self.archive.remove(name)).await;
        removed.unwrap_or_else(|_| Err(silent()))
    }
}

fn silent() -> ArchiveError {
    ArchiveError::away("it does not answer")
}
