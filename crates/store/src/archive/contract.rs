//! The contract of archives.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

/// Keeps whole files under names, for as long as the master keeps its logs. Files do not change.
///
/// # Contract
///
/// * **Names** are paths with `/` between their parts, of lower-case letters, digits, `-` and `.`. The one who puts a
///   file gives it a name that no other file has: it holds the digest of what is in it.
/// * **Put** returns when the file is durable as a whole, and until then nobody sees a part of it under its name. It
///   may be repeated.
/// * **Read** gives what was put, or less at its end. Whoever reads compares digests, so damage may go unnoticed here.
/// * **Remove** may be repeated: a file that is not there is no error.
/// * **Away or missing.** An archive that cannot be reached says [`ArchiveError::Away`], and [`ArchiveError::Missing`]
///   only if it is certain that it is there and the file is not.
/// * **Cancel-safety.** A dropped put or removal may or may not have happened; repeat it.
#[async_trait]
pub trait LogArchive: Send + Sync + fmt::Debug {
    /// Makes an archive of a place that is none yet. Called before the first file is put, by a master that has nothing
    /// archived. What is an archive already stays as it is.
    async fn begin(&self) -> Result<(), ArchiveError>;

    /// Keeps what is in a file.
    async fn put(&self, name: &str, file: &Path) -> Result<(), ArchiveError>;

    /// Some bytes of a file. Fewer if it ends before.
    async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError>;

    /// Keeps a file no longer.
    async fn remove(&self, name: &str) -> Result<(), ArchiveError>;
}

/// Why an archive did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It cannot be reached, or is out of order. Try again later; somebody may have to look at it.
    #[error("the archive of logs is not at hand: {problem}")]
    Away {
        /// What was found.
        problem: String,
    },
    /// It is there, and the file is not. Not worth repeating.
    #[error("the archive of logs does not have {name}")]
    Missing {
        /// Which file.
        name: String,
    },
}

impl ArchiveError {
    /// An archive that cannot be reached.
    pub fn away(problem: impl fmt::Display) -> Self {
        Self::Away {
            problem: problem.to_string(),
        }
    }
}
