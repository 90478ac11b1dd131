//! The store over SQLite.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Batch, CommitError, Epoch, LeadError, Leadership, LoadError, Record, RecordKind, RecordPage,
    RecordQuery, Room, Snapshot, Store,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::check::{CheckReport, check};
use super::failpoint::Failpoints;
use super::failure::Failure;
use super::list;
use super::open::{OpenStoreError, beside, open_writer};
use super::readers::{Readers, unavailable};
use super::room::{Keeper, Reserve, RoomGauge};
use super::snapshot::SqliteSnapshot;
use super::term;
use super::writer::{Command, Reply, Writer};

/// How many commands wait for the writer at most. Who comes later waits for a place.
const COMMAND_QUEUE: usize = 64;

/// Four times the size at which the write-ahead log is moved into the main file: that and a few thousand jobs' worth of
/// ends fit.
const WATERMARK_BYTES: u64 = 64 * 1_024 * 1_024;

/// As much as the write-ahead log is long when it is moved.
const RESERVE_BYTES: u64 = 16 * 1_024 * 1_024;

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How many questions are answered at once; more wait. At least 1.
    pub readers: usize,
    /// How large the main file may grow, in bytes. At the limit a commit fails with [`CommitError::Full`]. The
    /// write-ahead log beside it is not counted. `None`: as large as the disk.
    pub max_bytes: Option<u64>,
    /// Below how many free bytes, on the disk or under `max_bytes`, [`Store::room`] is [`Room::Low`]. What is left then
    /// is for finishing what was admitted: some kilobytes a job. 0: never.
    pub watermark_bytes: u64,
    /// How large the file `PATH.reserve` is, which is given up when a commit finds the disk full: for the case that
    /// something else, output for example, takes what the watermark has left. The commit is then tried again. 0: none.
    pub reserve_bytes: u64,
    /// Where to fail on order, as in the variable `JOBYARD_STORE_FAILPOINTS`, which counts if this is `None`.
    #[cfg(feature = "failpoints")]
    pub failpoints: Option<String>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            max_bytes: None,
            watermark_bytes: WATERMARK_BYTES,
            reserve_bytes: RESERVE_BYTES,
            #[cfg(feature = "failpoints")]
            failpoints: None,
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
/// # How long a commit takes
///
/// A batch that comes alone waits for nobody: its transaction begins at once, and its answer leaves after one fsync of
/// the write-ahead log. There is no timer and no window in which batches are gathered. Whoever has many changes at once
/// gathers them while its last commit is under way, which makes the wait the length of one commit at most. Besides the
/// commands that were asked before it (a leader has one commit under way at a time), a batch waits for at most one
/// move of the write-ahead log into the main file, which begins after an answer when 16 MiB have gathered.
///
/// # Damage
///
/// Each record carries a checksum of everything it says, which each read compares. The write-ahead log has SQLite's own
/// sums, so that a torn commit is seen as one that did not happen. [`check`](Self::check) looks at the whole file;
/// worth its time when [`ended_cleanly`](Self::ended_cleanly) says no.
///
/// When an fsync or another access of the writer fails, nothing more is written: every later write is refused as
/// `Broken` until the file is opened anew. The next term begins with moving everything that the write-ahead log holds
/// into the main file, durably, since what such a log holds may be in memory alone.
///
/// # Beyond the contract
///
/// Beyond the contract: an order field holds 63 bits and a body has to be UTF-8, or the batch is refused; a prune
/// removes at most [`MAX_BATCH_CHANGES`](jobyard_core::MAX_BATCH_CHANGES) records.
///
/// Dropping the store waits until the commands that were accepted are done, closes the file and releases the lock.
pub struct SqliteStore {
    path: PathBuf,
    gauge: Arc<RoomGauge>,
    ended_cleanly: bool,
    readers: Readers,
    /// `None` only while it is dropped.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the file, or creates it (readable for its owner alone), and brings its schema up to date. Does not lead.
    /// Blocks: meant for the start of a program, or for a blocking thread.
    pub fn open(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, OpenStoreError> {
        let path = &real(path.as_ref());
        let storage = |problem: String| OpenStoreError::Storage {
            path: path.to_owned(),
            problem,
        };
        let lock_path = beside(path, ".lock");
        let connection = open_writer(path, &lock_path, options)?;
        let ended_cleanly = !term::read(&connection)
            .map_err(|failure| storage(format!("{failure:?}")))?
            .held;
        let gauge = Arc::new(RoomGauge::new(path, options.watermark_bytes));
        let reserve = Reserve::new(beside(path, ".reserve"), options.reserve_bytes);
        #[cfg(feature = "failpoints")]
        let failpoints = Failpoints::read(options.failpoints.as_deref());
        #[cfg(not(feature = "failpoints"))]
        let failpoints = Failpoints::default();
        let keeper = Keeper {
            gauge: Arc::clone(&gauge),
            reserve,
            is_limited: options.max_bytes.is_some(),
        };
        let writer = Writer::new(connection, &lock_path, keeper, failpoints)
            .map_err(|error| storage(error.to_string()))?;
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|error| storage(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            gauge,
            ended_cleanly,
            readers: Readers::new(path, options.readers),
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Whether the last term was resigned before this was opened. If not, its process was killed, or its machine failed
    /// or lost its power; or it still leads.
    pub const fn ended_cleanly(&self) -> bool {
        self.ended_cleanly
    }

    /// Looks at the whole file for damage: compares each record with its checksum, then each index with its table, and
    /// reads each page on the way. Takes `within` at most, and then says so: a million records take a few seconds.
    /// Commits go on meanwhile. May be dropped; what was begun then ends by itself.
    pub async fn check(&self, within: Duration) -> Result<CheckReport, LoadError> {
        let path = self.path.clone();
        spawn_blocking(move || check(&path, within))
            .await
            .map_err(|_| unavailable("the runtime is shutting down"))?
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

    async fn oldest_ended(
        &self,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        self.readers
            .ask(move |connection| list::oldest_ended(connection, kind, before, limit))
            .await
    }

    async fn ended_after(
        &self,
        kind: RecordKind,
        after: Option<(u64, String)>,
        limit: usize,
    ) -> Result<Vec<Record>, LoadError> {
        self.readers
            .ask(move |connection| list::ended_after(connection, kind, after.as_ref(), limit))
            .await
    }

    async fn count(&self, kind: RecordKind, live: bool) -> Result<u64, LoadError> {
        self.readers
            .ask(move |connection| list::count(connection, kind, live))
            .await
    }

    async fn room(&self) -> Room {
        if let Some(room) = self.gauge.known() {
            return room;
        }
        let gauge = Arc::clone(&self.gauge);
        // Without a runtime nobody admits anything.
        spawn_blocking(move || gauge.look())
            .await
            .unwrap_or(Room::Enough)
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

/// Where a file lies, links followed: two names of one file must not have two locks. What cannot be followed is left as
/// it is; opening it tells why.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
