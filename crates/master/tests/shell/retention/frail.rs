//! A log store in memory that fails, or waits, on order.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jobyard_core::{
    AppendError, Appended, AttemptId, Epoch, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    LogUsage,
};
use jobyard_store::MemoryLogs;
use tokio::sync::watch;

/// Keeps logs in memory.
#[derive(Debug)]
pub(crate) struct Frail {
    inner: MemoryLogs,
    /// No log is sealed while this is so.
    closed: watch::Sender<bool>,
    /// How many of the next seals of a log fail.
    seals: Mutex<HashMap<AttemptId, u32>>,
    /// How many of the next removals of a log fail.
    removals: Mutex<HashMap<AttemptId, u32>>,
}

impl Frail {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryLogs::new(),
            closed: watch::Sender::new(false),
            seals: Mutex::default(),
            removals: Mutex::default(),
        }
    }

    /// From now on seals wait, or go on.
    pub(crate) fn hold_seals(&self, held: bool) {
        self.closed.send_replace(held);
    }

    /// So many seals of this log fail.
    pub(crate) fn fail_seals(&self, attempt: AttemptId, times: u32) {
        let mut seals = self.seals.lock().expect("no panic");
        seals.insert(attempt, times);
    }

    /// So many removals of this log fail.
    pub(crate) fn fail_removals(&self, attempt: AttemptId, times: u32) {
        let mut removals = self.removals.lock().expect("no panic");
        removals.insert(attempt, times);
    }
}

fn fails(orders: &Mutex<HashMap<AttemptId, u32>>, attempt: AttemptId) -> Result<(), String> {
    let mut orders = orders.lock().expect("no panic");
    match orders.get_mut(&attempt) {
        Some(times) if *times > 0 => {
            *times -= 1;
            Err("input/output error".to_owned())
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl LogStore for Frail {
    async fn append(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        chunks: Vec<LogChunk>,
    ) -> Result<Appended, AppendError> {
        self.inner.append(epoch, attempt, chunks).await
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogChunk>, LogReadError> {
        self.inner.read(attempt, from, limit).await
    }

    async fn watch(&self, attempt: AttemptId, from: u64) -> Result<LogStatus, LogReadError> {
        self.inner.watch(attempt, from).await
    }

    async fn status(&self, attempt: AttemptId) -> Result<LogStatus, LogReadError> {
        self.inner.status(attempt).await
    }

    async fn seal(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        end: LogEnd,
    ) -> Result<LogStatus, AppendError> {
        let mut closed = self.closed.subscribe();
        let open = closed.wait_for(|closed| !closed).await.map(|_| ());
        open.expect("the sender lives as long as this");
        fails(&self.seals, attempt).map_err(|problem| AppendError::Storage { problem })?;
        self.inner.seal(epoch, attempt, end).await
    }

    async fn usage(&self) -> Result<LogUsage, LogReadError> {
        self.inner.usage().await
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), LogReadError> {
        fails(&self.removals, attempt).map_err(|problem| LogReadError::Storage { problem })?;
        self.inner.remove(attempt).await
    }
}
