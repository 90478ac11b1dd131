//! Records, batches and questions of which the cases are made.

use std::borrow::Cow;
use std::time::Duration;

use jobyard_core::{Batch, Change, Epoch, LeadError, Record, RecordKind, RecordQuery, Store};

/// Far longer than a case takes: nothing here waits for a term to run out.
pub(super) const TTL: Duration = Duration::from_hours(1);

pub(super) const JOB: RecordKind = RecordKind("job");
pub(super) const WORKER: RecordKind = RecordKind("worker");

/// Leads, or says why not.
pub(super) async fn lead(store: &dyn Store, at_least: u64) -> Epoch {
    store
        .lead("the suite", TTL, Epoch(at_least))
        .await
        .expect("a store that nobody leads can be led")
        .epoch
}

/// Puts another term in place of `epoch`, whether or not the store lets the newer one push the older one out.
pub(super) async fn take_over(store: &dyn Store, epoch: Epoch) -> Epoch {
    match store.lead("another", TTL, Epoch::ZERO).await {
        Ok(leadership) => leadership.epoch,
        Err(LeadError::Held { .. }) => {
            store.resign(epoch).await.expect("the leader can resign");
            lead(store, 0).await
        }
        Err(error) => panic!("the term was not taken over: {error}"),
    }
}

pub(super) fn job(key: &str, order: u64) -> Record {
    let mut record = Record::new(JOB, key, format!(r#"{{"key":"{key}"}}"#));
    record.fields.order = order;
    record
}

/// A record that is needed no longer.
pub(super) fn done(key: &str, order: u64) -> Record {
    let mut record = job(key, order);
    record.fields.live = false;
    record
}

pub(super) fn batch(number: u64, records: impl IntoIterator<Item = Record>) -> Batch {
    Batch {
        number,
        changes: records.into_iter().map(Change::Put).collect(),
    }
}

pub(super) fn removal(key: &str) -> Change {
    Change::Remove {
        kind: JOB,
        key: key.to_owned(),
    }
}

pub(super) async fn commit(store: &dyn Store, epoch: Epoch, batch: Batch) {
    store
        .commit(epoch, batch)
        .await
        .expect("the leader's next batch is taken");
}

pub(super) async fn keys(store: &dyn Store, query: RecordQuery) -> Vec<String> {
    let page = store.list(query).await.expect("the query is possible");
    page.records.into_iter().map(|record| record.key).collect()
}

/// Everything that a load gives.
pub(super) async fn loaded(store: &dyn Store, epoch: Epoch, kinds: &[RecordKind]) -> Vec<Record> {
    let mut snapshot = store.load(epoch, kinds).await.expect("the leader loads");
    let mut records = Vec::new();
    loop {
        let portion = snapshot.next().await.expect("the next portion");
        if portion.is_empty() {
            return records;
        }
        records.extend(portion);
    }
}

/// A query with one thing set.
pub(super) fn query(limit: usize, set: impl FnOnce(&mut RecordQuery)) -> RecordQuery {
    let mut query = RecordQuery::new(JOB, limit);
    set(&mut query);
    query
}

/// Records that differ in each field by which people search: order 0 to 15, by its bits.
pub(super) fn varied() -> impl Iterator<Item = Record> {
    (0..16_u64).map(|order| {
        let side = |bit: u64, zero: &str, one: &str| {
            let chosen = if order & bit == 0 { zero } else { one };
            chosen.to_owned()
        };
        let mut record = job(&format!("{order:02}"), order);
        record.fields.live = order % 3 != 0;
        record.fields.state = Some(Cow::Owned(side(1, "queued", "running")));
        record.fields.name = Some(side(2, "build", "test"));
        record.fields.group = (order & 4 != 0).then(|| "default".to_owned());
        record.fields.labels = vec![
            ("branch".to_owned(), side(2, "main", "next")),
            ("team".to_owned(), side(8, "red", "blue")),
        ];
        record
    })
}
