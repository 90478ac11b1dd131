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

/// How much room for lines is kept from one flush to the next.
const MOST_KEPT: usize = 64 * 1024;

/// What all lines of most attempts have together: they are not moved about as they grow, then.
const USUAL_BYTES: usize = 1024;

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
    live: BTreeMap<AttemptId, Vec<u8>>,
    live_bytes: u64,
    /// What was not written yet.
    fresh: Vec<u8>,
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
            fresh: Vec::new(),
            lacks: false,
        })
    }

    /// Takes note of what happened. It is written by the next [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// It is nothing that can be written.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        let begin = self.fresh.len();
        record
            .write_line(&mut self.fresh)
            .map_err(io::Error::other)?;
        let line = &self.fresh[begin..];
        let attempt = record.attempt();
        if record.is_last() {
            if let Some(lines) = self.live.remove(&attempt) {
                self.live_bytes -= lines.len() as u64;
            }
        } else {
            self.live_bytes += line.len() as u64;
            let lines = self.live.entry(attempt);
            let lines = lines.or_insert_with(|| Vec::with_capacity(USUAL_BYTES));
            lines.extend_from_slice(line);
        }
        Ok(())
    }

    /// Writes down all that happened. To be called before anybody is told of it, and before anything is forked.
    ///
    /// # Errors
    ///
    /// It is not written, as a whole. A start must not go on then, and its end has to be noted as well. Everything else is
    /// kept in memory, and written together with what follows, once there is room.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        let written = self.write(&fresh);
        // All of it is in `live`, from where it is written if it is not now.
        self.lacks |= written.is_err();
        if fresh.capacity() <= MOST_KEPT {
            fresh.clear();
            self.fresh = fresh;
        }
        written
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.lacks {
            // What is new is among it.
            return self.rewrite();
        }
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
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
        let lines: Vec<u8> = self.live.values().flatten().copied().collect();
        let written = begin(&new).and_then(|mut file| {
            file.write_all(&lines)?;
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
    pub(crate) fn close(mut self) {
        // There is nobody left who could do anything about it.
        let _ = self.flush();
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
