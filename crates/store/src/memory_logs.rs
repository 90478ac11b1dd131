//! The log store that forgets.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jobyard_core::{
    AppendError, Appended, AttemptId, Epoch, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    LogUsage,
};
use tokio::sync::watch;

use crate::chunks;

/// Keeps output in memory: the whole contract but for durability. For tests and for programs that may forget, and as
/// an example for whoever writes a log store. Its only bound is the memory.
#[derive(Debug, Default)]
pub struct MemoryLogs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The highest epoch that was seen.
    epoch: Epoch,
    logs: HashMap<AttemptId, Log>,
}

#[derive(Debug)]
struct Log {
    /// Without holes, from offset 0.
    chunks: Vec<LogChunk>,
    /// The end that was sealed.
    sealed: Option<LogEnd>,
    status: watch::Sender<LogStatus>,
}

impl MemoryLogs {
    /// An empty log store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fence(&mut self, epoch: Epoch) -> Result<(), AppendError> {
        if epoch < self.epoch {
            return Err(AppendError::Fenced {
                current: self.epoch,
            });
        }
        self.epoch = epoch;
        Ok(())
    }

    fn log(&mut self, attempt: AttemptId) -> &mut Log {
        self.logs.entry(attempt).or_insert_with(|| Log {
            chunks: Vec::new(),
            sealed: None,
            status: watch::Sender::new(LogStatus::open(0)),
        })
    }
}

impl Log {
    fn end(&self) -> u64 {
        self.chunks.last().map_or(0, LogChunk::end)
    }

    /// Tells followers how the log stands.
    fn publish(&self) -> LogStatus {
        let held = self.end();
        let status = match self.sealed {
            Some(end) => LogStatus::sealed(held, end),
            None => LogStatus::open(held),
        };
        self.status.send_replace(status);
        status
    }
}

#[async_trait]
impl LogStore for MemoryLogs {
    async fn append(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        chunks: Vec<LogChunk>,
    ) -> Result<Appended, AppendError> {
        let span = chunks::span(&chunks)?;
        let mut state = self.state();
        state.fence(epoch)?;
        let log = state.log(attempt);
        let held = log.end();
        let Some((begin, end)) = span else {
            return Ok(Appended::Durable { to: held });
        };
        if begin > held && log.sealed.is_none() {
            return Ok(Appended::Gap { expected: held });
        }
        let difference = |held| chunks::first_difference(held, &chunks);
        if let Some(offset) = log.chunks.iter().find_map(difference) {
            return Err(AppendError::Conflict { offset });
        }
        if end > held {
            if log.sealed.is_some() {
                return Err(AppendError::Misplaced {
                    problem: "the log is sealed",
                });
            }
            let new = chunks
                .iter()
                .filter_map(|chunk| chunks::from_offset(chunk, held));
            log.chunks.extend(new);
            log.publish();
        }
        Ok(Appended::Durable { to: log.end() })
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        let mut state = self.state();
        let log = state.log(attempt);
        let first = log.chunks.partition_point(|chunk| chunk.end() <= from);
        let mut bytes = 0;
        let found = log.chunks[first..]
            .iter()
            .filter_map(|chunk| chunks::from_offset(chunk, from))
            .take_while(|chunk| {
                let room = bytes == 0 || bytes + chunk.bytes.len() <= limit;
                bytes += chunk.bytes.len();
                room
            });
        Ok(found.collect())
    }

    async fn watch(&self, attempt: AttemptId, from: u64) -> Result<LogStatus, LogReadError> {
        let mut status = self.state().log(attempt).status.subscribe();
        let found = status
            .wait_for(|status| status.end > from || status.is_sealed())
            .await;
        match found {
            Ok(status) => Ok(*status),
            // The store keeps the sender of every log as long as it lives, and it is borrowed here.
            Err(_) => unreachable!("a log outlives its followers"),
        }
    }

    async fn status(&self, attempt: AttemptId) -> Result<LogStatus, LogReadError> {
        Ok(*self.state().log(attempt).status.borrow())
    }

    async fn seal(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        end: LogEnd,
    ) -> Result<LogStatus, AppendError> {
        let mut state = self.state();
        state.fence(epoch)?;
        let log = state.log(attempt);
        if log.sealed.is_some_and(|sealed| sealed != end) {
            return Err(AppendError::Misplaced {
                problem: "the log is sealed with another end",
            });
        }
        if end.bytes < log.end() {
            return Err(AppendError::Misplaced {
                problem: "the end lies before bytes that are held",
            });
        }
        log.sealed = Some(end);
        Ok(log.publish())
    }

    async fn usage(&self) -> Result<LogUsage, LogReadError> {
        let state = self.state();
        let ends = state.logs.values().map(Log::end).filter(|end| *end > 0);
        let (logs, bytes) = ends.fold((0, 0), |(logs, bytes), end| (logs + 1, bytes + end));
        Ok(LogUsage::new(logs, bytes))
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), LogReadError> {
        let mut state = self.state();
        let log = state.log(attempt);
        log.chunks.clear();
        log.sealed = None;
        log.publish();
        Ok(())
    }
}
