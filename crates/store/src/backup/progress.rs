//! How far a backup or a restore is.

/// A step, told as it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupProgress {
    /// The database is being copied as it is now; takes about as long as reading it.
    Database,
    /// This many files and bytes are in the archive, or out of it.
    Files {
        /// Files.
        files: u64,
        /// Bytes, before they are compressed.
        bytes: u64,
    },
    /// Everything was read; the archive is compared with its own list, or made durable.
    Verifying,
    /// The next part of what was restored moves to its place, or the last one has.
    Placing,
}
