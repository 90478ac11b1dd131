//! Writing the journal of a launcher.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jobyard_core::AttemptId;

use super::Record;
use crate::protocol::JOURNAL;

/// From which size on a journal is written anew, if at least half of it is of forgotten attempts: about the lines of a
/// thousand attempts.
const LARGE_BYTES: u64 = 1024 * 1024;

/// The journal of a launcher that lives.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    large: u64,
    /// From which size on it is written anew: `large`, or more after that has failed.
    rewrite_from: u64,
    /// The lines of every attempt that is not forgotten.
    live: BTreeMap<AttemptId, String>,
    live_bytes: u64,
    /// Whether the file lacks something of `live`, since it could not be written.
    lacks: bool,
}

impl Journal {
    /// An empty journal in this directory. One that is there already is lost.
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(JOURNAL);
        let file = begin(&path)?;
        Ok(Self {
            path,
            file,
            bytes: 0,
            large: LARGE_BYTES,
            rewrite_from: LARGE_BYTES,
            live: BTreeMap::new(),
            live_bytes: 0,
            lacks: false,
        })
    }

    /// Writes down what happened.
    ///
    /// # Errors
    ///
    /// It is not written. A start must not go on then. Everything else is kept in memory, and written together with
    /// the next record for which there is room.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = record.to_line().map_err(io::Error::other)?;
        let attempt = record.attempt();
        let is_first = matches!(record, Record::Starting { .. });
        if is_first {
            self.write(&line)?;
            self.remember(attempt, &line);
            return Ok(());
        }
        if record.is_last() {
            if let Some(lines) = self.live.remove(&attempt) {
                self.live_bytes -= lines.len() as u64;
            }
        } else {
            self.remember(attempt, &line);
        }
        self.write(&line).inspect_err(|_| self.lacks = true)
    }

    fn remember(&mut self, attempt: AttemptId, line: &str) {
        self.live.entry(attempt).or_default().push_str(line);
        self.live_bytes += line.len() as u64;
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.lacks {
            self.rewrite()?;
        }
        match self.file.write_all(line.as_bytes()) {
            Ok(()) => self.bytes += line.len() as u64,
            Err(error) => {
                // The end of the file is perhaps half a line now, to which nothing may be added.
                self.lacks = true;
                return Err(error);
            }
        }
        let is_large = self.bytes > self.rewrite_from && self.bytes > self.live_bytes * 2;
        if is_large && self.rewrite().is_err() {
            // That it stays large is better than that nothing happens any more. It is tried again, but not at each
            // record: that would be a megabyte for each.
            self.rewrite_from = self.bytes + self.large / 4;
        }
        Ok(())
    }

    /// Writes all that is not forgotten into a new file, which then takes the place of the old one.
    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let lines: String = self.live.values().map(String::as_str).collect();
        let written = begin(&new).and_then(|mut file| {
            file.write_all(lines.as_bytes())?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        });
        self.file = written.inspect_err(|_| {
            // Half of it only takes the room that there is too little of.
            let _ = fs::remove_file(&new);
        })?;
        self.bytes = lines.len() as u64;
        self.rewrite_from = self.large;
        self.lacks = false;
        Ok(())
    }

    /// One that is large from another size on.
    #[cfg(test)]
    pub(super) fn with_large(self, large: u64) -> Self {
        Self {
            large,
            rewrite_from: large,
            ..self
        }
    }

    /// One that writes to another file, until it is written anew.
    #[cfg(test)]
    pub(super) fn with_file(self, file: File) -> Self {
        Self { file, ..self }
    }

    /// Ends it. A journal that has nothing to tell is removed.
    pub(crate) fn close(self) {
        if self.live.is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn begin(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}
