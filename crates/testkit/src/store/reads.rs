//! What a load and a read see.

use jobyard_core::{CommitError, Record, RecordKind, RecordQuery};

use super::StoreFactory;
use super::fixture::{JOB, WORKER, batch, commit, done, job, lead, loaded, varied};

/// What is not live is not loaded, and a record can change sides.
pub async fn load_gives_only_live_records_in_order(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let first = [job("c", 30), done("x", 15), job("a", 10), job("b", 20)];
    commit(&*store, epoch, batch(1, first)).await;
    let second = [done("b", 20), job("x", 15)];
    commit(&*store, epoch, batch(2, second)).await;
    let records = loaded(&*store, epoch, &[JOB]).await;
    assert_eq!(records, [job("a", 10), job("x", 15), job("c", 30)]);
}

/// Kinds come one after another as they were asked for; others stay out.
pub async fn load_gives_kinds_in_the_order_asked(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let worker = Record::new(WORKER, "w", "{}");
    let other = Record::new(RecordKind("other"), "o", "{}");
    commit(
        &*store,
        epoch,
        batch(1, [other, job("a", 1), worker.clone()]),
    )
    .await;
    let records = loaded(&*store, epoch, &[WORKER, JOB]).await;
    assert_eq!(records, [worker.clone(), job("a", 1)]);
    let records = loaded(&*store, epoch, &[JOB, WORKER]).await;
    assert_eq!(records, [job("a", 1), worker]);
    assert!(loaded(&*store, epoch, &[]).await.is_empty());
    assert!(
        loaded(&*store, epoch, &[RecordKind("none")])
            .await
            .is_empty()
    );
}

/// More than one portion's worth arrives whole and in order.
pub async fn load_streams_many_records(factory: &dyn StoreFactory) {
    const MANY: u64 = 12_345;
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..MANY).map(|order| job(&format!("{order:05}"), order));
    commit(&*store, epoch, batch(1, records)).await;
    let records = loaded(&*store, epoch, &[JOB]).await;
    let orders: Vec<u64> = records.iter().map(|record| record.fields.order).collect();
    assert_eq!(orders, (0..MANY).collect::<Vec<_>>());
}

/// Commits after the load was asked for do not show in it.
pub async fn load_is_of_one_moment(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, [job("a", 1), job("b", 2)])).await;
    let mut snapshot = store.load(epoch, &[JOB]).await.expect("the leader loads");
    commit(&*store, epoch, batch(2, [done("b", 2), job("c", 3)])).await;
    let mut records = Vec::new();
    loop {
        let portion = snapshot.next().await.expect("the next portion");
        if portion.is_empty() {
            break;
        }
        records.extend(portion);
    }
    assert_eq!(records, [job("a", 1), job("b", 2)]);
    assert!(
        snapshot.next().await.expect("the end again").is_empty(),
        "something came after the end"
    );
}

/// Each kind of read sees a commit as soon as it has returned.
pub async fn reads_see_acknowledged_commits(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    for number in 1..=50 {
        let record = job(&number.to_string(), number);
        commit(&*store, epoch, batch(number, [record.clone()])).await;
        let (held, newest) = futures_util::future::join(
            store.get(JOB, &record.key),
            store.list(RecordQuery::new(JOB, 1)),
        )
        .await;
        assert_eq!(held.expect("a read"), Some(record.clone()));
        assert_eq!(newest.expect("a list").records, [record]);
    }
    assert_eq!(loaded(&*store, epoch, &[JOB]).await.len(), 50);
}

/// One answer per key, found or not, a key asked twice included.
pub async fn get_many_answers_in_the_order_of_keys(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, [job("a", 1), job("b", 2)])).await;
    let asked = ["b", "none", "a", "b"].map(str::to_owned);
    let answers = store.get_many(JOB, &asked).await.expect("a read");
    let expected = [
        Some(job("b", 2)),
        None,
        Some(job("a", 1)),
        Some(job("b", 2)),
    ];
    assert_eq!(answers, expected);
    assert!(store.get_many(JOB, &[]).await.expect("a read").is_empty());
}

/// After a restart everything is there, the epoch is higher and the old term is fenced.
pub async fn reopened_store_has_everything_and_a_new_term(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let old = lead(&*store, 41).await;
    commit(&*store, old, batch(1, varied())).await;
    commit(&*store, old, batch(2, [job("last", 99)])).await;
    let Some(store) = factory.reopen(store).await else {
        return;
    };
    let new = lead(&*store, 0).await;
    assert!(new > old, "{new} does not lie above {old}");
    let late = store.commit(old, batch(3, [job("late", 100)])).await;
    assert_eq!(late, Err(CommitError::Fenced { current: new }));
    let mut held = store
        .list(RecordQuery::new(JOB, 100))
        .await
        .expect("a list");
    held.records.reverse();
    let expected: Vec<Record> = varied().chain([job("last", 99)]).collect();
    assert_eq!(held.records, expected);
    let live: Vec<Record> = expected
        .into_iter()
        .filter(|record| record.fields.live)
        .collect();
    assert_eq!(loaded(&*store, new, &[JOB]).await, live);
    commit(&*store, new, batch(1, [job("next", 100)])).await;
}
