//! The launcher: the small process that starts jobs, keeps hold of them, and outlives the agent that asked for them.
//!
//! # What
//!
//! * [`protocol`]: what an agent and its launcher say to each other. Everything that an agent needs of this crate.
//! * [`spool`]: the format in which the launcher leaves output for the agent.

#[cfg(target_os = "linux")]
pub mod cage;
#[cfg(target_os = "linux")]
mod entry;
#[cfg(target_os = "linux")]
pub mod journal;
pub mod protocol;
#[cfg(target_os = "linux")]
mod server;
pub mod spool;
#[cfg(target_os = "linux")]
mod sys;

#[cfg(target_os = "linux")]
pub use self::entry::{
    ASKED, LauncherError, LauncherOptions, UsageError, is_alive, main, run, run_if_asked,
};
