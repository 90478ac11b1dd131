//! What a launcher has to say to people.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::clock;
use crate::protocol::LOG;

/// How much is kept. A launcher says little; what it says often is of no use twice.
const MOST_BYTES: u64 = 256 * 1024;

/// The file `log` in the working directory. Begun anew when it is full.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    bytes: u64,
}

impl Log {
    /// Goes on with the file that is there, if there is one.
    pub(crate) fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let file = options.open(LOG)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    /// Writes a line. That it cannot be written is nobody's concern.
    pub(crate) fn say(&mut self, what: fmt::Arguments<'_>) {
        if self.bytes > MOST_BYTES && self.file.set_len(0).is_ok() {
            self.bytes = 0;
        }
        let seconds = clock::wall().as_micros() / 1_000_000;
        let line = format!("{seconds} {what}\n");
        if self.file.write_all(line.as_bytes()).is_ok() {
            self.bytes += line.len() as u64;
        }
    }
}

impl AsFd for Log {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
