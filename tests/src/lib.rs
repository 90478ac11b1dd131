//! Runs the shipped programs as a person would: separate processes, real files, real TLS.
//!
//! The programs are those that were built beside the test: `cargo nextest run --workspace` builds them. Every wait is
//! for an event (a line of a log, the end of a process) under one generous guard; a process that was started is ended
//! with its value. Launchers outlive their workers on purpose: they, and all that they hold, are ended with the
//! [`Cluster`].

#![forbid(unsafe_code)]

mod cluster;
mod happenings;
mod launchers;
mod master_program;
mod narrow_link;
mod pipe;
mod process;
mod program;
mod proxy;
mod runs;
mod site;
mod wire_worker;

pub use cluster::{Cluster, Token};
pub use happenings::Happenings;
pub use launchers::launcher_beneath;
pub use master_program::MasterProgram;
pub use pipe::{Gate, Notes};
pub use process::{Process, control_groups, descendants, with_environment};
pub use program::{GUARD, Program, Ran, program, within};
pub use proxy::{Proxy, Way};
pub use runs::Runs;
pub use site::{LEASE_SECONDS, PATIENCE, Site, assert_once, attempts, in_background};
pub use wire_worker::{WireSession, WireUpload, WireWorker, now, started};
