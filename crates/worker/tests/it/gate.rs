//! Where a job waits until the test lets it go on.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::within;

/// A pipe that a job reads.
pub(crate) struct Gate(PathBuf);

impl Gate {
    /// In this directory.
    pub(crate) fn new(directory: &Path) -> Self {
        let path = directory.join("gate");
        let status = Command::new("mkfifo").arg(&path).status();
        assert!(status.unwrap().success());
        Self(path)
    }

    /// The part of a script that waits here, and prints what is said.
    pub(crate) fn read(&self) -> String {
        format!("cat {}", self.0.display())
    }

    /// Says this to the job, once it is there.
    pub(crate) async fn say(self, text: &'static str) {
        let said = tokio::task::spawn_blocking(move || std::fs::write(self.0, text));
        within(said).await.unwrap().unwrap();
    }
}
