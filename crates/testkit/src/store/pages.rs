//! Lists, page by page, and what a prune leaves of them.

use std::borrow::Cow;

use jobyard_core::{LoadError, MAX_PAGE, Record, RecordQuery};

use super::StoreFactory;
use super::fixture::{JOB, WORKER, batch, commit, done, job, keys, lead, query, varied};

/// Each filter alone, and all of them together.
pub async fn list_filters_by_each_field(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, varied())).await;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for bits in 0..64_u64 {
        let query = query(100, |query| {
            query.ascending = bits & 32 != 0;
            query.state = (bits & 1 != 0).then(|| "running".to_owned());
            query.name = (bits & 2 != 0).then(|| "test".to_owned());
            query.group = (bits & 4 != 0).then(|| "default".to_owned());
            if bits & 8 != 0 {
                query.labels.push(label("team", "blue"));
            }
            if bits & 16 != 0 {
                query.labels.push(label("branch", "next"));
            }
        });
        let mut expected: Vec<String> = (0..16_u64)
            .filter(|order| order & bits & 15 == bits & 15)
            .filter(|order| bits & 16 == 0 || order & 2 != 0)
            .map(|order| format!("{order:02}"))
            .collect();
        if !query.ascending {
            expected.reverse();
        }
        assert_eq!(keys(&*store, query.clone()).await, expected, "{query:?}");
    }
    for nothing in [
        query(10, |query| query.state = Some("gone".to_owned())),
        query(10, |query| query.labels = vec![label("team", "green")]),
        query(10, |query| query.labels = vec![label("colour", "red")]),
    ] {
        assert!(keys(&*store, nothing).await.is_empty());
    }
}

/// A record is found by what it is now, not by what it was.
pub async fn list_follows_changed_fields(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    commit(&*store, epoch, batch(1, varied())).await;
    let changed = varied().map(|mut record| {
        record.fields.state = Some(Cow::Borrowed("finished"));
        record.fields.live = false;
        record.fields.labels[1] = ("team".to_owned(), "green".to_owned());
        record
    });
    commit(&*store, epoch, batch(2, changed)).await;
    let state = |state: &str| query(100, |query| query.state = Some(state.to_owned()));
    let team = |team: &str| {
        query(100, |query| {
            query.labels = vec![("team".to_owned(), team.to_owned())];
        })
    };
    assert_eq!(keys(&*store, state("finished")).await.len(), 16);
    assert!(keys(&*store, state("queued")).await.is_empty());
    assert_eq!(keys(&*store, team("green")).await.len(), 16);
    assert!(keys(&*store, team("red")).await.is_empty());
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 100)).await.len(), 16);
}

/// Newest first by default, oldest first on request; a cursor goes on in the same direction.
pub async fn list_goes_both_ways(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..5).map(|order| job(&order.to_string(), order));
    commit(&*store, epoch, batch(1, records)).await;
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 2)).await, ["4", "3"]);
    let up = query(2, |query| query.ascending = true);
    assert_eq!(keys(&*store, up).await, ["0", "1"]);
    let down = query(9, |query| query.after = Some(3));
    assert_eq!(keys(&*store, down).await, ["2", "1", "0"]);
    let up = query(9, |query| {
        query.ascending = true;
        query.after = Some(3);
    });
    assert_eq!(keys(&*store, up).await, ["4"]);
    let all = query(9, |query| query.after = Some(u64::MAX));
    assert_eq!(keys(&*store, all).await.len(), 5);
}

/// No page is empty by request or larger than allowed.
pub async fn refuse_a_page_of_impossible_size(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    for limit in [0, MAX_PAGE + 1] {
        let answer = store.list(RecordQuery::new(JOB, limit)).await;
        assert!(
            matches!(answer, Err(LoadError::BadQuery { .. })),
            "a page of {limit} was answered: {answer:?}"
        );
    }
    let most = store.list(RecordQuery::new(JOB, MAX_PAGE)).await;
    most.expect("the largest page is possible");
}

