//! What a failure of SQLite means for whoever asked.

use jobyard_core::{CommitError, Epoch, LeadError, LoadError};
use rusqlite::ErrorCode;

/// A statement that failed, in the terms of the contract. Each operation's own error is made from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No room, on the disk or below the configured limit.
    Full(String),
    /// Anything else that the engine or the disk said.
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
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            _ => Self::Storage(error.to_string()),
        }
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(problem) => Self::Full { problem },
            Failure::Storage(problem) => Self::Storage { problem },
            Failure::Fenced(current) => Self::Fenced { current },
        }
    }
}

impl From<Failure> for LeadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(problem) | Failure::Storage(problem) => Self::Storage { problem },
            Failure::Fenced(current) => Self::Fenced { current },
        }
    }
}

impl From<Failure> for LoadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(problem) | Failure::Storage(problem) => Self::Storage { problem },
            Failure::Fenced(current) => Self::Fenced { current },
        }
    }
}
