//! Output of attempts in files: the parts behind [`FileLogs`].

mod cache;
mod frame;
mod index;
mod layout;
mod log;
mod recover;
mod segment;
mod store;
mod write;

pub(crate) use layout::{numbered_directories, parse_name};
pub(crate) use recover::durable_prefix;
pub use store::{FileLogs, OpenLogsError};
