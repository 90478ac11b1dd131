//! The Jobyard master.

#![forbid(unsafe_code)]

pub mod engine;
pub mod records;
