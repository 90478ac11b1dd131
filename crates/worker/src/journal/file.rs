//! The journal's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jobyard_core::mutated;

use super::line;
use super::live::Live;
use crate::agent::JournalEntry;

/// The size from which on the journal is rewritten, if it is also twice as large as after the last rewrite: some ten
/// thousand attempts, a few milliseconds of writing.
pub const COMPACT_AT: u64 = 16 * 1024 * 1024;

/// An open journal. Calls block on the disk's cache, not on the disk.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the last whole entry ends.
    length: u64,
    /// The length from which on it is rewritten.
    rewrite_at: u64,
    live: Live,
    /// Something that was not wholly written could not be cut off: nothing may follow it.
    broken: bool,
}

impl Journal {
    /// Opens or creates the journal, and says what it held, oldest first.
    pub fn open(path: &Path) -> Result<(Self, Vec<JournalEntry>), JournalError> {
        let failed = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(failed)?,
        };
        let (live, entries) = read(path, &bytes)?;
        let (file, length) = rewrite(path, &live).map_err(failed)?;
        let journal = Self {
            path: path.to_owned(),
            file,
            length,
            rewrite_at: rewrite_at(length),
            live,
            broken: false,
        };
        Ok((journal, entries))
    }

    /// Writes entries: all of them or, with an error, none.
    pub fn append(&mut self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        if entries.is_empty() || mutated("the journal is not written") {
            return Ok(());
        }
        let lines = entries
            .iter()
            .map(line::encode)
            .collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|error| self.failed(error.into()))?;
        self.write(lines.concat().as_bytes())
            .map_err(|error| self.failed(error))?;
        for (entry, line) in entries.iter().zip(lines) {
            self.live.add(entry, line);
        }
        if self.length >= self.rewrite_at {
            self.compact();
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write was cut off"));
        }
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.broken = self.file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }

    /// Rewrites the file without what is settled. If that fails, the long file serves as well.
    fn compact(&mut self) {
        match rewrite(&self.path, &self.live) {
            Ok((file, length)) => {
                self.file = file;
                self.length = length;
                self.rewrite_at = rewrite_at(length);
            }
            Err(error) => {
                self.rewrite_at = self.length.saturating_mul(2);
                tracing::warn!(path = %self.path.display(), %error, "the journal could not be shortened");
            }
        }
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// Why there is no journal, or an entry is not in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system refused: a full disk, missing rights. The operator's matter.
    #[error("the journal {} cannot be read or written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written. Removing it makes the worker forget what it had, and the master ends those
    /// attempts as lost.
    #[error(
        "the journal {} is damaged in line {line}: remove it once nothing of this worker's jobs runs any more",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first wrong line, from 1.
        line: usize,
    },
}

fn read(path: &Path, bytes: &[u8]) -> Result<(Live, Vec<JournalEntry>), JournalError> {
    let mut live = Live::default();
    let mut entries = Vec::new();
    let mut torn = None;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    for (number, raw) in lines.enumerate() {
        let decoded = raw.strip_suffix(b"\n").and_then(line::decode);
        match (decoded.zip(std::str::from_utf8(raw).ok()), torn) {
            (Some((entry, text)), None) => {
                live.add(&entry, text.to_owned());
                entries.push(entry);
            }
            (Some(_), Some(line)) => {
                let path = path.to_owned();
                return Err(JournalError::Damaged { path, line });
            }
            (None, _) => torn = torn.or(Some(number + 1)),
        }
    }
    if let Some(line) = torn {
        if mutated("a torn record spoils the journal") {
            let path = path.to_owned();
            return Err(JournalError::Damaged { path, line });
        }
        tracing::info!(path = %path.display(), line, "the end of the journal was cut off");
    }
    Ok((live, entries))
}

/// Writes the lines beside the file and puts them in its place. Returns the new file and its length.
fn rewrite(path: &Path, live: &Live) -> io::Result<(File, u64)> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    let staged = PathBuf::from(staged);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut to = io::BufWriter::new(options.open(&staged)?);
    let mut length = 0;
    for line in live.lines() {
        to.write_all(line.as_bytes())?;
        length += line.len() as u64;
    }
    let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
    fs::rename(&staged, path)?;
    Ok((file, length))
}

const fn rewrite_at(length: u64) -> u64 {
    if length > COMPACT_AT / 2 {
        length * 2
    } else {
        COMPACT_AT
    }
}

#[cfg(test)]
mod tests {
    use jobyard_core::{
        AttemptId, AttemptNumber, AttemptReport, BootId, Epoch, ExecutorSpec, JobId, JobSpec,
        Outcome, Steady, Timestamp,
    };
    use uuid::Uuid;

