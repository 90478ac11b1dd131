//! What a Jobyard master remembers: records, and the output of attempts.
//!
//! # What
//!
//! Implementations of two ports of `jobyard-core`:
//!
//! | port | durable | forgetful, small enough to read as an example |
//! |---|---|---|
//! | [`Store`](jobyard_core::Store): records | [`SqliteStore`], one file | [`MemoryStore`] |
//! | [`LogStore`](jobyard_core::LogStore): output by offset | [`FileLogs`], segment files | [`MemoryLogs`] |
//!
//! All four pass the suites of `jobyard-testkit`. Both durable ones are copied while they are used by [`backup()`], and
//! come back by [`restore()`].
//!
//! # Theory of operation
//!
//! Both durable ones do their IO away from the threads of the runtime, and answer a write only when it is on disk.
//!
//! **Records.** One thread owns the connection that writes. A batch is one transaction with one fsync in the
//! write-ahead log, which is moved into the main file after the answer, so that nobody waits for that. Each commit
//! compares its epoch and batch number with the leader's row inside its transaction: that is the fence, and that is why
//! a repeat has one effect. Questions run on a few read-only connections beside the writer and see every commit that
//! has returned. A lock on a file beside the store keeps a second process from leading; people may read the file at any
//! time: `sqlite3 FILE 'select kind, key, state, body from records'`.
//!
//! Each record carries a checksum of everything it says, which each read compares: a record that was flipped names
//! itself and costs no other. A failed fsync is final: nothing more is written until the store is opened anew. Below a
//! watermark of free room new work is refused, and a reserve lets what runs be finished on a disk that is full.
//! [`SqliteStore`] says more about each.
//!
//! **Output.** The log of an attempt is a row of append-only segment files, whose format stands in [`FileLogs`]. One
//! append is one write and one `fdatasync`; then the new end is published, readers may read up to it, and followers
//! wake. What is known of a log is kept in a bounded cache and found again from its last segment alone. Writers of one
//! log take turns; nobody waits for a reader, and a reader for nobody.
//!
//! **Backups.** One file: a tar archive under zstd. It begins with `HEAD.json` and ends with `MANIFEST.json`, which
//! lists each file between them with its length and SHA-256, and says which program made it, when, with which schema
//! and in which term. The database is copied as of one moment by SQLite's own `VACUUM INTO`, then the files that the
//! caller names, then the logs, each up to what is whole. A restore unpacks inside the target directory, where meanwhile
//! something stands in the database's place that no master starts on, compares everything with the list, lifts the term
//! above every one that may have been used ([`epoch_after_restore`]), and moves the database to its place last.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use jobyard_core::{Batch, Change, Epoch, Record, RecordKind, Store};
//! use jobyard_store::{SqliteOptions, SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const JOB: RecordKind = RecordKind("job");
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("store.db");
//! let store = SqliteStore::open(path, &SqliteOptions::default())?;
//! let epoch = store.lead("example", Duration::from_secs(15), Epoch::ZERO).await?.epoch;
//! let record = Record::new(JOB, "a", r#"{"state":"queued"}"#);
//! let changes = vec![Change::Put(record.clone())];
//! store.commit(epoch, Batch { number: 1, changes }).await?;
//! assert_eq!(store.get(JOB, "a").await?, Some(record));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod archive;
mod backup;
mod chunks;
mod files;
mod memory_logs;
mod memory_store;
mod page;
mod page_cache;
mod sealed;
mod sqlite;

pub use archive::{ArchiveError, DirectoryArchive, LogArchive};
#[cfg(feature = "object-store")]
pub use archive::{InvalidArchive, ObjectArchive};
pub use backup::{
    BackupError, BackupFile, BackupPlan, BackupProgress, BackupReport, Manifest, RestoreError,
    RestoreOptions, backup, epoch_after_restore, restore, verify_backup,
};
pub use files::{FileLogs, LogOptions, OpenLogsError, SettleError};
pub use memory_logs::MemoryLogs;
pub use memory_store::MemoryStore;
pub use sqlite::{CheckReport, DamagedRow, OpenStoreError, SqliteOptions, SqliteStore};
