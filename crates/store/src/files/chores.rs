//! What the store does beside everything else: compressing logs that are over, and moving them to the archive.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jobyard_core::{AttemptId, LogReadError};
use tokio::sync::{Mutex as Turn, Notify};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::compress::{CompressError, Compression, checked_sum, publish};
use super::index::{ArchivedFile, Kept, SealedFile};
use super::layout::owner_only;
use super::log::Log;
use super::names::{Files, Kind};
use super::pointer::{Pointer, PointerError};
use super::recover::signed;
use super::store::{FileLogs, Shared};
use crate::archive::{ArchiveError, Place};

/// How many logs wait to be looked at. If there are more, the directory is looked through for them when these are done.
const MAX_WAITING: usize = 65_536;

/// How long to wait after something has failed, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The most that this grows to.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Why a log is not yet in the form in which it is to stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Its bytes are not what was written. It stays where it is, for an operator to look at.
    #[error("the log of {attempt} is damaged and stays where it is: {problem}")]
    Damaged {
        /// Whose log.
        attempt: AttemptId,
        /// What was found.
        problem: String,
    },
    /// The disk refused. It is tried again.
    #[error("the log of {attempt} could not be compressed: {problem}")]
    Storage {
        /// Whose log.
        attempt: AttemptId,
        /// What the system said.
        problem: String,
    },
    /// The archive did not take it. It is tried again.
    #[error("the log of {attempt} could not be moved: {source}")]
    Archive {
        /// Whose log.
        attempt: AttemptId,
        /// What it said.
        source: ArchiveError,
    },
}

impl SettleError {
    const fn is_worth_repeating(&self) -> bool {
        !matches!(self, Self::Damaged { .. })
    }
}

/// Which logs to look at.
#[derive(Debug, Default)]
pub(super) struct Chores {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Whoever does chores has this.
    turn: Turn<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    compress: VecDeque<AttemptId>,
    archive: VecDeque<AttemptId>,
    /// All of both.
    known: HashSet<AttemptId>,
    /// There were more.
    left_out: bool,
}

