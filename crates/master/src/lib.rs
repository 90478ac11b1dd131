//! The Jobyard master.

#![forbid(unsafe_code)]

mod config;
pub mod engine;
pub mod records;
mod shell;

pub use config::{ConfigCheck, MasterConfig};
pub use shell::{Master, StartError};
