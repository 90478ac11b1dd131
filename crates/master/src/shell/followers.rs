//! Readers of output: from any byte, live and after the end, woken by events.
//!
//! Each reader has a task, which takes the log block by block and hands the blocks over one after another. A reader
//! that stands still holds up its own task and nobody else: it keeps at most three blocks in memory (one in the hands
//! of whoever polls, one that waits, one in the hands of the task), which it mostly shares with others, see
//! [`blocks`](super::blocks); the rest waits on disk. With the stream ends the task.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use jobyard_core::{
    AttemptId, AttemptNumber, ControlError, LogChunk, LogItem, LogQuery, LogReadError, LogState,
    LogStatus, LogStream,
};
use tokio::sync::mpsc;

use super::hub::Watch;
use super::last_lines::begin_of_last_lines;
use super::requests::stopped;
use super::shared::Shared;
use crate::records::JobRecord;

/// How many blocks wait for a reader: the next one is read while the network takes this one.
const READ_AHEAD: usize = 1;

/// What is handed over at once.
type Items = Vec<LogItem>;

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
        let end = tokio::select! {
            result = reader.run() => result,
            () = items.closed() => Err(Stop::Left),
        };
        if let Err(Stop::Failed(problem)) = end {
            // A reader that stands still hears it when it reads on: that holds up no shutdown.
            tokio::spawn(async move { drop(items.send(Err(problem)).await) });
        }
    });
    Ok(one_by_one(receiver))
}

/// The items of what was handed over.
fn one_by_one(receiver: mpsc::Receiver<Result<Items, ControlError>>) -> LogStream {
    let received = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|items| (items, receiver))
    });
    let items = received.flat_map(|items| {
        let (items, problem) = match items {
            Ok(items) => (items, None),
            Err(problem) => (Vec::new(), Some(Err(problem))),
        };
        stream::iter(items.into_iter().map(Ok).chain(problem))
    });
    items.boxed()
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
    items: mpsc::Sender<Result<Items, ControlError>>,
}

impl Reader {
    async fn run(mut self) -> Result<(), Stop> {
        let mut begun: Option<(AttemptNumber, u64)> = None;
        let mut shown: Option<AttemptNumber> = None;
        loop {
            let record = self.shared.read_job(self.query.job).await?;
            if let Some(attempt) = self.next_attempt(&record, begun, shown) {
                let from = match (shown, begun) {
                    (Some(_), _) => 0,
                    (None, Some((_, from))) => from,
                    (None, None) => {
                        let from = self.start(attempt).await?;
                        begun = Some(self.begin(attempt.number, from).await?);
                        from
                    }
                };
                self.show(attempt, from).await?;
                shown = Some(attempt.number);
                continue;
            }
            let chosen_is_shown = self.query.attempt.is_some() && shown.is_some();
            if record.state.is_finished() || !self.query.follow || chosen_is_shown {
                let outcome = record.outcome;
                return self.say(vec![LogItem::End { outcome }]).await;
            }
            if begun.is_none() {
                // Nothing is there of which a tail could be shown: all that comes, comes after it.
                let is_tail = self.query.tail.is_some() || self.query.tail_lines.is_some();
                let from = if is_tail { 0 } else { self.query.from };
                let number = self.query.attempt.unwrap_or(AttemptNumber::FIRST);
                begun = Some(self.begin(number, from).await?);
            }
            self.changed().await?;
        }
    }

    /// Says where the reading begins, so that it can be asked for again.
    async fn begin(&self, number: AttemptNumber, from: u64) -> Result<(AttemptNumber, u64), Stop> {
        let attempt = AttemptId::new(self.query.job, number);
        self.say(vec![LogItem::Begin { attempt, from }]).await?;
        Ok((number, from))
    }

    /// The attempt to show next. Without a choice that is the newest, or the first to come, and then each that follows.
    fn next_attempt(
        &self,
        record: &JobRecord,
        begun: Option<(AttemptNumber, u64)>,
        shown: Option<AttemptNumber>,
    ) -> Option<AttemptId> {
        let mut numbers = record.attempts.iter().map(|attempt| attempt.id);
        match (self.query.attempt, shown, begun) {
            (Some(_), Some(_), _) => None,
            (Some(chosen), None, _) => numbers.find(|attempt| attempt.number == chosen),
            (None, Some(shown), _) => numbers.find(|attempt| attempt.number > shown),
            (None, None, Some((first, _))) => numbers.find(|attempt| attempt.number >= first),
            (None, None, None) => numbers.next_back(),
        }
    }

