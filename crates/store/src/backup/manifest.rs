//! What a backup says about itself.

use jobyard_core::{Epoch, Timestamp};
use serde::{Deserialize, Serialize};

/// The form of the archive. A program refuses forms that it does not know.
pub(crate) const FORMAT: u32 = 1;

/// The first entry of an archive.
pub(crate) const HEAD: &str = "HEAD.json";

/// The last entry of an archive.
pub(crate) const MANIFEST: &str = "MANIFEST.json";

/// What is known before any file is copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) format: u32,
    pub(crate) database: String,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The form of the archive.
    pub format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// When, in microseconds since 1970.
    pub made_at_micros: i64,
    /// The name of the database, relative to the directory of the master.
    pub database: String,
    /// The schema of the database.
    pub schema: i64,
    /// The term in which it was made.
    pub epoch: u64,
    /// Every file, the database included.
    pub files: Vec<BackupFile>,
}

impl Manifest {
    /// The term in which it was made.
    pub const fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// When it was made, by the clock of the machine on which that was.
    pub const fn made_at(&self) -> Timestamp {
        Timestamp::from_micros(self.made_at_micros)
    }
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupFile {
    /// Relative to the directory of the master, with `/` between its parts.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
}

/// Whether a path of an archive stays below the directory into which it is restored, and names nothing of our own.
pub(crate) fn is_tame(path: &str) -> bool {
    !path.is_empty()
        && path.split('/').all(|part| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0', ':'])
        })
        && !path.starts_with(super::staging::STAGING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_not_tame() {
        for path in ["master.db", "logs/00/ff/a.1.0.log", "pki/ca.key", "a..b"] {
            assert!(is_tame(path), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../up",
            "pki/../../up",
            "a//b",
            "a/./b",
            "c:\\windows",
            ".restoring/x",
        ] {
            assert!(!is_tame(path), "{path}");
        }
    }
}
