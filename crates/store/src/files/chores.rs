//! What the store does beside everything else: compressing logs that are over, and moving them to the archive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{AttemptId, LogReadError};
use tokio::sync::Mutex as Turn;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::compress::{CompressError, Compression, publish};
use super::line::Line;
use super::log::Log;
use super::names::Files;
use super::store::{FileLogs, Shared};
use crate::archive::ArchiveError;

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

/// The two kinds of work. Neither waits for the other: an archive that hangs does not keep logs from being compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Compress,
    Archive,
}

/// Which logs to look at.
#[derive(Debug, Default)]
pub(super) struct Chores {
    compress: Line,
    archive: Line,
    /// The thread that compresses has this, also while it ends because nobody waits for it any more.
    sealing: Arc<Turn<()>>,
}

impl Chores {
    /// A log is over.
    pub(super) fn add(&self, attempt: AttemptId) {
        self.compress.add(attempt);
    }

    /// There is more than was remembered.
    pub(super) fn leave_out(&self) {
        self.compress.set_left_out(true);
        self.archive.set_left_out(true);
    }

    const fn line(&self, work: Work) -> &Line {
        match work {
            Work::Compress => &self.compress,
            Work::Archive => &self.archive,
        }
    }
}

impl FileLogs {
    /// Brings every log that is over into the form in which it is to stay, one after another, and returns when that is
    /// done. [`maintain`](jobyard_core::LogStore::maintain) does the same for as long as it is polled, and tries again
    /// what failed; there, what is compressed and what is moved do not wait for each other.
    ///
    /// Dropped, it leaves the log at hand as it was, or finishes it.
    ///
    /// # Errors
    ///
    /// The last that was found, and rather one that is worth a repeat; each log is tried, but for those that wait for an
    /// archive that is away.
    pub async fn settle(&self) -> Result<(), SettleError> {
        let compressed = self.pass(Work::Compress, true).await;
        let archived = self.pass(Work::Archive, true).await;
        of_both(compressed, archived)
    }

    pub(super) async fn keep_settling(&self) {
        tokio::join!(self.keep_at(Work::Compress), self.keep_at(Work::Archive));
    }

