//! An archive in a directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::contract::{ArchiveError, LogArchive};

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
}

impl DirectoryArchive {
    /// In this directory. Does not look at it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            operations: Arc::new(Semaphore::new(OPERATIONS)),
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
        self.at_disk(name, move |root, path| {
            // Not into the place where an archive should be.
            File::open(root.join(MARKER))?;
            let directory = path.parent().unwrap_or(root);
            make_directories(directory)?;
            let partial = path.with_extension("partial");
            let mut to = private(&partial)?;
            io::copy(&mut File::open(&from)?, &mut to)?;
            to.sync_all()?;
            drop(to);
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
        match self.at_disk(name, |_, path| fs::remove_file(path)).await {
            Err(ArchiveError::Missing { .. }) => Ok(()),
            done => done,
        }
    }
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
