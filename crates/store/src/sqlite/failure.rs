//! What a failure of SQLite means for whoever asked.

use jobyard_core::{CommitError, Epoch, LeadError, LoadError};
use rusqlite::{ErrorCode, ffi};

/// A statement that failed, in the terms of the contract. Each operation's own error is made from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No room, on the disk or below the configured limit.
    Full(String),
    /// The disk failed to read, write or keep bytes.
    Broken(String),
    /// The file is not what SQLite wrote.
    Corrupt(String),
    /// Anything else that the engine said.
    Storage(String),
    /// The term that asked is over.
    Fenced(Epoch),
}

impl Failure {
    /// The thread that owns the write connection is gone.
    pub(crate) fn writer_gone() -> Self {
        Self::Storage("the writer thread has ended".to_owned())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
        let problem = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(problem),
            // The shared index of the write-ahead log could not grow. It is made anew from the log when needed, so
            // nothing that has to last depends on it.
            Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_SHMSIZE => {
                Self::Full(problem)
            }
            Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_NOMEM => {
                Self::Storage(problem)
            }
            Some(ErrorCode::SystemIoFailure) => Self::Broken(problem),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(problem),
            _ => Self::Storage(problem),
        }
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(problem) => Self::Full { problem },
            Failure::Broken(problem) => Self::Broken { problem },
            Failure::Corrupt(problem) => Self::Storage {
                problem: restore_it(&problem),
            },
            Failure::Storage(problem) => Self::Storage { problem },
            Failure::Fenced(current) => Self::Fenced { current },
        }
    }
}

impl From<Failure> for LeadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken(problem) => Self::Broken { problem },
            Failure::Corrupt(problem) => Self::Storage {
                problem: restore_it(&problem),
            },
            Failure::Full(problem) | Failure::Storage(problem) => Self::Storage { problem },
            Failure::Fenced(current) => Self::Fenced { current },
        }
    }
}

impl From<Failure> for LoadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Corrupt(problem) => Self::Corrupt {
                problem: restore_it(&problem),
            },
            // A read that failed spoils nothing: it may be asked again.
            Failure::Full(problem) | Failure::Broken(problem) | Failure::Storage(problem) => {
                Self::Storage { problem }
            }
            Failure::Fenced(current) => Self::Fenced { current },
        }
    }
}

/// What helps when the file is damaged.
pub(crate) fn restore_it(problem: &str) -> String {
    format!("{problem}; restore the store from a backup with `jobyard-master restore`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(extended: i32) -> Failure {
        Failure::from(rusqlite::Error::SqliteFailure(
            ffi::Error::new(extended),
            None,
        ))
    }

    #[test]
    fn disk_that_fails_is_told_from_one_that_is_full() {
        let broken = [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_TRUNCATE,
        ];
        for code in broken {
            assert!(matches!(failure(code), Failure::Broken(_)), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            assert!(matches!(failure(code), Failure::Full(_)), "{code}");
        }
        assert!(matches!(failure(ffi::SQLITE_BUSY), Failure::Storage(_)));
        assert!(matches!(failure(ffi::SQLITE_CORRUPT), Failure::Corrupt(_)));
    }
}
