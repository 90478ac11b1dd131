//! One `dev` at a time starts a master on a data directory; the others use it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Who has a data directory.
#[derive(Debug)]
pub(super) enum Place {
    /// We do, until the value is dropped.
    Ours(Ours),
    /// Another process, whose master answers.
    Taken,
}

/// The locks that make a directory ours. The system gives them back when the process ends, however that happens.
#[derive(Debug)]
pub(super) struct Ours {
    _running: File,
    starting: File,
}

impl Place {
    /// Takes the directory, which is made if it is missing (mode 0700), or waits until its holder is ready.
    ///
    /// Everybody first takes the lock `dev.starting`, which a holder keeps until its master answers, and then tries the
    /// lock `dev.running`, which it keeps to its end.
    pub(super) async fn take(data: PathBuf) -> Result<Self, Failure> {
        let shown = data.display().to_string();
        let taken = tokio::task::spawn_blocking(move || take(&data)).await;
        taken
            .map_err(io::Error::other)
            .and_then(|taken| taken)
            .map_err(|error| {
                Failure::jobyard(
                    "data",
                    format!("the data directory {shown} cannot be used: {error}"),
                )
                .with_hint("choose another with --data")
            })
    }
}

impl Ours {
    /// The master answers: those who wait may go on.
    pub(super) fn ready(&self) {
        // If it cannot be given back now, it is at our end.
        let _ = self.starting.unlock();
    }
}

fn take(data: &Path) -> io::Result<Place> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data)?;
    let starting = open(&data.join("dev.starting"))?;
    starting.lock()?;
    let running = open(&data.join("dev.running"))?;
    match running.try_lock() {
        Ok(()) => Ok(Place::Ours(Ours {
            _running: running,
            starting,
        })),
        Err(TryLockError::WouldBlock) => Ok(Place::Taken),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_one_waits_until_the_first_is_ready_and_attaches() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let Ok(Place::Ours(first)) = Place::take(data.clone()).await else {
            panic!("the directory is free");
        };
        let second = tokio::spawn(Place::take(data.clone()));
        first.ready();
        let second = second.await.expect("no panic").expect("an answer");
        assert!(matches!(second, Place::Taken), "{second:?}");

        drop(first);
        let third = Place::take(data).await.expect("an answer");
        assert!(matches!(third, Place::Ours(_)), "{third:?}");
    }

    #[tokio::test]
    async fn say_which_directory_cannot_be_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = Place::take(file.join("data"))
            .await
            .expect_err("no directory");
        assert!(error.to_string().contains("--data"), "{error}");
    }
}