    async fn keep_at(&self, work: Work) {
        let line = self.shared.chores.line(work);
        let mut again: Option<(Instant, Duration)> = None;
        loop {
            let is_due = again.is_none_or(|(at, _)| at <= Instant::now());
            let done = self.pass(work, is_due).await;
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
                () = line.woken() => {}
                () = retry => {}
            }
        }
    }

    /// Does what waits. What has failed before is tried again only if that is due, and nothing is asked of an archive
    /// before.
    async fn pass(&self, work: Work, is_due: bool) -> Result<(), SettleError> {
        if work == Work::Archive && !(is_due && self.shared.place.is_some()) {
            return Ok(());
        }
        let line = self.shared.chores.line(work);
        let _turn = line.turn().await;
        if is_due {
            line.resume();
        }
        let mut result = Ok(());
        let mut is_worth_a_look = true;
        loop {
            while let Some(next) = line.next() {
                match self.work_at(work, next.attempt()).await {
                    Ok(is_changed) => {
                        is_worth_a_look |= is_changed;
                        next.done();
                    }
                    Err(problem) => {
                        if problem.is_worth_repeating() {
                            next.put_off();
                        } else {
                            tracing::warn!(%problem, "output is damaged");
                            next.done();
                        }
                        let is_away = matches!(problem, SettleError::Archive { .. });
                        result = of_both(result, Err(problem));
                        if is_away {
                            return result;
                        }
                    }
                }
            }
            // If nothing came of the last look, another would find the same.
            if !is_worth_a_look || !self.look_for_more(work).await {
                return result;
            }
            is_worth_a_look = false;
        }
    }

    /// Whether anything has changed.
    async fn work_at(&self, work: Work, attempt: AttemptId) -> Result<bool, SettleError> {
        match (work, &self.shared.place) {
            (Work::Compress, place) => {
                let is_changed = self.compress(attempt).await?;
                if place.is_some() {
                    self.shared.chores.archive.add(attempt);
                }
                Ok(is_changed)
            }
            (Work::Archive, Some(place)) => self.archive(attempt, place).await,
            (Work::Archive, None) => Ok(false),
        }
    }

    /// Looks through the directory if there was more to do than was remembered. Whether it did.
    async fn look_for_more(&self, work: Work) -> bool {
        let line = self.shared.chores.line(work);
        if !line.has_left_out() {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let looked = spawn_blocking(move || {
            let wishes = shared.wishes;
            shared
                .layout
                .look_again(|files| wishes.call_for(work, files))
        });
        let Ok(Ok((found, left_out))) = looked.await else {
            return false;
        };
        line.set_left_out(left_out);
        for attempt in found {
            line.add(attempt);
        }
        true
    }

    /// Whether anything has changed.
    async fn compress(&self, attempt: AttemptId) -> Result<bool, SettleError> {
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
            return Ok(false);
        };
        let sealing = Arc::clone(&self.shared.chores.sealing);
        let sealing = sealing.lock_owned().await;
        let file = match compression.run_aside(sealing).await {
            Ok(file) => file,
            // Whatever was found: a log that is gone is no trouble.
            Err(_) if log.removals() != removals => return Ok(false),
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
        Ok(true)
    }

    pub(super) async fn in_turn_at_disk<T, F>(
        &self,
        attempt: AttemptId,
        work: F,
    ) -> Result<T, String>
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

/// What two things came to: an error that is worth a repeat rather than one that is not, then the later one.
fn of_both(
    earlier: Result<(), SettleError>,
    later: Result<(), SettleError>,
) -> Result<(), SettleError> {
    match (&earlier, &later) {
        (Err(_), Ok(())) => earlier,
        (Err(one), Err(other)) if one.is_worth_repeating() && !other.is_worth_repeating() => {
            earlier
        }
        _ => later,
    }
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
        self.call_for(Work::Compress, files) || self.call_for(Work::Archive, files)
    }

    fn call_for(self, work: Work, files: &Files) -> bool {
        let segments = !files.segments.is_empty();
        match work {
            Work::Compress => {
                let leftovers = (files.sealed.is_some() || files.archived.is_some()) && segments
                    || files.archived.is_some() && files.sealed.is_some();
                leftovers || segments && self.are_for_bytes(files.segment_bytes())
            }
            Work::Archive => {
                let here = files.sealed.is_some() && files.archived.is_none();
                self.archive && (here || files.removing.is_some())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jobyard_core::{
        AttemptNumber, Epoch, JobId, LogChunk, LogEnd, LogStore, OutputStream, Timestamp,
    };

    use super::super::names::Kind;
    use super::*;

    fn attempt(number: u32) -> AttemptId {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(0xabcd));
        let number = AttemptNumber::new(number).expect("not zero");
        AttemptId::new(job, number)
    }

    async fn write(logs: &FileLogs, attempt: AttemptId) {
        let at = Timestamp::from_micros(1);
        let chunk = LogChunk::new(0, OutputStream::Stdout, at, vec![b'x'; 20_000].into());
        let appended = logs.append(Epoch(1), attempt, vec![chunk]).await;
        appended.expect("an append");
        let end = LogEnd {
            bytes: 20_000,
            dropped: 0,
        };
        let sealed = logs.seal(Epoch(1), attempt, end).await;
        sealed.expect("a seal");
    }

    #[tokio::test]
    async fn what_failed_waits_until_it_is_due_and_holds_up_nothing_new() {
        let directory = tempfile::tempdir().expect("a directory");
        let logs = FileLogs::open(directory.path()).expect("the directory is ours");
        let layout = &logs.shared.layout;
        let is_sealed = |number| layout.file(attempt(number), Kind::Sealed).exists();
        write(&logs, attempt(1)).await;
        let obstacle = layout.file(attempt(1), Kind::SealedPartial);
        fs::create_dir(&obstacle).expect("a directory");
        let failed = logs.pass(Work::Compress, true).await;
        assert!(
            matches!(failed, Err(SettleError::Storage { .. })),
            "{failed:?}"
        );
        fs::remove_dir(&obstacle).expect("it is empty");

        write(&logs, attempt(2)).await;
        assert_eq!(logs.pass(Work::Compress, false).await, Ok(()));
        assert!(is_sealed(2) && !is_sealed(1));
        assert_eq!(logs.pass(Work::Compress, true).await, Ok(()));
        assert!(is_sealed(1));
    }

    #[tokio::test]
    async fn failure_does_not_keep_from_looking_for_more() {
        let directory = tempfile::tempdir().expect("a directory");
        let logs = FileLogs::open(directory.path()).expect("the directory is ours");
        let layout = &logs.shared.layout;
        let line = &logs.shared.chores.compress;
        write(&logs, attempt(1)).await;
        line.next().expect("it waits").done();
        line.set_left_out(true);
        write(&logs, attempt(2)).await;
        let obstacle = layout.file(attempt(2), Kind::SealedPartial);
        fs::create_dir(&obstacle).expect("a directory");
        let failed = logs.pass(Work::Compress, true).await;
        assert!(
            matches!(failed, Err(SettleError::Storage { .. })),
            "{failed:?}"
        );
        assert!(layout.file(attempt(1), Kind::Sealed).exists());
        assert!(!line.has_left_out());
    }
}
