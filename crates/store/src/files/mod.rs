//! Output of attempts in files: the parts behind [`FileLogs`].

mod cache;
mod chores;
mod compress;
mod frame;
mod index;
mod layout;
mod line;
mod log;
mod moving;
mod names;
mod pointer;
mod reading;
mod recover;
mod segment;
mod store;
mod write;

pub use chores::SettleError;
pub(crate) use layout::numbered_directories;
pub(crate) use names::{Kind, parse_name};
pub(crate) use recover::durable_prefix;
pub use store::{FileLogs, LogOptions, OpenLogsError};
