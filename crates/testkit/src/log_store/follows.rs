//! How followers wake.

use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use futures_util::stream::FuturesUnordered;
use jobyard_core::{LogEnd, LogStatus};

use super::LogStoreFactory;
use super::fixture::{EPOCH, append, attempt, chunk};

/// There is no wait when the log reaches beyond the place already.
pub async fn watch_returns_at_once_when_there_is_more(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    for from in 0..3 {
        assert_eq!(logs.watch(attempt(1), from).await, Ok(LogStatus::open(3)));
    }
}

/// An append wakes whoever waits for its bytes. The followers stand in a set that polls only those whose waker was
/// called, so that one which is not woken is never asked again.
pub async fn watch_wakes_on_append(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    logs.status(attempt(1)).await.expect("a status");
    let mut followers = FuturesUnordered::new();
    followers.push(logs.watch(attempt(1), 0));
    assert_eq!(poll_immediate(followers.next()).await, None, "too early");
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    assert_eq!(followers.next().await, Some(Ok(LogStatus::open(3))));
    followers.push(logs.watch(attempt(1), 3));
    assert_eq!(poll_immediate(followers.next()).await, None, "too early");
    append(&*logs, attempt(1), vec![chunk(3, "d")]).await;
    assert_eq!(followers.next().await, Some(Ok(LogStatus::open(4))));
}

/// A seal wakes everybody, wherever they are.
pub async fn watch_wakes_on_seal(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let mut followers = FuturesUnordered::new();
    for from in [3, 4, u64::MAX] {
        followers.push(logs.watch(attempt(1), from));
    }
    assert_eq!(poll_immediate(followers.next()).await, None, "too early");
    let end = LogEnd {
        bytes: 3,
        dropped: 0,
    };
    let sealed = logs.seal(EPOCH, attempt(1), end).await.expect("a seal");
    assert!(sealed.is_sealed());
    for _ in 0..3 {
        assert_eq!(followers.next().await, Some(Ok(sealed)));
    }
    assert_eq!(logs.watch(attempt(1), 99).await, Ok(sealed), "afterwards");
}

/// Repeats, gaps, conflicts and other logs wake nobody.
pub async fn watch_sleeps_while_nothing_new_comes(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let mut follower = pin!(logs.watch(attempt(1), 3));
    assert_eq!(poll_immediate(&mut follower).await, None, "too early");
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    append(&*logs, attempt(2), vec![chunk(0, "other")]).await;
    let gap = logs.append(EPOCH, attempt(1), vec![chunk(9, "x")]).await;
    gap.expect("a gap is no error");
    logs.append(EPOCH, attempt(1), vec![chunk(0, "X")])
        .await
        .expect_err("other bytes");
    assert_eq!(
        poll_immediate(&mut follower).await,
        None,
        "woken by nothing"
    );
    append(&*logs, attempt(1), vec![chunk(3, "d")]).await;
    assert_eq!(follower.await, Ok(LogStatus::open(4)));
}

/// Any number of followers of one log.
pub async fn many_followers_wake_together(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    logs.status(attempt(1)).await.expect("a status");
    let mut followers: FuturesUnordered<_> =
        (0..1_000).map(|_| logs.watch(attempt(1), 0)).collect();
    assert_eq!(poll_immediate(followers.next()).await, None, "too early");
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let mut woken = 0;
    while let Some(status) = followers.next().await {
        assert_eq!(status, Ok(LogStatus::open(3)));
        woken += 1;
    }
    assert_eq!(woken, 1_000);
}

/// A follower that loses interest leaves nothing behind that could hinder others.
pub async fn dropped_watch_does_no_harm(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for _ in 0..10 {
        assert_eq!(poll_immediate(logs.watch(attempt(1), 0)).await, None);
    }
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    assert_eq!(logs.watch(attempt(1), 0).await, Ok(LogStatus::open(3)));
}
