//! The thread that owns the write connection.
//!
//! It does one command after another, and gathers nothing: a batch that finds it idle is begun at once, and its answer
//! leaves after one fsync. So the wait of a batch is bounded by what was asked before it, its own transaction, and at
//! most one move of the write-ahead log, which is begun after an answer and only when [`CHECKPOINT_PAGES`] have
//! gathered. Whoever has many changes gathers them while its last batch is under way; that is where a group comes from.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use jobyard_core::{Batch, CommitError, Epoch, LeadError, MAX_BATCH_CHANGES, RecordKind, mutated};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Rows};
use super::failpoint::{Failpoints, Point};
use super::failure::Failure;
use super::leader_lock::{LeaderLock, LockError};
use super::room::Keeper;
use super::term;

/// Where the thread sends an answer. Nobody may be waiting for it any more: then what was done stays done.
pub(crate) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// What the thread is asked to do; it does one after another, in the order in which they were asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Begin a term.
    Lead {
        holder: String,
        at_least: Epoch,
        reply: Reply<Epoch, LeadError>,
    },
    /// Say whether the term lasts.
    Renew {
        epoch: Epoch,
        reply: Reply<(), LeadError>,
    },
    /// End the term.
    Resign {
        epoch: Epoch,
        reply: Reply<(), LeadError>,
    },
    /// Make a batch durable.
    Commit {
        epoch: Epoch,
        batch: Batch,
        reply: Reply<(), CommitError>,
    },
    /// Remove old records.
    Prune {
        epoch: Epoch,
        kind: RecordKind,
        before: u64,
        limit: usize,
        reply: Reply<usize, CommitError>,
    },
}

/// When this many pages stand in the write-ahead log they are moved into the main file: 16 MiB at the usual page size.
/// Rare enough that fewer than one commit in a hundred waits behind it, and pages that change often are moved once.
const CHECKPOINT_PAGES: i32 = 4_000;

/// The state of the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
    lock_path: PathBuf,
    /// `Some` while this process may lead.
    lock: Option<LeaderLock>,
    /// How many pages stood in the write-ahead log after the last commit.
    wal_pages: Arc<AtomicI32>,
    keeper: Keeper,
    failpoints: Failpoints,
    /// Why nothing is written any more.
    broken: Option<String>,
}

