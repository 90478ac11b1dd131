//! Files that are not finished, and go away with whoever makes them.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The directory, inside the one that is restored, in which everything is made ready. Inside, since the directory may be
/// a file system of its own, and its parent somebody else's.
pub(crate) const STAGING: &str = ".restoring";

/// A file that is removed unless it is kept.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    is_kept: bool,
}

impl Partial {
    /// An empty file beside this one, readable for its owner alone.
    pub(crate) fn beside(path: &Path, ending: &str) -> io::Result<(Self, File)> {
        let mut name = OsString::from(path);
        name.push(format!(".partial-{}{ending}", std::process::id()));
        let path = PathBuf::from(name);
        let file = private_file(&path)?;
        let is_kept = false;
        Ok((Self { path, is_kept }, file))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, durably.
    pub(crate) fn keep_as(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_kept = true;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "an unfinished file stays behind");
        }
    }
}

/// A new file, readable for its owner alone.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Directories down to this one, those that are missing for their owner alone.
pub(crate) fn private_directories(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes everything durable that was written to the file system of a directory: one call instead of one for each of
/// perhaps a million files.
#[cfg(target_os = "linux")]
pub(crate) fn sync_all_below(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// Makes everything below a directory durable.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_all_below(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all_below(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    sync_directory(directory)
}
