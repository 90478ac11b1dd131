//! The launcher: the small process that starts jobs, keeps hold of them, and outlives the agent that asked for them.
//!
//! # What
//!
//! * [`protocol`]: what an agent and its launcher say to each other. Everything that an agent needs of this crate.
//! * [`spool`]: the format in which the launcher leaves output for the agent.

#[cfg(target_os = "linux")]
pub mod cage;
pub mod protocol;
pub mod spool;
#[cfg(target_os = "linux")]
mod sys;
