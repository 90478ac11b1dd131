//! Why there is no backup, or why it was not restored.

use std::io;
use std::path::{Path, PathBuf};

use crate::sqlite::OpenStoreError;

/// Why no backup was made. Nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is something of this name. Name another file, or move that one away.
    #[error("{} is there already: name another file", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// What was to be copied is not what it should be.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The database is damaged so that it cannot be copied. Restore an older backup.
    #[error("{} cannot be copied: {problem}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        problem: String,
    },
    /// Something that was to be copied cannot be read. Mend what the system names, and repeat.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was named is neither a file nor a directory, or is larger than a key can be.
    #[error("{} is not copied: {problem}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The archive cannot be written: usually there is no room. About as much as the database is needed twice.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why nothing was restored. But for [`RestoreError::Leftover`] nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A restore never mixes with what is there.
    #[error("{} is not empty: restore into a new directory, or empty it first", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The file is something else, or was made by a newer program.
    #[error("{} cannot be restored: {problem}", path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The archive is not what was written. Take another copy of it, or an older backup.
    #[error("{} is damaged: {problem}; take another copy of it, or an older backup", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// Something cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The restore failed, and what it had put in place could not be removed again. No master starts on it.
    #[error("{cause}; and what was restored in part is still in {}: empty it ({source})", path.display())]
    Leftover {
        /// Why the restore failed.
        cause: Box<RestoreError>,
        /// The directory.
        path: PathBuf,
        /// Why it could not be emptied.
        source: io::Error,
    },
}

/// For `map_err`: this file cannot be read.
pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Read { path, source }
}

/// For `map_err`: this file cannot be written.
pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Write { path, source }
}

/// For `map_err`: this file of a restore cannot be written.
pub(crate) fn place(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Write { path, source }
}
