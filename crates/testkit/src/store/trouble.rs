//! Little room, and damage. Cases that need a factory which can arrange them; without one they prove nothing and pass.

use jobyard_core::{
    Batch, Change, CommitError, LoadError, Record, RecordKind, RecordQuery, Room, Snapshot,
};

use super::StoreFactory;
use super::fixture::{JOB, batch, commit, job, lead};

/// How large the store is of which the cases fill all.
pub(super) const SMALL_BYTES: u64 = 2 * 1_024 * 1_024;

/// A batch of some 20 kB.
fn large(number: u64) -> Batch {
    let body = format!(r#"{{"padding":"{number:01000}"}}"#);
    let records = (0..20).map(|index| {
        let mut record = Record::new(JOB, format!("{number:05}-{index:02}"), body.clone());
        record.fields.order = number * 20 + index;
        record
    });
    batch(number, records)
}

/// An empty store has room.
pub async fn fresh_store_has_room(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    assert_eq!(store.room().await, Room::Enough);
}

/// A store says that it is low while commits still succeed, refuses a batch whole when it is full, and serves again when
/// there is room.
pub async fn room_is_low_before_the_store_is_full(factory: &dyn StoreFactory) {
    let Some(store) = factory.small(SMALL_BYTES).await else {
        return;
    };
    let epoch = lead(&*store, 0).await;
    assert!(store.room().await.is_enough(), "it is empty");
    let mut number = 1;
    let mut after_low = 0;
    let full = loop {
        match store.commit(epoch, large(number)).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 10_000, "{SMALL_BYTES} bytes hold {number} batches");
        after_low += u64::from(!store.room().await.is_enough());
    };
    assert!(matches!(full, CommitError::Full { .. }), "{full:?}");
    assert!(after_low > 0, "it was full before it was low");
    assert!(number > after_low + 1, "it was low from the beginning");
    let halved = store.get(JOB, &format!("{number:05}-00")).await;
    assert_eq!(halved, Ok(None), "a part of the batch is there");

    // What was admitted can be removed, and then there is room.
    for (next, old) in (number..).zip(1..number) {
        let removals = large(old).changes.into_iter().map(|change| match change {
            Change::Put(Record { kind, key, .. }) => Change::Remove { kind, key },
            other => other,
        });
        let changes = removals.collect();
        let removed = store
            .commit(
                epoch,
                Batch {
                    number: next,
                    changes,
                },
            )
            .await;
        removed.expect("a removal needs no room that is not there");
    }
    assert_eq!(store.room().await, Room::Enough);
    let last = number + number - 1;
    commit(&*store, epoch, batch(last, [job("next", 1 << 40)])).await;
}

/// A damaged record is named by each read that meets it, and keeps nobody from the others.
pub async fn damaged_record_is_named_and_costs_no_other(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..9).map(|order| job(&order.to_string(), order));
    commit(&*store, epoch, batch(1, records)).await;
    if !factory.damage(&*store, JOB, "4").await {
        return;
    }
    assert_names(store.get(JOB, "4").await.err(), JOB, "4");
    for order in (0..9).filter(|order| *order != 4) {
        let held = store.get(JOB, &order.to_string()).await;
        assert_eq!(held, Ok(Some(job(&order.to_string(), order))));
    }
    let page = store.list(RecordQuery::new(JOB, 9)).await;
    assert_names(page.err(), JOB, "4");

    let mut snapshot = store.load(epoch, &[JOB]).await.expect("a load");
    let (records, errors) = rest(&mut *snapshot).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_names(errors.into_iter().next(), JOB, "4");
    let orders: Vec<u64> = records.iter().map(|record| record.fields.order).collect();
    assert_eq!(orders, [0, 1, 2, 3, 5, 6, 7, 8], "others are lost");

    commit(&*store, epoch, batch(2, [job("4", 4)])).await;
    let held = store.get(JOB, "4").await;
    assert_eq!(held, Ok(Some(job("4", 4))), "it can be written anew");
}

/// All portions, and what went wrong between them.
async fn rest(snapshot: &mut dyn Snapshot) -> (Vec<Record>, Vec<LoadError>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    loop {
        match snapshot.next().await {
            Ok(portion) if portion.is_empty() => return (records, errors),
            Ok(portion) => records.extend(portion),
            Err(error) => errors.push(error),
        }
        assert!(errors.len() < 10, "the load never ends: {errors:?}");
    }
}

fn assert_names(error: Option<LoadError>, kind: RecordKind, key: &str) {
    match error {
        Some(LoadError::Damaged {
            kind: found,
            key: named,
            ..
        }) => assert_eq!((found, named.as_str()), (kind, key)),
        other => panic!("the damaged record is not named: {other:?}"),
    }
}
