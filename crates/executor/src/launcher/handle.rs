//! The handle.

use std::fmt;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::sync::Arc;

use jobyard_launcher::protocol::CageFacts;

use super::{LauncherCommand, LauncherOptions, OpenLauncherError};

/// The launchers of one directory. Cheap to clone. When the last clone and the last execution are gone, the connections
/// are closed; the launchers keep what they hold, and end by themselves once that is nothing.
#[derive(Clone)]
pub struct Launcher {
    #[cfg(target_os = "linux")]
    keeper: Arc<super::Keeper>,
    #[cfg(not(target_os = "linux"))]
    never: std::convert::Infallible,
}

impl Launcher {
    /// Finds the launchers that earlier lives of this program left in `dir`, and starts one by `command` if none of
    /// them takes new starts. What dead launchers left running is ended before this returns. Needs a runtime with IO
    /// and timers; the connections live in it. Dropping the future may leave a launcher that nobody uses, which ends
    /// by itself.
    pub async fn open(
        dir: impl Into<PathBuf>,
        command: LauncherCommand,
    ) -> Result<Self, OpenLauncherError> {
        Self::open_with(LauncherOptions::new(dir, command)).await
    }

    /// As [`open`](Self::open), with options.
    #[cfg(target_os = "linux")]
    pub async fn open_with(options: LauncherOptions) -> Result<Self, OpenLauncherError> {
        let keeper = super::Keeper::open(options).await?;
        Ok(Self { keeper })
    }

    /// As [`open`](Self::open), with options. Not on this operating system.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_async, reason = "the same shape as where it works")]
    pub async fn open_with(_options: LauncherOptions) -> Result<Self, OpenLauncherError> {
        Err(OpenLauncherError::Unsupported)
    }

    /// What the launcher that took new starts first can do to hold jobs. Constant for the life of the value.
    pub fn facts(&self) -> &CageFacts {
        #[cfg(target_os = "linux")]
        return self.keeper.facts();
        #[cfg(not(target_os = "linux"))]
        match self.never {}
    }

    /// The process of the launcher that takes new starts; `None`: it died, and the next start starts another.
    pub fn pid(&self) -> Option<u32> {
        #[cfg(target_os = "linux")]
        return self.keeper.pid();
        #[cfg(not(target_os = "linux"))]
        match self.never {}
    }

    /// Returns when all that was asked of the launchers before was sent to them, or cannot be sent any more since they are
    /// dead. That an attempt is to be [forgotten](jobyard_core::Executor::forget), for one: another life of this program
    /// does not see it any more, however early it begins. While a launcher cannot be reached, this waits. Cancel-safe.
    pub async fn all_sent(&self) {
        #[cfg(target_os = "linux")]
        self.keeper.all_sent().await;
        #[cfg(not(target_os = "linux"))]
        match self.never {}
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn keeper(&self) -> &Arc<super::Keeper> {
        &self.keeper
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launcher")
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
