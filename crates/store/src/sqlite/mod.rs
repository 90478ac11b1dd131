//! Records in one SQLite file: the parts behind [`SqliteStore`].

mod batch;
mod check;
mod checksum;
mod failpoint;
mod failure;
mod leader_lock;
mod list;
mod open;
mod readers;
mod room;
mod row;
mod snapshot;
mod store;
mod term;
mod writer;

pub(crate) use check::damaged_rows;
pub use check::{CheckReport, DamagedRow};
pub use open::OpenStoreError;
pub(crate) use open::{UNFINISHED, found_schema, known_schema, open_reader, refuse_others};
pub use store::{SqliteOptions, SqliteStore};
