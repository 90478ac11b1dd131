//! Job files: validated whole, their ids fixed, before anything is sent.

mod entry;
mod format;
mod parse;
mod shape;

pub(crate) use entry::{Draft, DurationText, Entry, ExecutorText, SizeText};
pub(crate) use format::Format;
pub(crate) use parse::{FileJob, MAX_FILE_BYTES, parse};
