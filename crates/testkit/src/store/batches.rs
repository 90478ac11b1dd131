//! What a batch changes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jobyard_core::{Batch, Change, CommitError, MAX_BATCH_CHANGES, MAX_PAGE, Record, RecordQuery};

use super::StoreFactory;
use super::fixture::{JOB, WORKER, batch, commit, done, job, keys, lead, loaded, query, removal};
use crate::random::Random;

/// A repeat, even with other content, is answered with success and changes nothing.
pub async fn repeated_batch_has_one_effect(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, [job("a", 1)])).await;
    let remove = Batch {
        number: 2,
        changes: vec![removal("a")],
    };
    commit(&*store, epoch, remove).await;
    commit(&*store, epoch, batch(1, [job("a", 1)])).await;
    commit(&*store, epoch, batch(2, [job("b", 1)])).await;
    assert!(
        keys(&*store, RecordQuery::new(JOB, 10)).await.is_empty(),
        "a repeated batch had a second effect"
    );
    commit(&*store, epoch, batch(3, [job("c", 1)])).await;
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 10)).await, ["c"]);
}

/// A batch whose predecessor is missing is refused, and may follow once that has come.
pub async fn refuse_a_gap_between_batches(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let early = store.commit(epoch, batch(2, [job("b", 2)])).await;
    assert!(
        matches!(early, Err(CommitError::Refused { number: 2, .. })),
        "batch 2 came before batch 1: {early:?}"
    );
    commit(&*store, epoch, batch(1, [job("a", 1)])).await;
    commit(&*store, epoch, batch(2, [job("b", 2)])).await;
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 10)).await, ["b", "a"]);
}

/// Numbers begin at 1.
pub async fn refuse_batch_zero(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let zero = store.commit(epoch, batch(0, [job("a", 1)])).await;
    assert!(
        matches!(zero, Err(CommitError::Refused { number: 0, .. })),
        "batch 0 was taken: {zero:?}"
    );
}

/// One change more than allowed is refused as a whole.
pub async fn refuse_a_batch_that_is_too_large(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let many = (0..=MAX_BATCH_CHANGES as u64).map(|order| job(&order.to_string(), order));
    let refused = store.commit(epoch, batch(1, many)).await;
    assert!(
        matches!(refused, Err(CommitError::Refused { number: 1, .. })),
        "a batch beyond the limit was taken: {refused:?}"
    );
    assert!(keys(&*store, RecordQuery::new(JOB, 10)).await.is_empty());
}

/// The limit itself is allowed.
pub async fn largest_batch_fits(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let many = (0..MAX_BATCH_CHANGES as u64).map(|order| job(&order.to_string(), order));
    commit(&*store, epoch, batch(1, many)).await;
    let newest = (MAX_BATCH_CHANGES - 1).to_string();
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 1)).await, [newest]);
}

/// All or nothing: of a batch that is refused nothing is seen.
pub async fn refused_batch_leaves_no_trace(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, [job("kept", 1)])).await;
    let mut gap = batch(3, [job("new", 2), job("kept", 9)]);
    gap.changes.push(removal("kept"));
    store
        .commit(epoch, gap)
        .await
        .expect_err("a batch after a gap");
    let held = store.get(JOB, "kept").await.expect("a read");
    assert_eq!(held, Some(job("kept", 1)));
    assert_eq!(store.get(JOB, "new").await.expect("a read"), None);
}

/// A commit whose future was dropped is repeated with the same number, and happens once.
pub async fn dropped_commit_is_repeated_safely(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    for number in 1..=20 {
        let record = job(&number.to_string(), number);
        let first = store.commit(epoch, batch(number, [record.clone()]));
        // Polled once and dropped: it may or may not have happened.
        drop(futures_util::future::poll_immediate(first).await);
        commit(&*store, epoch, batch(number, [record])).await;
    }
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 100)).await.len(), 20);
}

/// Nothing of the older record is left.
pub async fn put_replaces_the_whole_record(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut old = job("a", 1);
    old.fields.state = Some(Cow::Borrowed("queued"));
    old.fields.name = Some("old".to_owned());
    old.fields.group = Some("left".to_owned());
    old.fields.labels = vec![("team".to_owned(), "red".to_owned())];
    let mut new = done("a", 5);
    new.version = 2;
    new.body = r#"{"other":true}"#.into();
    new.fields.name = Some("new".to_owned());
    for (index, record) in [&old, &new, &old, &new].into_iter().enumerate() {
        commit(&*store, epoch, batch(index as u64 + 1, [record.clone()])).await;
        let held = store.get(JOB, "a").await.expect("a read");
        assert_eq!(held.as_ref(), Some(record));
        let listed = store.list(RecordQuery::new(JOB, 10)).await.expect("a list");
        assert_eq!(listed.records.first(), Some(record));
        assert_eq!(listed.records.len(), 1);
    }
    let gone = [
        query(10, |query| query.state = Some("queued".to_owned())),
        query(10, |query| query.name = Some("old".to_owned())),
        query(10, |query| query.group = Some("left".to_owned())),
        query(10, |query| {
            query.labels = vec![("team".to_owned(), "red".to_owned())];
        }),
    ];
    for query in gone {
        assert!(
            keys(&*store, query.clone()).await.is_empty(),
            "an old field is still found: {query:?}"
        );
    }
}

