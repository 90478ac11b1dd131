//! The worker.
#![forbid(unsafe_code)]

pub mod agent;
