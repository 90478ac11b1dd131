//! A log store that does on order what a disk or an archive may do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jobyard_core::{
    AppendError, Appended, AttemptId, Epoch, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    LogUsage,
};

/// Keeps logs in another store.
#[derive(Debug)]
pub(crate) struct Shaky {
    inner: Arc<dyn LogStore>,
    away: AtomicBool,
    late: Mutex<Option<LogStatus>>,
}

impl Shaky {
    pub(crate) fn new(inner: Arc<dyn LogStore>) -> Self {
        Self {
            inner,
            away: AtomicBool::new(false),
            late: Mutex::new(None),
        }
    }

    /// From now on it cannot be read, or can be again.
    pub(crate) fn be_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
    }

    /// The next look at a log gets this answer, as if everything after it had happened between two looks.
    pub(crate) fn answer_once(&self, status: LogStatus) {
        *self.late.lock().expect("no panic") = Some(status);
    }

    /// Whether that look was taken.
    pub(crate) fn has_answered(&self) -> bool {
        self.late.lock().expect("no panic").is_none()
    }

    fn is_there(&self) -> Result<(), LogReadError> {
        if self.away.load(Ordering::Acquire) {
            let problem = "the archive of logs is not at hand".to_owned();
            return Err(LogReadError::Storage { problem });
        }
        Ok(())
    }
}

#[async_trait]
impl LogStore for Shaky {
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
        self.is_there()?;
        self.inner.read(attempt, from, limit).await
    }

    async fn watch(&self, attempt: AttemptId, from: u64) -> Result<LogStatus, LogReadError> {
        self.inner.watch(attempt, from).await
    }

    async fn status(&self, attempt: AttemptId) -> Result<LogStatus, LogReadError> {
        if let Some(status) = self.late.lock().expect("no panic").take() {
            return Ok(status);
        }
        self.inner.status(attempt).await
    }

    async fn seal(
        &self,
        epoch: Epoch,
        attempt: AttemptId,
        end: LogEnd,
    ) -> Result<LogStatus, AppendError> {
        self.inner.seal(epoch, attempt, end).await
    }

    async fn usage(&self) -> Result<LogUsage, LogReadError> {
        self.inner.usage().await
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), LogReadError> {
        self.inner.remove(attempt).await
    }
}
