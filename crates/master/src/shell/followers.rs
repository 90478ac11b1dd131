//! Readers of output: from any byte, live and after the end, woken by events.

use std::sync::Arc;

use futures_util::stream;
use jobyard_core::{
    AttemptId, AttemptNumber, ControlError, LogItem, LogQuery, LogState, LogStatus, LogStream,
};
use tokio::sync::mpsc;

use super::hub::Watch;
use super::requests::stopped;
use super::shared::Shared;
use crate::records::JobRecord;

/// How many items wait for a reader. One that reads slower waits for nobody but itself: the log is on disk.
const READ_AHEAD: usize = 16;

/// How many bytes are read at once.
const READ_BYTES: usize = 256 * 1024;

/// Starts to read. The reading ends when the stream is dropped.
pub(super) fn follow(
    shared: &Arc<Shared>,
    query: LogQuery,
    record: &JobRecord,
) -> Result<LogStream, ControlError> {
    if let Some(number) = query.attempt {
        let known = record
            .attempts
            .iter()
            .any(|attempt| attempt.id.number == number);
        if !known && !query.follow {
            let id = AttemptId::new(query.job, number).to_string();
            return Err(ControlError::NotFound {
                what: "attempt",
                id,
            });
        }
    }
    let (items, receiver) = mpsc::channel(READ_AHEAD);
    let reader = Reader {
        watch: shared.hub.watch(query.job),
        shared: Arc::clone(shared),
        query,
        items: items.clone(),
    };
    shared.spawn(async move {
        // The reader may wait for a job for ever; its end must not.
        tokio::select! {
            result = reader.run() => {
                if let Err(Stop::Failed(problem)) = result {
                    let _ = items.send(Err(problem)).await;
                }
            }
            () = items.closed() => {}
        }
    });
    Ok(Box::pin(stream::unfold(
        receiver,
        |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) },
    )))
}

/// Why a reader stops early.
enum Stop {
    /// Nobody reads any more.
    Left,
    /// It cannot go on.
    Failed(ControlError),
}

impl From<ControlError> for Stop {
    fn from(problem: ControlError) -> Self {
        Self::Failed(problem)
    }
}

struct Reader {
    shared: Arc<Shared>,
    query: LogQuery,
    watch: Watch,
    items: mpsc::Sender<Result<LogItem, ControlError>>,
}

impl Reader {
    async fn run(mut self) -> Result<(), Stop> {
        let mut shown: Option<AttemptNumber> = None;
        loop {
            let record = self.shared.read_job(self.query.job).await?;
            if let Some(attempt) = self.next_attempt(&record, shown) {
                let from = if shown.is_none() {
                    self.start(attempt).await?
                } else {
                    0
                };
                self.show(attempt, from).await?;
                shown = Some(attempt.number);
                continue;
            }
            let chosen_is_shown = self.query.attempt.is_some() && shown.is_some();
            if record.state.is_finished() || !self.query.follow || chosen_is_shown {
                return self
                    .say(LogItem::End {
                        outcome: record.outcome,
                    })
                    .await;
            }
            self.changed().await?;
        }
    }

    /// The attempt to show next. Without a choice that is the newest, and then each that follows.
    fn next_attempt(&self, record: &JobRecord, shown: Option<AttemptNumber>) -> Option<AttemptId> {
        let numbers = || record.attempts.iter().map(|attempt| attempt.id);
        match (self.query.attempt, shown) {
            (Some(_), Some(_)) => None,
            (Some(chosen), None) => numbers().find(|attempt| attempt.number == chosen),
            (None, None) => numbers().next_back(),
            (None, Some(shown)) => numbers().find(|attempt| attempt.number > shown),
        }
    }

    /// The first byte to show.
    async fn start(&self, attempt: AttemptId) -> Result<u64, Stop> {
        let Some(tail) = self.query.tail else {
            return Ok(self.query.from);
        };
        let status = self
            .shared
            .config
            .logs
            .status(attempt)
            .await
            .map_err(unreadable)?;
        Ok(status.end.saturating_sub(tail))
    }

    /// Shows one attempt up to its end, or to what is there.
    async fn show(&mut self, attempt: AttemptId, from: u64) -> Result<(), Stop> {
        let mut at = from;
        loop {
            let logs = Arc::clone(&self.shared.config.logs);
            let chunks = logs
                .read(attempt, at, READ_BYTES)
                .await
                .map_err(unreadable)?;
            if !chunks.is_empty() {
                for chunk in chunks {
                    at = chunk.end();
                    self.say(LogItem::Chunk { attempt, chunk }).await?;
                }
                continue;
            }
            let status = logs.status(attempt).await.map_err(unreadable)?;
            if status.end > at {
                continue;
            }
            let record = self.shared.read_job(attempt.job).await?;
            if let Some(log) = log_end(&record, attempt, status) {
                return self.say(LogItem::AttemptEnd { attempt, log }).await;
            }
            if !self.query.follow {
                return Ok(());
            }
            tokio::select! {
                result = logs.watch(attempt, at) => drop(result.map_err(unreadable)?),
                result = self.changed() => result?,
            }
        }
    }

    async fn changed(&mut self) -> Result<(), Stop> {
        tokio::select! {
            () = self.watch.changed() => Ok(()),
            () = self.shared.stopping.cancelled() => Err(Stop::Failed(stopped())),
        }
    }

    async fn say(&self, item: LogItem) -> Result<(), Stop> {
        self.items.send(Ok(item)).await.map_err(|_| Stop::Left)
    }
}

/// What is held of an attempt's output, once it is certain that no more will come. An attempt that printed nothing has
/// no log to seal: its record says so.
fn log_end(record: &JobRecord, attempt: AttemptId, status: LogStatus) -> Option<LogStatus> {
    if status.is_sealed() {
        return Some(status);
    }
    let known = record.attempts.iter().find(|known| known.id == attempt)?;
    if known.outcome.is_none() || known.log == LogState::Uploading {
        return None;
    }
    let mut end = LogStatus::open(status.end);
    end.state = known.log;
    end.dropped = known.log_dropped;
    Some(end)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` calls"
)]
fn unreadable(problem: jobyard_core::LogReadError) -> Stop {
    Stop::Failed(ControlError::Internal {
        problem: problem.to_string(),
    })
}
