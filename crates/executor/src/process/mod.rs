//! Runs programs of the operating system.
//!
//! Starting takes the fast way of the standard library (`posix_spawn`), so it costs the same whatever the size of the
//! host program. Each attempt leads a process group of its own; what stays in the group is killed when the main process
//! has ended. A process that leaves the group (`setsid`) escapes; it is cut off from the output, and the facts say
//! `best-effort`.
//!
//! A job inherits three descriptors from us. What the host program itself was given by its parent without the mark
//! `close-on-exec`, and the limits, mask and ignored signals with which it was started, are passed on: between fork and
//! exec there is nobody of ours who could change that.

mod config;
#[cfg(unix)]
mod environment;
mod executor;
#[cfg(unix)]
mod unix;

pub use config::{MAX_ARGUMENT_BYTES, ProcessConfig};
pub use executor::{DEFAULT_PATH, OUTPUT_DRAIN, ProcessExecutor};
