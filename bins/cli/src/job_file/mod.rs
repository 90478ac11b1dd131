//! Job files: validated whole, their ids fixed, before anything is sent.

mod entry;
mod executor;
mod format;
mod invalid;
mod json;
mod limits;
mod parse;
mod problem;
mod secrets;
mod shape;
mod texts;
mod toml;
mod wording;
mod yaml;

pub(crate) use entry::{Draft, Entry, GroupText, PreferenceText};
pub(crate) use executor::ExecutorText;
pub(crate) use format::Format;
pub(crate) use limits::{LimitText, LimitsText, read_limit};
pub(crate) use parse::{FileJob, MAX_FILE_BYTES, parse, parse_document};
pub(crate) use secrets::SecretSource;
pub(crate) use texts::{CoresText, DurationText, RequirementText, SizeText};
