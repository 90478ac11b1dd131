//! How launchers are opened.

use std::path::PathBuf;
use std::time::Duration;

use jobyard_launcher::protocol::Mechanism;

use super::LauncherCommand;

/// Where launchers live, and how a new one is started.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(
        dead_code,
        reason = "elsewhere there is nobody to whom they would be told"
    )
)]
pub struct LauncherOptions {
    pub(super) dir: PathBuf,
    pub(super) command: LauncherCommand,
    pub(super) mechanism: Option<Mechanism>,
    pub(super) idle: Option<Duration>,
}

impl LauncherOptions {
    /// Launchers in this directory, which is made if it is not there, and belongs to one program at a time; a new one
    /// is started by this command.
    pub fn new(dir: impl Into<PathBuf>, command: LauncherCommand) -> Self {
        Self {
            dir: dir.into(),
            command,
            mechanism: None,
            idle: None,
        }
    }

    /// Has a new launcher hold jobs by nothing stronger than this: for tests, and for machines on which something
    /// stronger does not do what it says.
    #[must_use]
    pub fn with_mechanism(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = Some(mechanism);
        self
    }

    /// Says how long a new launcher goes on with no connection and with nothing that runs, before it ends. By default as
    /// long as the next life of this program takes to begin.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }
}
