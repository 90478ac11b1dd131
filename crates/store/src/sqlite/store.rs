//! The store over SQLite.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Batch, CommitError, Epoch, LeadError, Leadership, LoadError, Record, RecordKind, RecordPage,
    RecordQuery, Snapshot, Store,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::list;
use super::open::{OpenStoreError, open_writer};
use super::readers::{Readers, unavailable};
use super::snapshot::SqliteSnapshot;
use super::writer::{Command, Reply, Writer};

/// How many commands wait for the writer at most. Who comes later waits for a place.
const COMMAND_QUEUE: usize = 64;

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How many questions are answered at once; more wait. At least 1.
    pub readers: usize,
    /// How large the main file may grow, in bytes. At the limit a commit fails with [`CommitError::Full`]. The
    /// write-ahead log beside it is not counted. `None`: as large as the disk.
    pub max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            max_bytes: None,
        }
    }
}

/// Keeps records in one SQLite file.
///
/// [`SqliteStore::open`] first, then [`Store::lead`], then loads and commits. One thread owns the connection that
/// writes, and makes each batch durable with one transaction and one fsync, in the order of the calls. Questions are
/// answered beside it, each as of a moment after every commit that had returned.
///
/// One process leads at a time: while it does, it holds a lock on the file `PATH.lock`, which the kernel releases if
/// the process dies. Within the process a new term simply ends the older one; `ttl` is ignored, `renew` only checks.
/// Other processes can read the file meanwhile, people with the `sqlite3` tool for example.
///
/// Beyond the contract: an order field holds 63 bits and a body has to be UTF-8, or the batch is refused; a prune
/// removes at most [`MAX_BATCH_CHANGES`](jobyard_core::MAX_BATCH_CHANGES) records.
///
/// Dropping the store waits until the commands that were accepted are done, closes the file and releases the lock.
pub struct SqliteStore {
    path: PathBuf,
    readers: Readers,
    /// `None` only while it is dropped.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the file, or creates it (readable for its owner alone), and brings its schema up to date. Does not lead.
    /// Blocks: meant for the start of a program, or for a blocking thread.
    pub fn open(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, OpenStoreError> {
        let path = path.as_ref();
        let storage = |problem: String| OpenStoreError::Storage {
            path: path.to_owned(),
            problem,
        };
        let lock_path = lock_path(path);
        let connection = open_writer(path, &lock_path, options)?;
        let writer =
            Writer::new(connection, &lock_path).map_err(|error| storage(error.to_string()))?;
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|error| storage(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            readers: Readers::new(path, options.readers),
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Has the writer do something.
    async fn ask<T, E: From<Failure>>(
        &self,
        command: impl FnOnce(Reply<T, E>) -> Command + Send,
    ) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        let gone = || E::from(Failure::writer_gone());
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn lead(
        &self,
        holder: &str,
        _ttl: Duration,
        at_least: Epoch,
    ) -> Result<Leadership, LeadError> {
        let holder = holder.to_owned();
        self.ask(|reply| Command::Lead {
            holder,
            at_least,
            reply,
        })
        .await
        .map(Leadership::new)
    }

    async fn renew(&self, epoch: Epoch, _ttl: Duration) -> Result<(), LeadError> {
        self.ask(|reply| Command::Renew { epoch, reply }).await
    }

    async fn resign(&self, epoch: Epoch) -> Result<(), LeadError> {
        self.ask(|reply| Command::Resign { epoch, reply }).await
    }

    async fn load(
        &self,
        epoch: Epoch,
        kinds: &[RecordKind],
    ) -> Result<Box<dyn Snapshot>, LoadError> {
        let path = self.path.clone();
        let kinds = kinds.to_vec();
        let snapshot = spawn_blocking(move || SqliteSnapshot::begin(&path, epoch, &kinds))
            .await
            .map_err(|_| unavailable("the runtime is shutting down"))??;
        Ok(Box::new(snapshot))
    }

    async fn commit(&self, epoch: Epoch, batch: Batch) -> Result<(), CommitError> {
        self.ask(|reply| Command::Commit {
            epoch,
            batch,
            reply,
        })
        .await
    }

    async fn get(&self, kind: RecordKind, key: &str) -> Result<Option<Record>, LoadError> {
        let key = key.to_owned();
        self.readers
            .ask(move |connection| list::get(connection, kind, &key))
            .await
    }

    async fn get_many(
        &self,
        kind: RecordKind,
        keys: &[String],
    ) -> Result<Vec<Option<Record>>, LoadError> {
        let keys = keys.to_vec();
        self.readers
            .ask(move |connection| {
                keys.iter()
                    .map(|key| list::get(connection, kind, key))
                    .collect()
            })
            .await
    }

    async fn list(&self, query: RecordQuery) -> Result<RecordPage, LoadError> {
        self.readers
            .ask(move |connection| list::list(connection, &query))
            .await
    }

    async fn prune(
        &self,
        epoch: Epoch,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<usize, CommitError> {
        self.ask(|reply| Command::Prune {
            epoch,
            kind,
            before,
            limit,
            reply,
        })
        .await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was reported by the thread itself.
            drop(thread.join());
        }
    }
}

/// The file beside the store that the leading process locks.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}
