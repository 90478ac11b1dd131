//! Why there is no launcher.

use std::io;
use std::path::PathBuf;

/// Why launchers cannot be used. The operator's matter, each time; what earlier launchers hold stays theirs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLauncherError {
    /// This operating system has no launcher.
    #[error("launchers exist on Linux only; use the in-process executor")]
    Unsupported,
    /// The command is [`LauncherCommand::None`](super::LauncherCommand::None).
    #[error("without a launcher to start there is none to open; use the in-process executor")]
    NoCommand,
    /// The directory of the launchers cannot be used.
    #[error("the directory {path} cannot be used for launchers: {source}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A launcher could not be started.
    #[error("the launcher {program} could not be started: {source}")]
    Start {
        /// What was executed.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A launcher was started and did not become ready.
    #[error("the launcher {program} did not become ready: {problem}")]
    NotReady {
        /// What was executed.
        program: PathBuf,
        /// What is known about it.
        problem: String,
    },
    /// The last launchers could not be started either, and it is too early to try again.
    #[error("no launcher could be started: {problem}; the next try comes later")]
    TooEarly {
        /// What went wrong the last time.
        problem: String,
    },
    /// The runtime ends.
    #[error("the runtime ends")]
    RuntimeEnds,
}
