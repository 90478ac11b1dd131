//! The end of a log.

use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use futures_util::stream::FuturesUnordered;
use jobyard_core::{AppendError, Appended, LogEnd, LogState, LogStatus};

use super::LogStoreFactory;
use super::fixture::{EPOCH, append, attempt, bytes_from, chunk};

const fn end(bytes: u64, dropped: u64) -> LogEnd {
    LogEnd { bytes, dropped }
}

/// All bytes are there: the log is complete.
pub async fn sealed_log_is_complete(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let status = logs.seal(EPOCH, attempt(1), end(3, 0)).await;
    assert_eq!(status, Ok(LogStatus::sealed(3, end(3, 0))));
    factory.settle(&*logs).await;
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!((status.end, status.state), (3, LogState::Complete));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abc");
}

/// Bytes that never came are named, and what came stays readable.
pub async fn seal_with_missing_bytes_is_lost_from_there(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let status = logs.seal(EPOCH, attempt(1), end(10, 0)).await;
    let status = status.expect("a seal with missing bytes");
    factory.settle(&*logs).await;
    assert_eq!((status.end, status.state), (3, LogState::LostFrom(3)));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abc");
    let all = logs.seal(EPOCH, attempt(2), end(10, 0)).await;
    let all = all.expect("a seal with everything missing");
    assert_eq!((all.end, all.state), (0, LogState::LostFrom(0)));
}

/// How much the worker dropped is known once the log is sealed.
pub async fn seal_keeps_what_was_dropped(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let status = logs.seal(EPOCH, attempt(1), end(3, 99)).await;
    assert_eq!(status.map(|status| status.dropped), Ok(99));
    factory.settle(&*logs).await;
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!((status.dropped, status.state), (99, LogState::Complete));
}

/// An attempt without output ends like any other for whoever follows it.
pub async fn seal_of_an_empty_log_wakes_its_follower(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    logs.status(attempt(1)).await.expect("a status");
    let mut followers = FuturesUnordered::new();
    followers.push(logs.watch(attempt(1), 0));
    assert_eq!(poll_immediate(followers.next()).await, None, "too early");
    let status = logs.seal(EPOCH, attempt(1), end(0, 0)).await;
    let status = status.expect("a seal of an empty log");
    assert_eq!((status.end, status.state), (0, LogState::Complete));
    assert_eq!(followers.next().await, Some(Ok(status)));
    assert_eq!(logs.watch(attempt(1), 0).await, Ok(status), "afterwards");
    let usage = logs.usage().await.expect("the usage");
    assert_eq!(usage.logs, 0, "an empty log takes room");
}

/// The same end again is answered the same way; another end is refused.
pub async fn repeated_seal_is_no_error_and_another_end_is(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    for (log, first, other) in [(1, end(3, 0), end(4, 0)), (2, end(0, 0), end(0, 1))] {
        let status = logs.seal(EPOCH, attempt(log), first).await.expect("a seal");
        factory.settle(&*logs).await;
        assert_eq!(logs.seal(EPOCH, attempt(log), first).await, Ok(status));
        let answer = logs.seal(EPOCH, attempt(log), other).await;
        assert!(
            matches!(answer, Err(AppendError::Misplaced { .. })),
            "another end was taken: {answer:?}"
        );
        assert_eq!(logs.status(attempt(log)).await, Ok(status));
    }
}

/// The end cannot lie within what is held.
pub async fn refuse_an_end_before_held_bytes(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let answer = logs.seal(EPOCH, attempt(1), end(2, 0)).await;
    assert!(
        matches!(answer, Err(AppendError::Misplaced { .. })),
        "an end before held bytes was taken: {answer:?}"
    );
    append(&*logs, attempt(1), vec![chunk(3, "def")]).await;
}

/// Afterwards nothing new is taken, not even what was missing.
pub async fn sealed_log_takes_only_repeats(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    logs.seal(EPOCH, attempt(1), end(9, 0))
        .await
        .expect("a seal");
    factory.settle(&*logs).await;
    let repeat = logs.append(EPOCH, attempt(1), vec![chunk(1, "bc")]).await;
    assert_eq!(repeat, Ok(Appended::Durable { to: 3 }));
    for chunks in [
        vec![chunk(3, "def")],
        vec![chunk(1, "bcd")],
        vec![chunk(7, "x")],
    ] {
        let answer = logs.append(EPOCH, attempt(1), chunks).await;
        assert!(
            matches!(answer, Err(AppendError::Misplaced { .. })),
            "a sealed log grew: {answer:?}"
        );
    }
    let other = logs.append(EPOCH, attempt(1), vec![chunk(0, "aX")]).await;
    assert_eq!(other, Err(AppendError::Conflict { offset: 1 }));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abc");
}

/// A log with bytes, or with bytes that should be there, is as sealed after a restart as before.
pub async fn seal_is_kept_over_a_restart(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    logs.seal(EPOCH, attempt(1), end(3, 7))
        .await
        .expect("a seal");
    logs.seal(EPOCH, attempt(2), end(5, 0))
        .await
        .expect("a seal");
    factory.settle(&*logs).await;
    let Some(logs) = factory.reopen(logs).await else {
        return;
    };
    let complete = LogStatus::sealed(3, end(3, 7));
    assert_eq!(logs.status(attempt(1)).await, Ok(complete));
    let lost = LogStatus::sealed(0, end(5, 0));
    assert_eq!(logs.watch(attempt(2), 0).await, Ok(lost));
    assert_eq!(logs.seal(EPOCH, attempt(1), end(3, 7)).await, Ok(complete));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abc");
}
