//! Where the files of jobs are.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jobyard_benches::tiny::write_tiny;
use rustix::fs::statfs;
use tempfile::TempDir;

use crate::options::Options;

/// The directories of a run, removed at its end.
pub(crate) struct Places {
    disk: TempDir,
    memory: Option<TempDir>,
    tiny: Option<PathBuf>,
}

impl Places {
    /// Makes them.
    pub(crate) fn make(options: &Options) -> Result<Self> {
        let data = &options.data;
        fs::create_dir_all(data).with_context(|| data.display().to_string())?;
        let disk = temporary(data).with_context(|| data.display().to_string())?;
        let memory = Path::new(IN_MEMORY);
        let memory = (file_system(memory) == TMPFS)
            .then(|| temporary(memory))
            .transpose()?;
        let tiny = write_tiny(disk.path())?;
        Ok(Self { disk, memory, tiny })
    }

    /// On the disk, or wherever the benchmark was told.
    pub(crate) fn disk(&self) -> &Path {
        self.disk.path()
    }

    /// In memory, if this machine has such a place.
    pub(crate) fn memory(&self) -> Option<&Path> {
        self.memory.as_ref().map(TempDir::path)
    }

    /// A program that is as small as can be, if one is known for this architecture.
    pub(crate) fn tiny(&self) -> Option<&Path> {
        self.tiny.as_deref()
    }
}

fn temporary(parent: &Path) -> Result<TempDir> {
    let dir = tempfile::tempdir_in(parent)?;
    open_to_all(dir.path())?;
    Ok(dir)
}

/// Makes a directory, if it is not there, through which other users get to what is beneath.
pub(crate) fn open_to_all(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    Ok(())
}

/// What kind of file system this directory is on.
pub(crate) fn file_system(dir: &Path) -> &'static str {
    match statfs(dir).map(|found| found.f_type) {
        Ok(0xef53) => "ext4",
        Ok(0x5846_5342) => "xfs",
        Ok(0x9123_683e) => "btrfs",
        Ok(0x794c_7630) => "overlayfs",
        Ok(0x0102_1994) => TMPFS,
        _ => "an unknown file system",
    }
}

/// Where Linux has a file system in memory that everybody may use.
const IN_MEMORY: &str = "/dev/shm";
const TMPFS: &str = "tmpfs";