    /// The first byte to show.
    async fn start(&self, attempt: AttemptId) -> Result<u64, Stop> {
        let logs = &*self.shared.config.logs;
        if self.query.tail.is_none() && self.query.tail_lines.is_none() {
            return Ok(self.query.from);
        }
        let end = logs.status(attempt).await.map_err(unreadable(attempt))?.end;
        match (self.query.tail_lines, self.query.tail) {
            (Some(lines), _) => begin_of_last_lines(logs, attempt, end, lines, self.query.stream)
                .await
                .map_err(unreadable(attempt)),
            (None, tail) => Ok(end.saturating_sub(tail.unwrap_or_default())),
        }
    }

    /// Shows one attempt up to its end, or to what is there.
    async fn show(&mut self, attempt: AttemptId, from: u64) -> Result<(), Stop> {
        let logs = Arc::clone(&self.shared.config.logs);
        let visit = self.shared.blocks.visit(attempt);
        let mut at = from;
        // The job has to be looked at once, and again when it has changed: not for each byte that arrives.
        let mut changed = true;
        loop {
            let status = logs.status(attempt).await.map_err(unreadable(attempt))?;
            if status.end > at {
                let block = visit.read(&*logs, at).await.map_err(unreadable(attempt))?;
                at = block.last().map_or(at, LogChunk::end);
                self.say(self.chosen(attempt, &block)).await?;
                continue;
            }
            if status.is_sealed() {
                let log = status;
                return self.say(vec![LogItem::AttemptEnd { attempt, log }]).await;
            }
            if changed {
                let record = self.shared.read_job(attempt.job).await?;
                // What came between the look at the log and the one at the job is shown first.
                if logs.status(attempt).await.map_err(unreadable(attempt))? != status {
                    continue;
                }
                if let Some(log) = log_end(&record, attempt, status) {
                    return self.say(vec![LogItem::AttemptEnd { attempt, log }]).await;
                }
                changed = false;
            }
            if !self.query.follow {
                return Ok(());
            }
            tokio::select! {
                result = logs.watch(attempt, at) => drop(result.map_err(unreadable(attempt))?),
                result = self.changed() => {
                    result?;
                    changed = true;
                }
            }
        }
    }

    /// What was asked for of a block.
    fn chosen(&self, attempt: AttemptId, block: &[LogChunk]) -> Items {
        let stream = self.query.stream;
        let chunks = block
            .iter()
            .filter(|chunk| stream.is_none_or(|stream| stream == chunk.stream))
            .cloned();
        chunks
            .map(|chunk| LogItem::Chunk { attempt, chunk })
            .collect()
    }

    async fn changed(&mut self) -> Result<(), Stop> {
        tokio::select! {
            () = self.watch.changed() => Ok(()),
            () = self.shared.stopping.cancelled() => Err(Stop::Failed(stopped())),
        }
    }

    async fn say(&self, items: Items) -> Result<(), Stop> {
        if items.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            sent = self.items.send(Ok(items)) => sent.map_err(|_| Stop::Left),
            () = self.shared.stopping.cancelled() => Err(Stop::Failed(stopped())),
        }
    }
}

/// What is held of an attempt's output, once it is certain that no more will come although its log is not sealed. An
/// attempt that printed nothing has no log to seal: its record says so.
fn log_end(record: &JobRecord, attempt: AttemptId, status: LogStatus) -> Option<LogStatus> {
    let known = record.attempts.iter().find(|known| known.id == attempt)?;
    if known.outcome.is_none() || known.log == LogState::Uploading {
        return None;
    }
    let mut end = LogStatus::open(status.end);
    end.state = known.log;
    end.dropped = known.log_dropped;
    Some(end)
}

/// What a log store that failed means for the reader. What is damaged stays so; what does not answer may do so later.
fn unreadable(attempt: AttemptId) -> impl Fn(LogReadError) -> Stop {
    move |problem| {
        Stop::Failed(match problem {
            LogReadError::Storage { problem } => ControlError::OutputAway { attempt, problem },
            problem => ControlError::Internal {
                problem: problem.to_string(),
            },
        })
    }
}
