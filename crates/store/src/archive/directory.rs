//! An archive in a directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;

use super::contract::{ArchiveError, LogArchive};
use crate::page_cache::forget_cached;

/// How many operations are at the directory at once. One that hangs, on a file server that is away, holds a thread until
/// the system gives up: they must not become many.
const OPERATIONS: usize = 8;

/// The file by which a directory is known to be an archive, and not the empty place where one should be mounted.
const MARKER: &str = "jobyard-archive";

/// What stands in it.
const MARKER_TEXT: &str = "Sealed logs of Jobyard jobs. Without this file the directory counts as an archive that is not mounted.\n";

/// Keeps files below a directory, which may be on another file system or another machine. The directory is made when the
/// first file comes, and holds a file `jobyard-archive` from then on: where that is missing, the archive counts as away.
#[derive(Clone, Debug)]
pub struct DirectoryArchive {
    root: PathBuf,
    operations: Arc<Semaphore>,
    /// Whatever changes files has this until it is done, also if nobody waits for it any more: a file that was given up
    /// while it was on its way here does not come into being after its removal.
    change: Arc<Mutex<()>>,
}

impl DirectoryArchive {
    /// In this directory. Does not look at it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            operations: Arc::new(Semaphore::new(OPERATIONS)),
            change: Arc::default(),
        }
    }

    /// Does something away from the threads of the runtime, in a directory that is known to be an archive.
    async fn at_disk<T, F>(&self, name: &str, work: F) -> Result<T, ArchiveError>
    where
        T: Send + 'static,
        F: FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.operations)
            .acquire_owned()
            .await
            .map_err(ArchiveError::away)?;
        let (root, path) = (self.root.clone(), self.root.join(name));
        let name = name.to_owned();
        let done = spawn_blocking(move || {
            let _permit = permit;
            let failed =
                |error: io::Error| ArchiveError::away(format_args!("{}: {error}", path.display()));
            match work(&root, &path) {
                Ok(done) => Ok(done),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    check_marker(&root)?;
                    Err(ArchiveError::Missing { name })
                }
                Err(error) => Err(failed(error)),
            }
        });
        done.await
            .map_err(|_| ArchiveError::away("the runtime is shutting down"))?
    }
}

#[async_trait]
impl LogArchive for DirectoryArchive {
    async fn begin(&self) -> Result<(), ArchiveError> {
        self.at_disk(MARKER, |root, marker| {
            if marker.exists() {
                return Ok(());
            }
            make_directories(root)?;
            fs::write(marker, MARKER_TEXT)?;
            File::open(marker)?.sync_all()?;
            sync_directory(root)
        })
        .await
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), ArchiveError> {
        let from = file.to_owned();
        let change = Arc::clone(&self.change).lock_owned().await;
        self.at_disk(name, move |root, path| {
            let _change = change;
            // Not into the place where an archive should be.
            File::open(root.join(MARKER))?;
            let directory = path.parent().unwrap_or(root);
            make_directories(directory)?;
            let partial = partial_of(path);
            if let Err(error) = copy(&from, &partial) {
                let _ = fs::remove_file(&partial);
                return Err(error);
            }
            fs::rename(&partial, path)?;
            let inner = directory.ancestors().take_while(|above| *above != root);
            inner.chain([root]).try_for_each(sync_directory)
        })
        .await
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        self.at_disk(name, move |_, path| {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(range.start))?;
            let mut bytes = Vec::new();
            file.take(range.end.saturating_sub(range.start))
                .read_to_end(&mut bytes)?;
            Ok(bytes.into())
        })
        .await
    }

    async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        let change = Arc::clone(&self.change).lock_owned().await;
        let removed = self.at_disk(name, move |_, path| {
            let _change = change;
            // What a crash left of a put, before what it was to become.
            match fs::remove_file(partial_of(path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
            fs::remove_file(path)?;
            path.parent().map_or(Ok(()), sync_directory)
        });
        match removed.await {
            Err(ArchiveError::Missing { .. }) => Ok(()),
            done => done,
        }
    }
}

/// The name of a file while it is put.
fn partial_of(path: &Path) -> PathBuf {
    path.with_extension("partial")
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = private(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    // What is read back is to be what the disk holds.
    forget_cached(&to);
    Ok(())
}

fn check_marker(root: &Path) -> Result<(), ArchiveError> {
    if root.join(MARKER).is_file() {
        return Ok(());
    }
    Err(ArchiveError::away(format_args!(
        "{} holds no file `{MARKER}`: is it mounted?",
        root.display()
    )))
}

/// What a crash left of a put is overwritten by its repeat.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_directories(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[tokio::test]
    async fn removal_waits_for_a_put_that_nobody_waits_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let archive = DirectoryArchive::new(directory.path().join("archive"));
        archive.begin().await.expect("an archive");
        // The file to put comes through a pipe, so that the put is under way for as long as that is open.
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).expect("a pipe");
        let (putting, from) = (archive.clone(), pipe.clone());
        let put = tokio::spawn(async move { putting.put("a/b.zst", &from).await });
        let writer = spawn_blocking(move || OpenOptions::new().write(true).open(pipe));
        let writer = writer.await.expect("no panic").expect("a reader is there");
        put.abort();
        assert!(put.await.is_err());
        let mut removal = Box::pin(archive.remove("a/b.zst"));
        let answer = futures_util::future::poll_immediate(&mut removal).await;
        assert!(answer.is_none(), "{answer:?}");
        drop(writer);
        removal.await.expect("removed");
        assert!(directory.path().join("archive/a").is_dir(), "it was put");
        assert!(!directory.path().join("archive/a/b.zst").exists());
    }
}
