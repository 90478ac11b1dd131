//! What is executed as the launcher.

use std::path::PathBuf;

/// What is executed as the launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LauncherCommand {
    /// The program `jobyard-launcher`, at this path.
    Program(PathBuf),
    /// This program itself, whose `main` begins with [`run_if_asked`](super::run_if_asked). A program that does not
    /// begin so would start a second time as a whole: this is for hosts that know what they do.
    CurrentExe,
    /// None: jobs are started from within this program. The weaker level: they do not outlive it, and nothing but
    /// their process group holds them.
    None,
}

impl LauncherCommand {
    /// The program `jobyard-launcher` beside this program if there is one, else this program itself.
    pub fn beside() -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|own| Some(own.parent()?.join(PROGRAM)));
        match beside {
            Some(program) if program.is_file() => Self::Program(program),
            _ => Self::CurrentExe,
        }
    }
}

/// The name of the small program.
const PROGRAM: &str = if cfg!(windows) {
    "jobyard-launcher.exe"
} else {
    "jobyard-launcher"
};
