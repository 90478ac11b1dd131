//! The way to a launcher: the small process that starts jobs for this program, keeps hold of them, and outlives it.
//!
//! # What
//!
//! * [`LauncherCommand`]: what is executed as the launcher.
//! * [`Launcher`]: the launchers of one directory: those that earlier lives of this program left, and the one that takes
//!   new starts. [`ProcessExecutor::launched`](crate::ProcessExecutor::launched) makes an executor of it.
//! * [`run_if_asked`]: with this at the beginning of its `main`, a program can be its own launcher.
//!
//! # Theory of operation
//!
//! Each launcher has a directory `DIR/ID/` with a lock, a socket and a journal. Opening `DIR` looks at all of them. One
//! that lives holds its lock: it is connected to, and its welcome says which attempts it holds. The first of the same
//! protocol and build takes new starts, any other is told to retire. One that is dead left its journal: what is written
//! there as ended is kept for adoption, everything else is ended by the name of its cage and remembered as gone. A
//! directory is removed when nothing in it is to be remembered any more.
//!
//! One task per launcher owns the connection. It is told what to send through a bounded channel, and writes what it is
//! told into one cell per attempt, on which everybody else waits. When a launcher dies while this program lives, what
//! it held is lost in the same way, and the next start starts another launcher. A connection that breaks while the
//! launcher lives is made again.
//!
//! Launchers exist on Linux only. On other systems the in-process executor is all there is.

mod command;
mod error;
mod handle;
#[cfg(target_os = "linux")]
mod linux;
mod options;

pub use self::command::LauncherCommand;
pub use self::error::OpenLauncherError;
pub use self::handle::Launcher;
#[cfg(target_os = "linux")]
pub(crate) use self::linux::{Cell, Keeper, Link, SpoolReader, Stage};
pub use self::options::LauncherOptions;
pub use jobyard_launcher::ProcessStat;
pub use jobyard_launcher::protocol::{CageFacts, Isolation, Landlock, Mechanism, Namespaces};
#[cfg(target_os = "linux")]
pub use jobyard_launcher::run_if_asked;

/// Does nothing: this operating system has no launchers, so nobody asks.
#[cfg(not(target_os = "linux"))]
pub fn run_if_asked() {}
