//! The small file that stays of a log whose bytes are in the archive.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use jobyard_core::{AttemptId, LogEnd, LogStatus};
use serde::{Deserialize, Serialize};

use crate::sealed::SealedIndex;

/// How large such a file may be: some hundred bytes, and a name.
const MAX_BYTES: u64 = 4_096;

/// The version of its form.
const VERSION: u32 = 1;

/// Where in the archive a log is, and what it is: enough to say how the log stands while the archive is away, and to
/// know whether what the archive gives is what it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    version: u32,
    /// The name in the archive.
    pub(crate) name: String,
    /// The length of the file there.
    pub(crate) bytes: u64,
    /// The SHA-256 of the file there.
    pub(crate) sha256: String,
    /// The digest of its index, by which each part of it is known.
    root: String,
    held: u64,
    end: u64,
    dropped: u64,
}

/// Why it does not say where.
#[derive(Debug)]
pub(crate) enum PointerError {
    /// The file is not what was written.
    Damaged(&'static str),
    /// It cannot be read.
    Io(io::Error),
}

impl From<io::Error> for PointerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Pointer {
    /// To a sealed file of this length and digest.
    pub(crate) fn new(attempt: AttemptId, index: &SealedIndex, bytes: u64, sum: [u8; 32]) -> Self {
        let sha256 = HEXLOWER.encode(&sum);
        Self {
            version: VERSION,
            name: name_of(attempt, &sha256),
            bytes,
            sha256,
            root: HEXLOWER.encode(&index.root),
            held: index.held,
            end: index.end.bytes,
            dropped: index.end.dropped,
        }
    }

    fn is_of(&self, attempt: AttemptId) -> bool {
        let digest = HEXLOWER.decode(self.sha256.as_bytes());
        digest.is_ok_and(|digest| digest.len() == 32) && self.name == name_of(attempt, &self.sha256)
    }

    /// How the log stands.
    pub(crate) fn status(&self) -> LogStatus {
        LogStatus::sealed(self.held, self.end())
    }

    /// The end that was sealed.
    pub(crate) const fn end(&self) -> LogEnd {
        LogEnd {
            bytes: self.end,
            dropped: self.dropped,
        }
    }

    /// Whether this is the index of the file that was put into the archive.
    pub(crate) fn knows(&self, index: &SealedIndex) -> bool {
        self.root == HEXLOWER.encode(&index.root)
    }

    /// The text of the file: JSON, and the checksum of that line.
    pub(crate) fn to_text(&self) -> io::Result<String> {
        let line = serde_json::to_string(self)?;
        let crc = crc32fast::hash(line.as_bytes());
        Ok(format!("{line}\n{crc:08x}\n"))
    }

    /// Reads the file that says where the log of this attempt is. The name in the archive follows from what it is: any
    /// other, as a forged backup may hold it, would be read, and removed, in the place of the log.
    pub(crate) fn load(path: &Path, attempt: AttemptId) -> Result<Self, PointerError> {
        if fs::metadata(path)?.len() > MAX_BYTES {
            return Err(PointerError::Damaged("it is too long"));
        }
        let bytes = fs::read(path)?;
        let text = String::from_utf8(bytes).map_err(|_| PointerError::Damaged("it is no text"))?;
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default();
        let crc = format!("{:08x}", crc32fast::hash(line.as_bytes()));
        if lines.next() != Some(&crc) {
            return Err(PointerError::Damaged("it does not match its checksum"));
        }
        match serde_json::from_str::<Self>(line) {
            Ok(pointer) if pointer.version != VERSION => {
                Err(PointerError::Damaged("it is of another version"))
            }
            Ok(pointer) if !pointer.is_of(attempt) => Err(PointerError::Damaged(
                "it names another file than that of this log",
            )),
            Ok(pointer) => Ok(pointer),
            Err(_) => Err(PointerError::Damaged("it is of another version")),
        }
    }
}

/// The name in the archive of the log of an attempt, with this digest in hexadecimal.
fn name_of(attempt: AttemptId, sha256: &str) -> String {
    let AttemptId { job, number, .. } = attempt;
    let text = job.to_string();
    // As the directories of the master: ids begin with the time, so their ends spread better.
    let (rest, low) = text.split_at(text.len().saturating_sub(2));
    let high = &rest[rest.len().saturating_sub(2)..];
    let digest = sha256.get(..16).unwrap_or(sha256);
    format!("{high}/{low}/{job}.{number}.{digest}.zst")
}

#[cfg(test)]
mod tests {
    use jobyard_core::{AttemptNumber, JobId};

    use super::*;

    fn attempt(job: u128) -> AttemptId {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(job));
        AttemptId::new(job, AttemptNumber::FIRST)
    }

    fn pointer() -> Pointer {
        let sha256 = HEXLOWER.encode(&[7; 32]);
        Pointer {
            version: VERSION,
            name: name_of(attempt(0xabcd), &sha256),
            bytes: 5,
            sha256,
            root: HEXLOWER.encode(&[8; 32]),
            held: 3,
            end: 3,
            dropped: 0,
        }
    }

    #[test]
    fn refuse_a_name_that_is_not_that_of_the_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pointer");
        let load = |pointer: &Pointer, of: AttemptId| {
            fs::write(&path, pointer.to_text().expect("text")).expect("a file");
            Pointer::load(&path, of)
        };
        let good = pointer();
        let loaded = load(&good, attempt(0xabcd));
        assert_eq!(loaded.expect("it is of this log"), good);
        assert!(good.name.starts_with("ab/cd/"), "{}", good.name);

        let renamed = |name: &str, sha256: &str| Pointer {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            ..pointer()
        };
        let upwards = "../../../../../x";
        let forged = [
            renamed("/etc/x", &good.sha256),
            renamed("../x", &good.sha256),
            renamed(&name_of(attempt(0xabcd), upwards), upwards),
            renamed(&name_of(attempt(0xabcd), "é"), "é"),
        ];
        for forged in forged {
            let loaded = load(&forged, attempt(0xabcd));
            assert!(
                matches!(loaded, Err(PointerError::Damaged(_))),
                "{loaded:?}"
            );
        }
        let loaded = load(&good, attempt(0xabce));
        assert!(
            matches!(loaded, Err(PointerError::Damaged(_))),
            "{loaded:?}"
        );
    }
}
