//! The worker.
#![forbid(unsafe_code)]

pub mod agent;
pub mod journal;
pub mod spool;