/// What is inserted behind a reader's back moves nothing that it has yet to see.
pub async fn pages_are_stable_under_inserts(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..6).map(|order| job(&order.to_string(), order));
    commit(&*store, epoch, batch(1, records)).await;
    let first = store.list(RecordQuery::new(JOB, 3)).await.expect("a page");
    let newer = (6..9).map(|order| job(&order.to_string(), order));
    commit(&*store, epoch, batch(2, newer)).await;
    let second = query(3, |query| query.after = first.next);
    assert_eq!(keys(&*store, second).await, ["2", "1", "0"]);
}

/// A walk along the cursors meets each record once, in order, with any filter and page size.
pub async fn cursor_walk_covers_all_once(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..57_u64).map(|index| {
        let order = index * 3;
        let mut record = job(&format!("{order:03}"), order);
        record.fields.live = index % 2 == 0;
        record.fields.state = Some(Cow::Borrowed("queued"));
        record.fields.labels = vec![("all".to_owned(), "yes".to_owned())];
        record
    });
    commit(&*store, epoch, batch(1, records)).await;
    for (limit, ascending, filter) in [(1, true, 0), (7, false, 1), (19, true, 2), (57, false, 0)] {
        let mut query = query(limit, |query| {
            query.ascending = ascending;
            query.state = (filter == 1).then(|| "queued".to_owned());
            if filter == 2 {
                query.labels.push(("all".to_owned(), "yes".to_owned()));
            }
        });
        let mut met = Vec::new();
        loop {
            let page = store.list(query.clone()).await.expect("a page");
            assert!(page.records.len() <= limit, "a page is too long");
            met.extend(page.records.iter().map(|record| record.fields.order));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let mut expected: Vec<u64> = (0..57).map(|index| index * 3).collect();
        if !ascending {
            expected.reverse();
        }
        assert_eq!(met, expected, "pages of {limit}, ascending: {ascending}");
    }
}

/// Records with the same order are not split, so that the cursor skips none.
pub async fn records_that_share_a_place_share_a_page(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let records = (0..12_u64).map(|index| job(&index.to_string(), index / 3));
    commit(&*store, epoch, batch(1, records)).await;
    let mut query = query(4, |query| query.ascending = true);
    let mut met = Vec::new();
    loop {
        let page = store.list(query.clone()).await.expect("a page");
        met.extend(page.records.iter().map(|record| record.fields.order));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(met, (0..12).map(|index| index / 3).collect::<Vec<_>>());
    query.limit = 2;
    let answer = store.list(query).await;
    assert!(
        matches!(answer, Err(LoadError::BadQuery { .. })),
        "a page of 2 cannot hold 3 that share a place: {answer:?}"
    );
}

/// A prune takes the oldest first, no more than asked for, and none that is live, of another kind or too new.
pub async fn prune_is_bounded_and_never_removes_live_records(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let mut other = Record::new(WORKER, "w", "{}");
    other.fields.live = false;
    let records = (0..10_u64).map(|order| match order % 2 {
        0 => done(&order.to_string(), order),
        _ => job(&order.to_string(), order),
    });
    commit(&*store, epoch, batch(1, records.chain([other]))).await;
    let mut removed = Vec::new();
    for (before, limit) in [
        (0, 10),
        (8, 0),
        (8, 3),
        (8, 3),
        (8, 3),
        (9, 3),
        (u64::MAX, 3),
    ] {
        removed.push(
            store
                .prune(epoch, JOB, before, limit)
                .await
                .expect("a prune"),
        );
    }
    assert_eq!(removed, [0, 0, 3, 1, 0, 1, 0]);
    let held = keys(&*store, RecordQuery::new(JOB, 100)).await;
    assert_eq!(held, ["9", "7", "5", "3", "1"]);
    assert!(store.get(WORKER, "w").await.expect("a read").is_some());
    commit(&*store, epoch, batch(2, [job("next", 11)])).await;
}

/// No filter finds what was pruned.
pub async fn pruned_record_leaves_the_lists(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    let old = varied().map(|mut record| {
        record.fields.live = false;
        record
    });
    commit(&*store, epoch, batch(1, old)).await;
    let removed = store.prune(epoch, JOB, 16, 100).await.expect("a prune");
    assert_eq!(removed, 16);
    for query in [
        query(10, |query| query.state = Some("queued".to_owned())),
        query(10, |query| {
            query.labels = vec![("team".to_owned(), "red".to_owned())];
        }),
    ] {
        assert!(keys(&*store, query).await.is_empty());
    }
}
