//! A store that fails on order.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Batch, CommitError, Epoch, LeadError, Leadership, LoadError, Record, RecordKind, RecordPage,
    RecordQuery, Room, Snapshot, Store,
};
use jobyard_store::MemoryStore;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::house::GUARD;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    Good,
    /// There is little room, and all commits succeed.
    Low,
    /// No commit succeeds for want of room.
    Full,
    /// The disk has failed.
    Broken,
}

/// Keeps records in memory, and does what its mood says.
#[derive(Debug)]
pub(crate) struct Moody {
    inner: MemoryStore,
    mood: AtomicU8,
    terms: AtomicU64,
    refused: watch::Sender<u64>,
}

impl Moody {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            mood: AtomicU8::new(Mood::Good as u8),
            terms: AtomicU64::new(0),
            refused: watch::Sender::new(0),
        }
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Release);
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::Acquire) == mood as u8
    }

    /// How many terms were begun.
    pub(crate) fn terms(&self) -> u64 {
        self.terms.load(Ordering::Acquire)
    }

    /// Waits until so many commits have found no room.
    pub(crate) async fn has_refused(&self, commits: u64) {
        let mut refused = self.refused.subscribe();
        let refused = timeout(GUARD, refused.wait_for(|refused| *refused >= commits)).await;
        refused.expect("in time").expect("the store is there");
    }
}

#[async_trait]
impl Store for Moody {
    async fn lead(
        &self,
        holder: &str,
        ttl: Duration,
        at_least: Epoch,
    ) -> Result<Leadership, LeadError> {
        self.terms.fetch_add(1, Ordering::AcqRel);
        self.inner.lead(holder, ttl, at_least).await
    }

    async fn renew(&self, epoch: Epoch, ttl: Duration) -> Result<(), LeadError> {
        self.inner.renew(epoch, ttl).await
    }

    async fn resign(&self, epoch: Epoch) -> Result<(), LeadError> {
        self.inner.resign(epoch).await
    }

    async fn load(
        &self,
        epoch: Epoch,
        kinds: &[RecordKind],
    ) -> Result<Box<dyn Snapshot>, LoadError> {
        self.inner.load(epoch, kinds).await
    }

    async fn commit(&self, epoch: Epoch, batch: Batch) -> Result<(), CommitError> {
        if self.is(Mood::Full) {
            self.refused.send_modify(|refused| *refused += 1);
            let problem = "no space left on device".to_owned();
            return Err(CommitError::Full { problem });
        }
        if self.is(Mood::Broken) {
            let problem = "input/output error".to_owned();
            return Err(CommitError::Broken { problem });
        }
        self.inner.commit(epoch, batch).await
    }

    async fn get(&self, kind: RecordKind, key: &str) -> Result<Option<Record>, LoadError> {
        self.inner.get(kind, key).await
    }

    async fn list(&self, query: RecordQuery) -> Result<RecordPage, LoadError> {
        self.inner.list(query).await
    }

    async fn prune(
        &self,
        epoch: Epoch,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<usize, CommitError> {
        self.inner.prune(epoch, kind, before, limit).await
    }

    async fn room(&self) -> Room {
        if self.is(Mood::Good) {
            return Room::Enough;
        }
        Room::Low {
            free_bytes: 3 << 20,
            watermark_bytes: 64 << 20,
        }
    }
}
