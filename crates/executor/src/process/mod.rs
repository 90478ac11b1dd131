//! Runs programs of the operating system.
//!
//! There are two ways. With a [launcher](crate::launcher), jobs are started by a small process that outlives this one, each
//! in a cage out of which no process gets, with limits, other users and what else the machine offers. Without one, they
//! are started from here, as process groups: the weaker level.
//!
//! What the two have in common is that everything about a job is built and nothing inherited: its environment, its
//! directories, its program.
//!
//! # Without a launcher
//!
//! Starting takes the fast way of the standard library (`posix_spawn`), so it costs the same whatever the size of the
//! host program. Each attempt leads a process group of its own; what stays in the group is killed when the main process
//! has ended. A process that leaves the group (`setsid`) escapes; it is cut off from the output, and the facts say
//! `best-effort`.
//!
//! A job inherits three descriptors from us. What the host program itself was given by its parent without the mark
//! `close-on-exec`, and the limits, mask and ignored signals with which it was started, are passed on: between fork and
//! exec there is nobody of ours who could change that. No limit is enforced.
//!
//! # Other systems
//!
//! The in-process way is all there is on macOS and Windows. What a job finds there, and how well it is held, is told at
//! [`ProcessExecutor`]. What the systems have in common is here; `unix` and `windows` each have the rest behind the same
//! two functions, `start` and `end_left_over`.

mod config;
mod environment;
mod executor;
mod isolation;
#[cfg(target_os = "linux")]
mod launched;
mod masked;
mod pump;
#[cfg(unix)]
mod unix;
mod user;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub use config::{MAX_ARGUMENT_BYTES, ProcessConfig};
pub use executor::{DEFAULT_PATH, OUTPUT_DRAIN, ProcessExecutor};
pub use isolation::{IsolationError, Unenforceable};
#[cfg(target_os = "linux")]
pub(crate) use unix::DeathWatch;
pub use user::{ClosedWayError, FindUserError, JobUser};