/// The last change to a record in a batch wins.
pub async fn changes_of_a_batch_happen_in_order(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut changes = batch(1, [job("a", 1), job("b", 2)]);
    changes.changes.push(removal("a"));
    changes.changes.push(removal("b"));
    changes.changes.push(Change::Put(job("b", 3)));
    commit(&*store, epoch, changes).await;
    assert_eq!(store.get(JOB, "a").await.expect("a read"), None);
    let held = store.get(JOB, "b").await.expect("a read");
    assert_eq!(held, Some(job("b", 3)));
}

/// What is not there can be removed.
pub async fn removing_twice_is_no_error(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, [job("a", 1)])).await;
    for number in 2..4 {
        let changes = vec![removal("a"), removal("never"), removal("a")];
        commit(&*store, epoch, Batch { number, changes }).await;
        assert_eq!(store.get(JOB, "a").await.expect("a read"), None);
    }
}

/// The same key in two kinds names two records.
pub async fn kinds_are_apart(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let worker = Record::new(WORKER, "same", "{}");
    commit(&*store, epoch, batch(1, [job("same", 1), worker.clone()])).await;
    let remove = Batch {
        number: 2,
        changes: vec![removal("same")],
    };
    commit(&*store, epoch, remove).await;
    let held = store.get(WORKER, "same").await.expect("a read");
    assert_eq!(held, Some(worker));
    assert!(keys(&*store, RecordQuery::new(JOB, 10)).await.is_empty());
}

/// Nothing in a text has a meaning for the store.
pub async fn texts_and_bodies_come_back_unchanged(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let nasty = "'; DROP TABLE records; -- \"%_*?\\ \u{1F980}\u{202E} \n\t";
    let mut record = Record::new(JOB, nasty, format!("{{\"text\":{nasty:?}}}").into_bytes());
    record.version = u32::MAX;
    record.fields.order = 1 << 62;
    record.fields.state = Some(Cow::Owned(nasty.to_owned()));
    record.fields.name = Some(nasty.to_owned());
    record.fields.group = Some(String::new());
    record.fields.labels = vec![
        (String::new(), nasty.to_owned()),
        (nasty.to_owned(), String::new()),
    ];
    commit(&*store, epoch, batch(1, [record.clone()])).await;
    let held = store.get(JOB, nasty).await.expect("a read");
    assert_eq!(held, Some(record.clone()));
    let all = query(10, |query| {
        query.state = Some(nasty.to_owned());
        query.name = Some(nasty.to_owned());
        query.group = Some(String::new());
        query.labels.clone_from(&record.fields.labels);
    });
    assert_eq!(keys(&*store, all).await, [nasty]);
    assert_eq!(loaded(&*store, epoch, &[JOB]).await, [record]);
}

/// Random puts and removals, some of them repeated, leave what a map would hold.
pub async fn random_batches_agree_with_a_model(factory: &dyn StoreFactory) {
    const SEED: u64 = 0x5eed_0001;
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut random = Random::new(SEED);
    let mut model: BTreeMap<String, Record> = BTreeMap::new();
    for number in 1..=60_u64 {
        let mut changes = Vec::new();
        for _ in 0..random.below(20) {
            let key = format!("{:02}", random.below(40));
            if random.below(4) == 0 {
                model.remove(&key);
                changes.push(removal(&key));
            } else {
                let record = random_record(&mut random, &key);
                model.insert(key, record.clone());
                changes.push(Change::Put(record));
            }
        }
        let batch = Batch { number, changes };
        commit(&*store, epoch, batch.clone()).await;
        if random.below(3) == 0 {
            commit(&*store, epoch, batch).await;
        }
    }
    let mut expected: Vec<Record> = model.into_values().collect();
    expected.sort_by_key(|record| record.fields.order);
    let up = query(MAX_PAGE, |query| query.ascending = true);
    let held = store.list(up).await.expect("a list").records;
    assert_eq!(held, expected, "seed {SEED:#x}");
    for team in ["0", "1", "2"] {
        let label = ("team".to_owned(), team.to_owned());
        let query = query(MAX_PAGE, |query| {
            query.ascending = true;
            query.labels = vec![label.clone()];
        });
        let held = store.list(query).await.expect("a list").records;
        let mut expected = expected.clone();
        expected.retain(|record| record.fields.labels.contains(&label));
        assert_eq!(held, expected, "seed {SEED:#x}, team {team}");
    }
    expected.retain(|record| record.fields.live);
    assert_eq!(
        loaded(&*store, epoch, &[JOB]).await,
        expected,
        "seed {SEED:#x}"
    );
}

/// A record whose order is its own, and changes now and then.
fn random_record(random: &mut Random, key: &str) -> Record {
    let place: u64 = key.parse().expect("keys are numbers");
    let mut record = job(key, place + 100 * random.below(2));
    record.body = format!("{{\"roll\":{}}}", random.below(1_000)).into();
    record.fields.live = random.below(2) == 0;
    record.fields.state = (random.below(2) == 0).then_some(Cow::Borrowed("queued"));
    record.fields.ended = (random.below(2) == 0).then(|| random.below(10));
    if random.below(2) == 0 {
        let team = random.below(3).to_string();
        record.fields.labels = vec![("team".to_owned(), team)];
    }
    record
}