impl Chores {
    /// A log is over.
    pub(super) fn add(&self, attempt: AttemptId) {
        let mut waiting = self.waiting();
        if waiting.known.len() >= MAX_WAITING {
            waiting.left_out = true;
        } else if waiting.known.insert(attempt) {
            waiting.compress.push_back(attempt);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// There is more than was remembered.
    pub(super) fn leave_out(&self) {
        self.waiting().left_out = true;
    }

    fn next_to_compress(&self) -> Option<AttemptId> {
        let mut waiting = self.waiting();
        let next = waiting.compress.pop_front()?;
        waiting.known.remove(&next);
        Some(next)
    }

    fn next_to_archive(&self) -> Option<AttemptId> {
        let mut waiting = self.waiting();
        let next = waiting.archive.pop_front()?;
        waiting.known.remove(&next);
        Some(next)
    }

    /// These are tried again later.
    fn put_back(&self, attempts: Vec<AttemptId>) {
        let mut waiting = self.waiting();
        for attempt in attempts {
            if waiting.known.insert(attempt) {
                waiting.compress.push_back(attempt);
            }
        }
    }

    /// What is left of a log to do, if nobody has said meanwhile that there is more.
    fn add_to_archive(&self, attempt: AttemptId) {
        let mut waiting = self.waiting();
        if waiting.known.insert(attempt) {
            waiting.archive.push_back(attempt);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change under the lock is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileLogs {
    /// Brings every log that is over into the form in which it is to stay, one after another, and returns when that is
    /// done. [`maintain`](jobyard_core::LogStore::maintain) does the same for as long as it is polled, and tries again
    /// what failed.
    ///
    /// Dropped, it leaves the log at hand as it was, or finishes it.
    ///
    /// # Errors
    ///
    /// The last that was found; each log is tried, but for those that wait for an archive that is away.
    pub async fn settle(&self) -> Result<(), SettleError> {
        self.settle_what_waits(true).await
    }

    pub(super) async fn keep_settling(&self) {
        let mut again: Option<(Instant, Duration)> = None;
        loop {
            let is_due = again.is_none_or(|(at, _)| at <= Instant::now());
            let done = self.settle_what_waits(is_due).await;
            again = match done {
                Err(problem) if is_due && problem.is_worth_repeating() => {
                    let pause = again.map_or(FIRST_PAUSE, |(_, pause)| pause * 2);
                    if again.is_none() {
                        tracing::warn!(%problem, "output cannot be put into its place; tried again until it can");
                    }
                    let pause = pause.min(LONGEST_PAUSE);
                    Some((Instant::now() + pause, pause))
                }
                _ if is_due => {
                    if again.is_some() {
                        tracing::info!("output is put into its place again");
                    }
                    None
                }
                _ => again,
            };
            let retry = async {
                match again {
                    Some((at, _)) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.chores.wake.notified() => {}
                () = retry => {}
            }
        }
    }

    /// Compresses what waits for that; moves to the archive what waits for that, if it is to be tried.
    async fn settle_what_waits(&self, with_archive: bool) -> Result<(), SettleError> {
        let chores = &self.shared.chores;
        let _turn = chores.turn.lock().await;
        let mut result = Ok(());
        loop {
            let mut failed = Vec::new();
            while let Some(attempt) = chores.next_to_compress() {
                match self.compress(attempt).await {
                    Ok(()) if self.shared.place.is_some() => chores.add_to_archive(attempt),
                    Ok(()) => {}
                    Err(problem) => {
                        if problem.is_worth_repeating() {
                            failed.push(attempt);
                        } else {
                            tracing::warn!(%problem, "output is damaged");
                        }
                        result = Err(problem);
                    }
                }
            }
            chores.put_back(failed);
            if with_archive && let Err(problem) = self.archive_what_waits().await {
                result = Err(problem);
            }
            if result.is_err() || !self.look_for_more().await {
                return result;
            }
        }
    }

    async fn archive_what_waits(&self) -> Result<(), SettleError> {
        let chores = &self.shared.chores;
        let Some(place) = &self.shared.place else {
            return Ok(());
        };
        let mut result = Ok(());
        while let Some(attempt) = chores.next_to_archive() {
            match self.archive(attempt, place).await {
                Err(problem) if problem.is_worth_repeating() => {
                    chores.add_to_archive(attempt);
                    return Err(problem);
                }
                Err(problem) => {
                    tracing::warn!(%problem, "output is damaged");
                    result = Err(problem);
                }
                Ok(()) => {}
            }
        }
        result
    }

    /// Looks through the directory if there was more to do than was remembered. Whether that found anything.
    async fn look_for_more(&self) -> bool {
        let left_out = std::mem::take(&mut self.shared.chores.waiting().left_out);
        if !left_out {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let looked = spawn_blocking(move || {
            let wishes = shared.wishes;
            let again = shared.layout.look_again(|files| wishes.concern(files));
            shared.remember_candidates();
            again
        });
        matches!(looked.await, Ok(Ok(())))
    }

    async fn compress(&self, attempt: AttemptId) -> Result<(), SettleError> {
        let failed = |problem: String| SettleError::Storage { attempt, problem };
        let log = match self.known(attempt).await {
            Ok(log) => log,
            Err(LogReadError::Damaged { problem, .. }) => {
                return Err(SettleError::Damaged { attempt, problem });
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let removals = log.removals();
        let wishes = &self.shared.wishes;
        let Some(compression) = Compression::of(&self.shared.layout, &log)
            .filter(|found| found.held() > 0 && wishes.are_for_bytes(found.bytes()))
        else {
            return Ok(());
        };
        let file = match compression.run_aside().await {
            Ok(file) => file,
            // Whatever was found: a log that is gone is no trouble.
            Err(_) if log.removals() != removals => return Ok(()),
            Err(CompressError::Damaged(problem)) => {
                return Err(SettleError::Damaged { attempt, problem });
            }
            Err(CompressError::Later(problem)) => return Err(failed(problem)),
        };
        let (bytes, held) = (file.bytes, file.index.held);
        self.in_turn_at_disk(attempt, move |shared, log| {
            publish(&shared.layout, log, file, removals)
        })
        .await
        .map_err(failed)?;
        tracing::debug!(%attempt, held, bytes, "output compressed");
        Ok(())
    }

    /// Removes from the archive what is to go, and puts there what is to stay.
    async fn archive(&self, attempt: AttemptId, place: &Place) -> Result<(), SettleError> {
        let refused = |source| SettleError::Archive { attempt, source };
        let failed = |problem: String| SettleError::Storage { attempt, problem };
        self.remove_from_archive(attempt, place).await?;
        let log = self
            .known(attempt)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let Kept::Sealed(file) = log.kept() else {
            return Ok(());
        };
        let path = self.shared.layout.file(attempt, Kind::Sealed);
        let summed = {
            let (path, file) = (path.clone(), Arc::clone(&file));
            spawn_blocking(move || checked_sum(&path, &file)).await
        };
        let sum = match summed {
            Ok(Ok(sum)) => sum,
            Ok(Err(_)) if !log.kept().is(&Kept::Sealed(Arc::clone(&file))) => return Ok(()),
            Ok(Err(CompressError::Damaged(problem))) => {
                return Err(SettleError::Damaged { attempt, problem });
            }
            Ok(Err(CompressError::Later(problem))) => return Err(failed(problem)),
            Err(_) => return Err(failed("the runtime is shutting down".to_owned())),
        };
        let pointer = Pointer::new(attempt, &file.index, file.bytes, sum);
        if self.shared.layout.usage().archived == 0 {
            place.begin().await.map_err(refused)?;
        }
        let put = place.put(&pointer.name, &path, file.bytes, sum).await;
        if !put.map_err(refused)? {
            let problem = format!("{} reads back with another digest", pointer.name);
            return Err(refused(ArchiveError::Away { problem }));
        }
        self.in_turn_at_disk(attempt, move |shared, log| {
            replace_by_pointer(shared, log, &file, pointer)
        })
        .await
        .map_err(failed)?;
        tracing::debug!(%attempt, "output archived");
        Ok(())
    }

    async fn remove_from_archive(
        &self,
        attempt: AttemptId,
        place: &Place,
    ) -> Result<(), SettleError> {
        let failed = |problem: String| SettleError::Storage { attempt, problem };
        let found = self
            .in_turn_at_disk(attempt, |shared, log| {
                let files = shared.layout.files_of(log.attempt())?;
                let Some((bytes, _)) = files.removing else {
                    return Ok(None);
                };
                let path = shared.layout.file(log.attempt(), Kind::Removing { bytes });
                match Pointer::load(&path, log.attempt()) {
                    Ok(pointer) => Ok(Some((Some(pointer), files))),
                    // Nobody knows any more what it was.
                    Err(PointerError::Damaged(_)) => Ok(Some((None, files))),
                    Err(PointerError::Io(error)) => Err(error),
                }
            })
            .await
            .map_err(failed)?;
        let Some((pointer, files)) = found else {
            return Ok(());
        };
        if let Some(pointer) = pointer {
            let removed = place.remove(&pointer.name).await;
            removed.map_err(|source| SettleError::Archive { attempt, source })?;
        }
        self.in_turn_at_disk(attempt, move |shared, log| {
            let Some((bytes, len)) = files.removing else {
                return Ok(());
            };
            std::fs::remove_file(shared.layout.file(log.attempt(), Kind::Removing { bytes }))?;
            shared.layout.count(0, -signed(len));
            shared.layout.count_archived(-signed(bytes));
            Ok(())
        })
        .await
        .map_err(failed)
    }

    async fn in_turn_at_disk<T, F>(&self, attempt: AttemptId, work: F) -> Result<T, String>
    where
        T: Send + 'static,
        F: FnOnce(&Shared, &Arc<Log>) -> io::Result<T> + Send + 'static,
    {
        let (log, turn) = self.in_turn(attempt).await;
        self.at_disk(log, move |shared, log| {
            let _turn = turn;
            work(shared, log)
        })
        .await?
        .map_err(|error| error.to_string())
    }
}

/// Says durably where the log is, then removes it here; unless it was removed or replaced meanwhile. In turn.
fn replace_by_pointer(
    shared: &Shared,
    log: &Log,
    file: &Arc<SealedFile>,
    pointer: Pointer,
) -> io::Result<()> {
    let (layout, attempt) = (&shared.layout, log.attempt());
    if !log.kept().is(&Kept::Sealed(Arc::clone(file))) {
        return Ok(());
    }
    let bytes = pointer.bytes;
    let partial = layout.file(attempt, Kind::ArchivedPartial { bytes });
    let text = pointer.to_text()?;
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let mut to = owner_only(options).open(&partial)?;
    io::Write::write_all(&mut to, text.as_bytes())?;
    to.sync_all()?;
    std::fs::rename(partial, layout.file(attempt, Kind::Archived { bytes }))?;
    layout.sync_names(attempt)?;
    layout.count(0, signed(text.len() as u64));
    layout.count_archived(signed(bytes));
    log.move_to(Kept::Archived(Arc::new(ArchivedFile {
        pointer,
        index: std::sync::OnceLock::new(),
    })));
    std::fs::remove_file(layout.file(attempt, Kind::Sealed))?;
    layout.count(0, -signed(file.bytes));
    Ok(())
}

/// In which form logs are to be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// From how many bytes of segments on a log is compressed. `None`: never.
    pub(super) compress_from: Option<u64>,
    /// Whether there is an archive.
    pub(super) archive: bool,
}

impl Wishes {
    /// Whether segments of this length are to be compressed. What goes to the archive goes there compressed.
    pub(super) fn are_for_bytes(self, bytes: u64) -> bool {
        self.archive || self.compress_from.is_some_and(|from| bytes >= from)
    }

    /// Whether files may have to be brought into another form, if their log is over.
    pub(super) fn concern(self, files: &Files) -> bool {
        let here = files.sealed.is_some() && files.archived.is_none();
        let segments = !files.segments.is_empty();
        let to_archive = here || files.removing.is_some();
        let leftovers = (files.sealed.is_some() || files.archived.is_some()) && segments
            || files.archived.is_some() && files.sealed.is_some();
        self.archive && to_archive
            || leftovers
            || segments && self.are_for_bytes(files.segment_bytes())
    }
}
