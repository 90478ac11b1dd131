//! Output from process to screen: every byte, in order, for each reader, from any place, and harmless on a terminal.
//!
//! The names begin with the row of the list of attacks, or the feature, that they show.
#![cfg(target_os = "linux")]

mod reader;

mod binary;
mod canaries;
mod lines;
mod order;
mod readers;
mod stalled;
mod terminal;
mod truncated;
