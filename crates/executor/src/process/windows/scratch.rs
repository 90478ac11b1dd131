//! The files of one attempt.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::failure::is_held;

/// The private directories and files of an attempt: siblings whose names begin with the same path. All of them are
/// removed with all they contain, at the latest when this value is dropped. They have the access rights of the directory
/// that they are in.
#[derive(Debug)]
pub(super) struct Scratch {
    base: PathBuf,
}

impl Scratch {
    /// Makes the directories. What stood there before is removed: it belongs to this attempt alone.
    pub(super) fn create(base: &Path) -> io::Result<Self> {
        let scratch = Self {
            base: std::path::absolute(base)?,
        };
        if let Some(parent) = scratch.base.parent() {
            fs::create_dir_all(parent)?;
        }
        for path in [scratch.work(), scratch.tmp()] {
            remove_tree(&path)?;
            fs::create_dir(&path)?;
        }
        Ok(scratch)
    }

    /// What an earlier life of this program made.
    pub(super) fn left_over(base: &Path) -> Self {
        Self {
            base: std::path::absolute(base).unwrap_or_else(|_| base.to_owned()),
        }
    }

    /// The directory in which the job runs by default.
    pub(super) fn work(&self) -> PathBuf {
        self.file(WORK)
    }

    /// The directory for temporary files of the job.
    pub(super) fn tmp(&self) -> PathBuf {
        self.file(TMP)
    }

    /// Writes what the job reads.
    pub(super) fn write_stdin(&self, text: &str) -> io::Result<PathBuf> {
        let path = self.file(STDIN);
        remove_tree(&path)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }

    /// Removes everything, without holding up other tasks, and with patience for processes that were ended and still have
    /// files open: the system lets go of them a moment later, and says nothing when it does.
    pub(super) async fn remove(self) {
        // A runtime that shuts down drops the closure, and the drop removes as well.
        let _ = spawn_blocking(move || {
            for pause in HELD_PAUSES_MS {
                if !self.remove_all() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(pause));
            }
        })
        .await;
    }

    /// Removes what can be removed; answers whether the rest is held open.
    fn remove_all(&self) -> bool {
        let removed = self.all().map(|path| remove_tree(&path));
        removed
            .iter()
            .flat_map(|done| done.as_ref().err())
            .any(is_held)
    }

    fn all(&self) -> [PathBuf; 3] {
        [WORK, TMP, STDIN].map(|name| self.file(name))
    }

    fn file(&self, name: &str) -> PathBuf {
        let mut path = self.base.clone().into_os_string();
        path.push(".");
        path.push(name);
        PathBuf::from(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for path in self.all() {
            if let Err(error) = remove_tree(&path) {
                tracing::warn!(path = %path.display(), %error, "files of an attempt could not be removed");
            }
        }
    }
}

/// Removes a directory with all it contains, or a file, without following links. What is not there is no error.
fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Pauses between the tries to remove: about two seconds in all, first short, since a process that was ended is most often
/// gone within milliseconds.
const HELD_PAUSES_MS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 512, 1024];

const WORK: &str = "work";
const TMP: &str = "tmp";
/// The name of what a job reads.
const STDIN: &str = "stdin";
