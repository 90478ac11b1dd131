//! What a Jobyard master remembers.

#![forbid(unsafe_code)]

mod chunks;
mod files;
mod memory_logs;
mod memory_store;
mod page;
mod sqlite;

pub use files::{FileLogs, OpenLogsError};
pub use memory_logs::MemoryLogs;
pub use memory_store::MemoryStore;
pub use sqlite::{OpenStoreError, SqliteOptions, SqliteStore};
