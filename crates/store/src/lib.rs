//! What a Jobyard master remembers.

#![forbid(unsafe_code)]

mod memory_store;
mod page;
mod sqlite;

pub use memory_store::MemoryStore;
pub use sqlite::{OpenStoreError, SqliteOptions, SqliteStore};
