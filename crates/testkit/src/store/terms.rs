//! Who leads, and what becomes of the others.

use jobyard_core::{CommitError, Epoch, LeadError, LoadError, RecordQuery};

use super::StoreFactory;
use super::fixture::{JOB, TTL, batch, commit, done, job, keys, lead, take_over};

/// Every later term is higher, and higher than what the caller knows of.
pub async fn epochs_grow_strictly_above_at_least(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let first = lead(&*store, 0).await;
    assert!(first > Epoch::ZERO, "epoch zero was given away");
    store.renew(first, TTL).await.expect("the leader renews");
    let second = take_over(&*store, first).await;
    assert!(second > first, "{second} does not lie above {first}");
    store.resign(second).await.expect("the leader resigns");
    let third = lead(&*store, 1_000).await;
    assert!(third > Epoch(1_000), "{third} does not lie above 1000");
    store.resign(third).await.expect("the leader resigns");
    let fourth = lead(&*store, 5).await;
    assert!(fourth > third, "a low `at_least` took the epoch back");
}

/// After a resignation the term's own number is refused, and another may lead at once.
pub async fn resigned_term_is_over_and_another_leads(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let epoch = lead(&*store, 0).await;
    store.resign(epoch).await.expect("the leader resigns");
    let late = store.commit(epoch, batch(1, [job("late", 1)])).await;
    assert!(
        matches!(late, Err(CommitError::Fenced { .. })),
        "a resigned leader committed: {late:?}"
    );
    let renewed = store.renew(epoch, TTL).await;
    assert!(
        matches!(renewed, Err(LeadError::Fenced { .. })),
        "a resigned leader renewed: {renewed:?}"
    );
    let next = lead(&*store, 0).await;
    assert!(next > epoch, "{next} does not lie above {epoch}");
}

/// An older term can change and load nothing.
pub async fn fence_commits_loads_and_prunes_of_an_older_term(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let old = lead(&*store, 0).await;
    commit(&*store, old, batch(1, [done("kept", 1)])).await;
    let new = take_over(&*store, old).await;

    let late = store.commit(old, batch(2, [job("late", 2)])).await;
    assert_eq!(late, Err(CommitError::Fenced { current: new }), "commit");
    let repeat = store.commit(old, batch(1, [done("kept", 1)])).await;
    assert_eq!(repeat, Err(CommitError::Fenced { current: new }), "repeat");
    let load = store.load(old, &[JOB]).await.err();
    assert_eq!(load, Some(LoadError::Fenced { current: new }), "load");
    let prune = store.prune(old, JOB, u64::MAX, 10).await;
    assert_eq!(prune, Err(CommitError::Fenced { current: new }), "prune");
    let renew = store.renew(old, TTL).await;
    assert_eq!(renew, Err(LeadError::Fenced { current: new }), "renew");
    let resign = store.resign(old).await;
    assert_eq!(resign, Err(LeadError::Fenced { current: new }), "resign");

    let held = keys(&*store, RecordQuery::new(JOB, 10)).await;
    assert_eq!(held, ["kept"], "an older term changed something");
    commit(&*store, new, batch(1, [job("new", 2)])).await;
}

/// Epoch zero is nobody's term, and a term that was never given is none.
pub async fn fence_everybody_before_the_first_term(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    for epoch in [Epoch::ZERO, Epoch(7)] {
        let early = store.commit(epoch, batch(1, [job("early", 1)])).await;
        assert!(
            matches!(early, Err(CommitError::Fenced { .. })),
            "{epoch} committed before anybody led: {early:?}"
        );
    }
    assert!(keys(&*store, RecordQuery::new(JOB, 10)).await.is_empty());
}

/// Number 1 of a new term is no repeat of number 1 of the term before.
pub async fn batches_are_numbered_anew_in_each_term(factory: &dyn StoreFactory) {
    let store = factory.fresh().await;
    let old = lead(&*store, 0).await;
    commit(&*store, old, batch(1, [job("a", 1)])).await;
    let new = take_over(&*store, old).await;
    commit(&*store, new, batch(1, [job("b", 2)])).await;
    assert_eq!(keys(&*store, RecordQuery::new(JOB, 10)).await, ["b", "a"]);
}
