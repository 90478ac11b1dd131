//! The store that forgets.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Batch, Change, CommitError, Epoch, LeadError, Leadership, LoadError, MAX_BATCH_CHANGES,
    MAX_PAGE, Record, RecordKind, RecordPage, RecordQuery, Snapshot, Store,
};

use crate::page::cut_page;

/// How many records one portion of a load holds.
const PORTION_RECORDS: usize = 1_000;

/// Keeps records in memory: the whole contract but for durability. For tests and for programs that may forget, and as
/// an example for whoever writes a store. Its only bound is the memory; lists look at every record of their kind.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    epoch: Epoch,
    /// Whether the newest term still lasts.
    led: bool,
    /// The last batch of the term.
    batch: u64,
    records: BTreeMap<(RecordKind, String), Record>,
}

impl MemoryStore {
    /// An empty store that nobody has led.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The newest term, if `epoch` does not lead.
    fn fence(&self, epoch: Epoch) -> Result<(), Epoch> {
        if self.led && epoch == self.epoch {
            Ok(())
        } else {
            Err(self.epoch)
        }
    }

    /// The records of a kind that `wanted` lets through, oldest first.
    fn in_order(&self, kind: RecordKind, wanted: impl Fn(&Record) -> bool) -> Vec<&Record> {
        let mut records: Vec<_> = self
            .records
            .range((kind, String::new())..)
            .map(|(_, record)| record)
            .take_while(|record| record.kind == kind)
            .filter(|record| wanted(record))
            .collect();
        records.sort_by_key(|record| record.fields.order);
        records
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => {
                self.records
                    .insert((record.kind, record.key.clone()), record);
            }
            Change::Remove { kind, key } => {
                self.records.remove(&(kind, key));
            }
            _ => unreachable!("the batch was checked"),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn lead(
        &self,
        _holder: &str,
        _ttl: Duration,
        at_least: Epoch,
    ) -> Result<Leadership, LeadError> {
        let mut state = self.state();
        state.epoch = state.epoch.max(at_least).next();
        state.led = true;
        state.batch = 0;
        Ok(Leadership::new(state.epoch))
    }

    async fn renew(&self, epoch: Epoch, _ttl: Duration) -> Result<(), LeadError> {
        let fence = self.state().fence(epoch);
        fence.map_err(|current| LeadError::Fenced { current })
    }

    async fn resign(&self, epoch: Epoch) -> Result<(), LeadError> {
        let mut state = self.state();
        state
            .fence(epoch)
            .map_err(|current| LeadError::Fenced { current })?;
        state.led = false;
        Ok(())
    }

    async fn load(
        &self,
        epoch: Epoch,
        kinds: &[RecordKind],
    ) -> Result<Box<dyn Snapshot>, LoadError> {
        let state = self.state();
        state
            .fence(epoch)
            .map_err(|current| LoadError::Fenced { current })?;
        let records: Vec<Record> = kinds
            .iter()
            .flat_map(|kind| state.in_order(*kind, |record| record.fields.live))
            .cloned()
            .collect();
        Ok(Box::new(MemorySnapshot {
            records: records.into_iter(),
        }))
    }

    async fn commit(&self, epoch: Epoch, batch: Batch) -> Result<(), CommitError> {
        let mut state = self.state();
        state
            .fence(epoch)
            .map_err(|current| CommitError::Fenced { current })?;
        let number = batch.number;
        let refused = |problem| Err(CommitError::Refused { number, problem });
        if batch.changes.len() > MAX_BATCH_CHANGES {
            return refused("it holds more changes than allowed");
        }
        if number == 0 {
            return refused("batches are numbered from 1");
        }
        if number <= state.batch {
            return Ok(());
        }
        if number != state.batch + 1 {
            return refused("batches before it are missing");
        }
        for change in &batch.changes {
            if !matches!(change, Change::Put(_) | Change::Remove { .. }) {
                return refused("it holds a change that this store does not know");
            }
        }
        for change in batch.changes {
            state.apply(change);
        }
        state.batch = number;
        Ok(())
    }

    async fn get(&self, kind: RecordKind, key: &str) -> Result<Option<Record>, LoadError> {
        Ok(self.state().records.get(&(kind, key.to_owned())).cloned())
    }

    async fn list(&self, query: RecordQuery) -> Result<RecordPage, LoadError> {
        if query.limit == 0 || query.limit > MAX_PAGE {
            return Err(LoadError::BadQuery {
                problem: "a page holds 1 to 1000 records",
            });
        }
        let state = self.state();
        let mut found = state.in_order(query.kind, |record| is_wanted(record, &query));
        if !query.ascending {
            found.reverse();
        }
        let found = found.into_iter().take(query.limit + 1).cloned().collect();
        cut_page(found, query.limit)
    }

    async fn prune(
        &self,
        epoch: Epoch,
        kind: RecordKind,
        before: u64,
        limit: usize,
    ) -> Result<usize, CommitError> {
        let mut state = self.state();
        state
            .fence(epoch)
            .map_err(|current| CommitError::Fenced { current })?;
        let old = |record: &Record| !record.fields.live && record.fields.order < before;
        let keys: Vec<String> = state
            .in_order(kind, old)
            .into_iter()
            .take(limit)
            .map(|record| record.key.clone())
            .collect();
        for key in &keys {
            state.records.remove(&(kind, key.clone()));
        }
        Ok(keys.len())
    }
}

/// Whether a query asks for this record.
fn is_wanted(record: &Record, query: &RecordQuery) -> bool {
    let fields = &record.fields;
    let beyond = query.after.is_none_or(|after| {
        if query.ascending {
            fields.order > after
        } else {
            fields.order < after
        }
    });
    let same = |asked: &Option<String>, held: Option<&str>| {
        asked.as_deref().is_none_or(|asked| held == Some(asked))
    };
    beyond
        && query.live.is_none_or(|live| live == fields.live)
        && same(&query.state, fields.state.as_deref())
        && same(&query.name, fields.name.as_deref())
        && same(&query.group, fields.group.as_deref())
        && query
            .labels
            .iter()
            .all(|label| fields.labels.contains(label))
}

/// What was live when the load was asked for.
#[derive(Debug)]
struct MemorySnapshot {
    records: std::vec::IntoIter<Record>,
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn next(&mut self) -> Result<Vec<Record>, LoadError> {
        Ok(self.records.by_ref().take(PORTION_RECORDS).collect())
    }
}