impl Writer {
    /// Over this connection.
    pub(crate) fn new(
        mut connection: Connection,
        lock_path: &Path,
        keeper: Keeper,
        failpoints: Failpoints,
    ) -> rusqlite::Result<Self> {
        let wal_pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&wal_pages);
        // Replaces the automatic checkpoint, which would run before the commit returns.
        connection.wal_hook(Some(move |_wal: &mut _, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            connection,
            lock_path: lock_path.to_owned(),
            lock: None,
            wal_pages,
            keeper,
            failpoints,
            broken: None,
        })
    }

    /// Works until nobody can ask any more. On return the file is closed and the lock released.
    pub(crate) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            self.obey(command);
            self.checkpoint();
        }
    }

    /// Carries out one command. An answer that nobody waits for is dropped.
    fn obey(&mut self, command: Command) {
        match command {
            Command::Lead {
                holder,
                at_least,
                reply,
            } => self.answer(reply, |writer| writer.lead(&holder, at_least)),
            Command::Renew { epoch, reply } => {
                self.answer(reply, |writer| Ok(writer.check(epoch)?));
            }
            Command::Resign { epoch, reply } => {
                self.answer(reply, |writer| Ok(writer.resign(epoch)?));
            }
            Command::Commit {
                epoch,
                batch,
                reply,
            } => self.answer(reply, |writer| writer.commit(epoch, &batch)),
            Command::Prune {
                epoch,
                kind,
                before,
                limit,
                reply,
            } => self.answer(reply, |writer| {
                let prune = |writer: &Self| writer.prune(epoch, kind, before, limit);
                Ok(writer.with_room(prune)?)
            }),
        }
    }

    /// Does something unless nothing is done any more, and takes note if it shows that the disk fails.
    fn answer<T, E>(&mut self, reply: Reply<T, E>, work: impl FnOnce(&mut Self) -> Result<T, E>)
    where
        E: From<Failure> + Breakage,
    {
        let answer = match &self.broken {
            Some(problem) => Err(Failure::Broken(problem.clone()).into()),
            None => work(self),
        };
        if let Err(error) = &answer
            && let Some(problem) = error.breakage()
        {
            self.break_off(problem);
        }
        drop(reply.send(answer));
    }

    /// From now on nothing is written. Whether bytes that could not be made durable are on disk is not known, and
    /// asking once more could be answered with a success that is none.
    fn break_off(&mut self, problem: &str) {
        if self.broken.is_some() || mutated("a failed fsync is tried again") {
            return;
        }
        tracing::error!(
            problem,
            "the disk fails: nothing is written until the store is opened anew"
        );
        self.broken = Some(problem.to_owned());
        // Closing would otherwise move the write-ahead log, as if nothing had happened.
        let kept = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = kept {
            tracing::error!(%error, "closing may move the write-ahead log");
        }
    }

    /// Takes the lock unless this process has it, and begins a term. A term of this process that still lasts is over.
    fn lead(&mut self, holder: &str, at_least: Epoch) -> Result<Epoch, LeadError> {
        let storage = |error: std::io::Error| LeadError::Storage {
            problem: error.to_string(),
        };
        let taken = match &mut self.lock {
            Some(lock) => {
                lock.name(holder).map_err(storage)?;
                None
            }
            None => match LeaderLock::take(&self.lock_path, holder) {
                Ok(lock) => Some(lock),
                Err(LockError::Held(holder)) => return Err(LeadError::Held { holder }),
                Err(LockError::Io(error)) => return Err(storage(error)),
            },
        };
        if taken.is_some() {
            self.settle()?;
        }
        let epoch = self.with_room(|writer| writer.begin_term(holder, at_least))?;
        self.keeper.reserve.restock(&self.keeper.gauge);
        // Only now: a lock whose term could not be written is released again.
        if taken.is_some() {
            self.lock = taken;
        }
        Ok(epoch)
    }

    /// Makes durable what an earlier process may have left in memory alone: after a failed fsync the system forgets
    /// that those pages have to be written, and a commit behind them would be lost with them. Moving everything into
    /// the main file writes it anew.
    fn settle(&mut self) -> Result<(), Failure> {
        let is_busy: bool =
            self.connection
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
        if is_busy {
            tracing::warn!(
                "another process reads: the write-ahead log was not moved at the start of the term"
            );
        }
        self.wal_pages.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn begin_term(&self, holder: &str, at_least: Epoch) -> Result<Epoch, Failure> {
        self.failpoints.hit(Point::LeadBefore)?;
        let transaction = self.transaction()?;
        let term = term::begin(&transaction, holder, at_least)?;
        transaction.commit()?;
        self.failpoints.hit(Point::LeadAfter)?;
        Ok(term.epoch)
    }

    fn resign(&mut self, epoch: Epoch) -> Result<(), Failure> {
        let transaction = self.transaction()?;
        self.check_in(&transaction, epoch)?;
        term::end(&transaction)?;
        transaction.commit()?;
        self.lock = None;
        Ok(())
    }

    /// Whether `epoch` is the term of this process.
    fn check(&self, epoch: Epoch) -> Result<(), Failure> {
        self.check_in(&self.connection, epoch).map(drop)
    }

    fn check_in(&self, connection: &Connection, epoch: Epoch) -> Result<term::Term, Failure> {
        if self.lock.is_none() {
            return Err(Failure::Fenced(term::read(connection)?.epoch));
        }
        term::check(connection, epoch)
    }

    /// One transaction, durable when it returns.
    fn commit(&mut self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError> {
        let done = self.with_room(|writer| writer.try_commit(epoch, batch));
        if done.is_ok() {
            self.keeper
                .gauge
                .has_written(self.left_below_limit().unwrap_or_default());
            self.keeper.reserve.restock(&self.keeper.gauge);
        }
        done
    }

    /// Does something that needs room; once more on the room of the reserve if the disk has none.
    fn with_room<T, E: Breakage>(&mut self, work: impl Fn(&Self) -> Result<T, E>) -> Result<T, E> {
        let done = work(self);
        let keeps_room = !mutated("no room is kept for what has begun");
        if !done.as_ref().is_err_and(Breakage::is_full) || !keeps_room {
            return done;
        }
        self.keeper.gauge.is_full();
        // With room on the disk it is the limit of the main file that was met.
        if self.keeper.gauge.has_beyond(0) {
            return done;
        }
        let has_given_up = self.keeper.reserve.give_up();
        if self.rewind() || has_given_up {
            work(self)
        } else {
            done
        }
    }

    /// Moves the whole write-ahead log, so that its file is written from the beginning again instead of growing. Whether
    /// that is so.
    fn rewind(&self) -> bool {
        let checkpoint = "PRAGMA wal_checkpoint(RESTART)";
        let is_busy = self
            .connection
            .query_row(checkpoint, [], |row| row.get::<_, bool>(0));
        is_busy.is_ok_and(|is_busy| !is_busy)
    }

    /// How many bytes the main file may still hold, if there is a limit.
    fn left_below_limit(&self) -> rusqlite::Result<Option<u64>> {
        if !self.keeper.is_limited {
            return Ok(None);
        }
        let ask = |name: &str| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let used = ask("page_count")? - ask("freelist_count")?;
        let left = (ask("max_page_count")? - used) * ask("page_size")?;
        Ok(Some(u64::try_from(left).unwrap_or(0)))
    }

    fn try_commit(&self, epoch: Epoch, batch: &Batch) -> Result<(), CommitError> {
        let number = batch.number;
        let refused = |problem| CommitError::Refused { number, problem };
        let transaction = self.transaction()?;
        let term = self.check_in(&transaction, epoch)?;
        if batch.changes.len() > MAX_BATCH_CHANGES {
            return Err(refused("it holds more changes than allowed"));
        }
        if number == 0 {
            return Err(refused("batches are numbered from 1"));
        }
        if number <= term.batch {
            return Ok(());
        }
        if number != term.batch + 1 {
            return Err(refused("batches before it are missing"));
        }
        let rows: Vec<_> = batch
            .changes
            .iter()
            .map(batch::RowChange::of)
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        Self::write(&transaction, number, &rows)?;
        self.failpoints
            .hit(Point::CommitBefore)
            .map_err(Failure::from)?;
        transaction.commit().map_err(Failure::from)?;
        self.failpoints
            .hit(Point::CommitAfter)
            .map_err(Failure::from)?;
        Ok(())
    }

    fn write(
        transaction: &Transaction<'_>,
        number: u64,
        rows: &[batch::RowChange<'_>],
    ) -> Result<(), Failure> {
        let number = i64::try_from(number)
            .map_err(|_| Failure::Storage("the batch number is too large".to_owned()))?;
        let mut table = Rows::of(transaction)?;
        for row in rows {
            table.apply(row)?;
        }
        transaction
            .prepare_cached("UPDATE leader SET batch = ?1")?
            .execute(params![number])?;
        Ok(())
    }

    fn prune(
        &self,
        epoch: Epoch,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<usize, Failure> {
        self.failpoints.hit(Point::PruneBefore)?;
        let transaction = self.transaction()?;
        self.check_in(&transaction, epoch)?;
        let Some(last) = before.checked_sub(1) else {
            return Ok(0);
        };
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit.min(MAX_BATCH_CHANGES)).unwrap_or(i64::MAX);
        let removed = transaction
            .prepare_cached(
                "DELETE FROM records WHERE id IN (\
                 SELECT id FROM records INDEXED BY records_by_order \
                 WHERE kind = ?1 AND live = 0 AND ord <= ?2 ORDER BY ord LIMIT ?3)",
            )?
            .execute(params![kind.0, last, limit])?;
        transaction.commit()?;
        Ok(removed)
    }

    /// Dropped without a commit, it is rolled back.
    fn transaction(&self) -> Result<Transaction<'_>, Failure> {
        Ok(Transaction::new_unchecked(
            &self.connection,
            TransactionBehavior::Immediate,
        )?)
    }

    /// Moves what has gathered in the write-ahead log into the main file. After the answer, so that nobody waits for
    /// it; a reader that keeps it from finishing delays it to a later commit.
    fn checkpoint(&mut self) {
        if self.broken.is_some() || self.wal_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            return;
        }
        self.wal_pages.store(0, Ordering::Relaxed);
        let moved = self.failpoints.hit(Point::Checkpoint).and_then(|()| {
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        });
        match moved.map_err(Failure::from) {
            Ok(()) => {}
            Err(Failure::Broken(problem)) => self.break_off(&problem),
            Err(failure) => {
                tracing::warn!(
                    ?failure,
                    "the write-ahead log was not moved into the store's file"
                );
            }
        }
    }
}

/// An answer that can tell what is wrong with the disk.
trait Breakage {
    /// What the disk said, if it fails.
    fn breakage(&self) -> Option<&str>;

    /// Whether it has no room.
    fn is_full(&self) -> bool;
}

impl Breakage for Failure {
    fn breakage(&self) -> Option<&str> {
        match self {
            Self::Broken(problem) => Some(problem),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl Breakage for CommitError {
    fn breakage(&self) -> Option<&str> {
        match self {
            Self::Broken { problem } => Some(problem),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

impl Breakage for LeadError {
    fn breakage(&self) -> Option<&str> {
        match self {
            Self::Broken { problem } => Some(problem),
            _ => None,
        }
    }

    /// It has no such case.
    fn is_full(&self) -> bool {
        false
    }
}
