//! A named pipe between a test and its jobs.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::program::GUARD;

/// What jobs write into it, line by line and in order: the test sees that something has happened without asking again
/// and again.
#[derive(Debug)]
pub struct Notes {
    path: PathBuf,
    lines: Receiver<String>,
}

impl Notes {
    /// A new pipe at this path.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new(path: PathBuf) -> Self {
        let pipe = BufReader::new(pipe(&path));
        let (sender, lines) = channel();
        // Waits for ever once nobody writes: it ends with the test.
        thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { path, lines }
    }

    /// Where jobs write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next line that a job has written.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn next(&self) -> String {
        let line = self.lines.recv_timeout(GUARD);
        line.unwrap_or_else(|_| panic!("no job writes into {}", self.path.display()))
    }

    /// The next so many lines, in order.
    ///
    /// # Panics
    ///
    /// When the guard runs out before one of them.
    pub fn take(&self, number: usize) -> Vec<String> {
        (0..number).map(|_| self.next()).collect()
    }

    /// The lines that are there already.
    pub fn so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

/// Where jobs wait until the test lets them go on, one by one, with `read line < PATH`. They go on, too, when it is
/// dropped.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    pipe: File,
}

impl Gate {
    /// A new pipe at this path.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new(path: PathBuf) -> Self {
        let pipe = pipe(&path);
        Self { path, pipe }
    }

    /// Where jobs wait.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets so many jobs go on, those that wait now or the next ones that come.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn let_through(&self, jobs: usize) {
        let lines = "go\n".repeat(jobs);
        (&self.pipe)
            .write_all(lines.as_bytes())
            .expect("the pipe takes a few lines");
    }
}

/// Open for reading and writing: it does not end between two writers, and nobody waits for the other side.
fn pipe(path: &Path) -> File {
    let made = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo runs");
    assert!(made.success(), "{} cannot be made", path.display());
    // Jobs may run as another user.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).expect("the pipe is ours");
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("the pipe opens")
}
