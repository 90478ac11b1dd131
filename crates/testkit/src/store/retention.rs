//! Forgetting what has ended, and what stays of it.

use jobyard_core::{
    Batch, Change, LoadError, MAX_PAGE, Record, RecordKind, RecordQuery, Store, TOMBSTONE,
};

use super::StoreFactory;
use super::fixture::{JOB, batch, commit, job, keys, lead, loaded, query, removal};

const SPEC: RecordKind = RecordKind("spec");

/// A record that ended.
fn ended(key: &str, order: u64, when: u64) -> Record {
    let mut record = job(key, order);
    record.fields.live = false;
    record.fields.state = Some("finished".into());
    record.fields.ended = Some(when);
    record
}

async fn oldest(store: &dyn Store, before: u64, limit: usize) -> Vec<String> {
    let found = store.oldest_ended(JOB, before, limit).await;
    let found = found.expect("the question is possible");
    found.into_iter().map(|record| record.key).collect()
}

/// In the order in which they ended, whatever their place among their kind; without those that are live or do not end.
pub async fn what_ended_first_comes_first(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut other = ended("other", 0, 1);
    other.kind = SPEC;
    let mut without = ended("without", 2, 0);
    without.fields.ended = None;
    let mut settling = ended("settling", 3, 5);
    settling.fields.live = true;
    let records = [
        ended("late", 1, 30),
        without,
        settling,
        ended("early", 4, 10),
        ended("middle", 5, 20),
        job("queued", 6),
        other,
    ];
    commit(&*store, epoch, batch(1, records)).await;
    assert_eq!(
        oldest(&*store, u64::MAX, 10).await,
        ["early", "middle", "late"]
    );
    assert_eq!(oldest(&*store, u64::MAX, 2).await, ["early", "middle"]);
    assert_eq!(oldest(&*store, 30, 10).await, ["early", "middle"]);
    assert_eq!(oldest(&*store, 10, 10).await, [""; 0]);
    assert_eq!(oldest(&*store, 0, 10).await, [""; 0]);

    let changed = [
        ended("settling", 3, 5),
        ended("late", 1, 15),
        job("early", 4),
    ];
    commit(&*store, epoch, batch(2, changed)).await;
    assert_eq!(
        oldest(&*store, 99, 10).await,
        ["settling", "late", "middle"]
    );
}

/// An end comes back as it was written, zero and the largest included.
pub async fn ends_come_back_unchanged(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let ends = [None, Some(0), Some(1), Some((1 << 63) - 1)];
    for (number, end) in (1..).zip(ends) {
        let mut record = job("a", 1);
        record.fields.ended = end;
        commit(&*store, epoch, batch(number, [record.clone()])).await;
        let held = store.get(JOB, "a").await.expect("a read");
        assert_eq!(held, Some(record));
    }
}

/// Many that ended at the same moment are met in pages too, by whoever removes what it got.
pub async fn many_that_ended_at_once_are_forgotten_in_pages(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..50).map(|order| ended(&order.to_string(), order, 7));
    commit(&*store, epoch, batch(1, records)).await;
    let mut forgotten = 0;
    for number in 2.. {
        let page = oldest(&*store, 8, 20).await;
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 20, "a page is too long");
        forgotten += page.len();
        let changes = page.iter().map(|key| removal(key)).collect();
        commit(&*store, epoch, Batch { number, changes }).await;
    }
    assert_eq!(forgotten, 50);
    assert!(keys(&*store, RecordQuery::new(JOB, 10)).await.is_empty());
}

/// Whoever walks along what has ended and lets it stay meets each record once, those that ended at the same moment in the
/// order of their keys, in pages of any length; without those that are live, do not end, or are of another kind.
pub async fn walk_along_what_has_ended(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut other = ended("other", 0, 1);
    other.kind = SPEC;
    let mut without = ended("without", 1, 0);
    without.fields.ended = None;
    let mut settling = ended("settling", 2, 5);
    settling.fields.live = true;
    let records = [
        other,
        without,
        settling,
        ended("d", 3, 7),
        ended("b", 4, 7),
        ended("zero", 5, 0),
        ended("a", 6, 30),
        ended("c", 7, 7),
        job("queued", 8),
    ];
    commit(&*store, epoch, batch(1, records)).await;
    let in_order = ["zero", "b", "c", "d", "a"];
    for limit in [1, 2, 3, 5, MAX_PAGE] {
        let (mut met, mut after) = (Vec::new(), None);
        loop {
            let page = store.ended_after(JOB, after, limit).await;
            let page = page.expect("the question is possible");
            assert!(page.len() <= limit, "a page is too long");
            let Some(last) = page.last() else { break };
            after = last.fields.ended.map(|ended| (ended, last.key.clone()));
            met.extend(page.into_iter().map(|record| record.key));
        }
        assert_eq!(met, in_order, "in pages of {limit}");
    }
    // A place need not be that of a record.
    for (after, first) in [((7, ""), "b"), ((7, "bb"), "c"), ((8, ""), "a")] {
        let after = Some((after.0, after.1.to_owned()));
        let page = store.ended_after(JOB, after, 1).await.expect("a page");
        assert_eq!(page[0].key, first);
    }
}

