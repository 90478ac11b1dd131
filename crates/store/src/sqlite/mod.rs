//! Records in one SQLite file: the parts behind [`SqliteStore`].

mod batch;
mod failure;
mod leader_lock;
mod list;
mod open;
mod readers;
mod row;
mod snapshot;
mod store;
mod term;
mod writer;

pub use open::OpenStoreError;
pub use store::{SqliteOptions, SqliteStore};