    use super::*;

    fn attempt(job: u128) -> AttemptId {
        AttemptId::new(JobId::from_uuid(Uuid::from_u128(job)), AttemptNumber::FIRST)
    }

    fn accepted(job: u128) -> JournalEntry {
        JournalEntry::Accepted {
            attempt: attempt(job),
            spec: JobSpec::new(ExecutorSpec::new("process", "{}"))
                .validate()
                .unwrap(),
            env: [("A".to_owned(), "line\nbreak".to_owned())].into(),
            boot: BootId::from_uuid(Uuid::from_u128(9)),
        }
    }

    fn finished(job: u128) -> JournalEntry {
        let at = Timestamp::from_micros(5);
        JournalEntry::Finished(AttemptReport::new(attempt(job), Outcome::Succeeded, at))
    }

    fn path() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        (dir, path)
    }

    #[test]
    fn read_back_what_still_counts() {
        let (_dir, path) = path();
        let (mut journal, before) = Journal::open(&path).unwrap();
        assert_eq!(before, []);
        journal
            .append(&[accepted(1), JournalEntry::MaxEpoch(Epoch(3)), accepted(2)])
            .unwrap();
        let started = JournalEntry::Started {
            attempt: attempt(1),
            pid: Some(4),
            trace: None,
            at: Timestamp::from_micros(1),
        };
        let forgotten = JournalEntry::Forgotten {
            attempt: attempt(2),
        };
        journal
            .append(&[started.clone(), finished(2), forgotten.clone()])
            .unwrap();
        drop(journal);
        let (journal, all) = Journal::open(&path).unwrap();
        assert_eq!(all.len(), 6);
        drop(journal);
        let (_journal, rest) = Journal::open(&path).unwrap();
        assert_eq!(
            rest,
            [
                JournalEntry::MaxEpoch(Epoch(3)),
                forgotten,
                accepted(1),
                started
            ]
        );
    }

    #[test]
    fn drop_a_torn_last_line_wherever_it_is_cut() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&[accepted(1)]).unwrap();
        let whole = journal.length;
        journal.append(&[finished(1)]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let whole = usize::try_from(whole).unwrap();
        for cut in whole..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let (mut journal, entries) = Journal::open(&path).unwrap();
            assert_eq!(entries, [accepted(1)], "cut at {cut}");
            journal.append(&[finished(1)]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn drop_a_tail_that_the_power_took_fw6() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&[accepted(1)]).unwrap();
        let whole = fs::read(&path).unwrap();
        // What a file system may leave of writes that never reached the disk: room without its bytes, or other ones.
        for tail in [&[0; 5_000][..], b"half a li\n\0\0\0\nne", b"\n\n"] {
            fs::write(&path, [&whole[..], tail].concat()).unwrap();
            let (mut journal, entries) = Journal::open(&path).unwrap();
            assert_eq!(entries, [accepted(1)]);
            journal.append(&[finished(1)]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len(), 2);
        }
    }

    #[test]
    fn keep_the_last_lease_alone() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(&path).unwrap();
        let lease = |seconds: u64| JournalEntry::Lease {
            boot: BootId::from_uuid(Uuid::from_u128(9)),
            stop_at: Steady::from_micros(seconds * 1_000_000),
            until: Steady::from_micros((seconds + 15) * 1_000_000),
        };
        journal.append(&[accepted(1), lease(1), lease(2)]).unwrap();
        drop(journal);
        drop(Journal::open(&path).unwrap());
        let (_journal, rest) = Journal::open(&path).unwrap();
        assert_eq!(rest, [lease(2), accepted(1)]);
    }

    #[test]
    fn refuse_damage_before_the_last_line() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&[accepted(1), finished(1)]).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(
            matches!(error, JournalError::Damaged { line: 1, .. }),
            "{error}"
        );
    }

    #[test]
    fn rewrite_a_journal_that_has_grown() {
        let (_dir, path) = path();
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.rewrite_at = 4096;
        for job in 0..200 {
            let forgotten = JournalEntry::Forgotten {
                attempt: attempt(1),
            };
            journal
                .append(&[accepted(job), finished(job), forgotten])
                .unwrap();
        }
        journal.append(&[finished(7)]).unwrap();
        let written = journal.live.lines().count();
        journal.compact();
        assert_eq!(journal.length, fs::metadata(&path).unwrap().len());
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1.len(), written);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;

        let (_dir, path) = path();
        let _journal = Journal::open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
