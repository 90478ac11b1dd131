//! A budget for output: what is beyond it waits at the workers.

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{
    AppendError, Appended, AttemptId, Epoch, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    LogUsage,
};
use tokio::sync::watch;

use super::upkeep::wanted_from;

/// Tells who removes output that its room is needed.
#[derive(Debug, Default)]
pub(super) struct LogRoom {
    wanted: watch::Sender<bool>,
}

impl LogRoom {
    /// Returns when room is short.
    pub(super) async fn is_wanted(&self) {
        let mut wanted = self.wanted.subscribe();
        // The sender lives as long as this.
        let _ = wanted.wait_for(|wanted| *wanted).await;
    }

    /// There is enough, for now.
    pub(super) fn settled(&self) {
        self.wanted.send_replace(false);
    }

    /// Room is short.
    pub(super) fn want(&self) {
        self.wanted
            .send_if_modified(|wanted| !std::mem::replace(wanted, true));
    }
}

/// A log store that takes nothing more when its budget is used up: an append is then refused as by a full disk, the
/// worker keeps what it has and tries again. Appends that run at the same time may exceed the budget by what they bring.
#[derive(Debug)]
pub(super) struct BudgetedLogs {
    logs: Arc<dyn LogStore>,
    budget: u64,
    room: Arc<LogRoom>,
}

impl BudgetedLogs {
    /// With so many bytes. Asks for the usage at each append: a store should know it without looking.
    pub(super) fn new(logs: Arc<dyn LogStore>, budget: u64, room: Arc<LogRoom>) -> Self {
        Self { logs, budget, room }
    }

    /// How much is used; asks for room before there is none.
    async fn used(&self) -> u64 {
        // What cannot be counted is not refused: the append itself will say what is wrong.
        let used = self.logs.usage().await.map_or(0, |usage| usage.bytes);
        if used >= wanted_from(self.budget) {
            self.room.want();
        }
        used
    }
}

#[async_trait]
impl LogStore for BudgetedLogs {
    async fn append(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        chunks: Vec<LogChunk>,
    ) -> Result<Appended, AppendError> {
        if !chunks.is_empty() && self.used().await >= self.budget {
            return Err(AppendError::Storage {
                problem: "the budget for output is used up (--log-budget of the master)".to_owned(),
            });
        }
        let appended = self.logs.append(epoch, attempt, chunks).await;
        self.used().await;
        appended
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        self.logs.read(attempt, from, limit).await
    }

    async fn watch(&self, attempt: AttemptId, from: u64) -> Result<LogStatus, LogReadError> {
        self.logs.watch(attempt, from).await
    }

    async fn status(&self, attempt: AttemptId) -> Result<LogStatus, LogReadError> {
        self.logs.status(attempt).await
    }

    async fn seal(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        end: LogEnd,
    ) -> Result<LogStatus, AppendError> {
        self.logs.seal(epoch, attempt, end).await
    }

    async fn usage(&self) -> Result<LogUsage, LogReadError> {
        let mut usage = self.logs.usage().await?;
        usage.budget = Some(self.budget);
        Ok(usage)
    }

    async fn usage_of(&self, attempt: AttemptId) -> Result<LogUsage, LogReadError> {
        self.logs.usage_of(attempt).await
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), LogReadError> {
        self.logs.remove(attempt).await
    }

    async fn maintain(&self) {
        self.logs.maintain().await;
    }
}