/// A page is bounded like every other.
pub async fn refuse_an_impossible_number_of_ended_records(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    for limit in [0, MAX_PAGE + 1] {
        let answer = store.oldest_ended(JOB, 1, limit).await;
        assert!(
            matches!(answer, Err(LoadError::BadQuery { .. })),
            "{limit} were asked for: {answer:?}"
        );
        let answer = store.ended_after(JOB, None, limit).await;
        assert!(
            matches!(answer, Err(LoadError::BadQuery { .. })),
            "{limit} were asked for: {answer:?}"
        );
    }
}

/// What was forgotten leaves its key and what it was, in the batch that removes it; it is neither loaded nor listed
/// among what it was, and can be pruned by when it was forgotten.
pub async fn tombstone_stays_of_what_was_forgotten(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut spec = ended("a", 1, 0);
    spec.kind = SPEC;
    spec.fields.ended = None;
    commit(&*store, epoch, batch(1, [ended("a", 1, 10), spec])).await;

    let tombstone = Record::tombstone("a", 500, r#""digest""#);
    let changes = vec![
        removal("a"),
        Change::Remove {
            kind: SPEC,
            key: "a".to_owned(),
        },
        Change::Put(tombstone.clone()),
    ];
    commit(&*store, epoch, Batch { number: 2, changes }).await;
    for kind in [JOB, SPEC] {
        assert_eq!(store.get(kind, "a").await.expect("a read"), None);
    }
    let held = store.get(TOMBSTONE, "a").await.expect("a read");
    assert_eq!(held, Some(tombstone));
    assert!(loaded(&*store, epoch, &[JOB, TOMBSTONE]).await.is_empty());
    assert!(oldest(&*store, u64::MAX, 10).await.is_empty());

    let kept = store.prune(epoch, TOMBSTONE, 500, 10).await;
    assert_eq!(kept, Ok(0), "it is not older than that");
    let removed = store.prune(epoch, TOMBSTONE, 501, 10).await;
    assert_eq!(removed, Ok(1));
    assert_eq!(store.get(TOMBSTONE, "a").await.expect("a read"), None);
}

/// A count is of one kind and one half.
pub async fn count_follows_changes(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let count = async |live| store.count(JOB, live).await.expect("a count");
    assert_eq!((count(true).await, count(false).await), (0, 0));
    let mut other = ended("other", 0, 1);
    other.kind = SPEC;
    let live = (0..1_500).map(|order| job(&order.to_string(), order));
    let over = (1_500..1_507).map(|order| ended(&order.to_string(), order, order));
    let records = live.chain(over).chain([other]);
    commit(&*store, epoch, batch(1, records)).await;
    assert_eq!((count(true).await, count(false).await), (1_500, 7));
    let mut changes = batch(2, [ended("3", 3, 9), job("1500", 1_500)]);
    changes.changes.push(removal("4"));
    commit(&*store, epoch, changes).await;
    assert_eq!((count(true).await, count(false).await), (1_499, 7));
}

/// Live or not is a filter like every other, alone, with another, and along the cursor.
pub async fn list_filters_by_live(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..20_u64).map(|order| {
        let mut record = job(&order.to_string(), order);
        record.fields.live = order % 2 == 0;
        record.fields.state = Some(if order < 10 { "old" } else { "new" }.into());
        record.fields.labels = vec![("all".to_owned(), "yes".to_owned())];
        record
    });
    commit(&*store, epoch, batch(1, records)).await;
    let cases = [
        (
            query(3, |query| query.live = Some(true)),
            ["18", "16", "14"],
        ),
        (
            query(3, |query| query.live = Some(false)),
            ["19", "17", "15"],
        ),
        (
            query(3, |query| {
                query.live = Some(false);
                query.ascending = true;
                query.after = Some(3);
            }),
            ["5", "7", "9"],
        ),
        (
            query(3, |query| {
                query.live = Some(true);
                query.state = Some("old".to_owned());
            }),
            ["8", "6", "4"],
        ),
        (
            query(3, |query| {
                query.live = Some(false);
                query.labels = vec![("all".to_owned(), "yes".to_owned())];
            }),
            ["19", "17", "15"],
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(keys(&*store, query.clone()).await, expected, "{query:?}");
    }
}
