//! What a job waits for before it prints.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Lets a job begin when its readers are there.
pub(crate) struct StartingGun {
    listener: UnixListener,
    path: PathBuf,
}

impl StartingGun {
    /// One below this directory.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("gun");
        // That of the round before.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        Ok(Self { listener, path })
    }

    /// What the job has to be told.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the job is ready, and lets it begin. Blocks.
    pub(crate) fn fire(self) -> Result<()> {
        let (mut job, _) = self.listener.accept()?;
        Ok(job.write_all(b"!")?)
    }
}
