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

pub use store::{FileLogs, OpenLogsError};
