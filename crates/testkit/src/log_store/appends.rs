//! What an append takes and what it refuses.

use futures_util::future::{join_all, poll_immediate};
use jobyard_core::{
    AppendError, Appended, AttemptId, Epoch, LogEnd, LogStatus, MAX_CHUNK_BYTES, OutputStream,
};

use super::LogStoreFactory;
use super::fixture::{EPOCH, append, attempt, bytes_from, chunk, on};

/// What was acknowledged is there, in order.
pub async fn appended_bytes_are_held(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "one "), chunk(4, "two ")]).await;
    append(&*logs, attempt(1), vec![chunk(8, "three")]).await;
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!(status, LogStatus::open(13));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"one two three");
}

/// The same chunks again are answered the same way.
pub async fn repeated_append_has_one_effect(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for _ in 0..3 {
        append(&*logs, attempt(1), vec![chunk(0, "abc"), chunk(3, "def")]).await;
    }
    let inside = logs.append(EPOCH, attempt(1), vec![chunk(2, "cd")]).await;
    assert_eq!(inside, Ok(Appended::Durable { to: 6 }));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abcdef");
}

/// Chunks may begin before the end, with other borders than before.
pub async fn overlap_is_skipped_and_the_rest_taken(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc"), chunk(3, "def")]).await;
    append(&*logs, attempt(1), vec![chunk(1, "bcde"), chunk(5, "fgh")]).await;
    append(&*logs, attempt(1), vec![chunk(0, "abcdefghij")]).await;
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abcdefghij");
}

/// Other bytes at a held offset are an error, and nothing behind them is taken.
pub async fn conflict_names_the_first_byte_and_changes_nothing(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc"), chunk(3, "def")]).await;
    for (chunks, offset) in [
        (vec![chunk(0, "Abc")], 0),
        (vec![chunk(2, "cdX"), chunk(5, "fgh")], 4),
        (vec![chunk(5, "Xgh")], 5),
    ] {
        let answer = logs.append(EPOCH, attempt(1), chunks).await;
        assert_eq!(answer, Err(AppendError::Conflict { offset }));
    }
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abcdef");
    append(&*logs, attempt(1), vec![chunk(6, "ghi")]).await;
}

/// Bytes ahead of the end are not taken, and the answer says where to go on.
pub async fn gap_names_what_is_expected_and_changes_nothing(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let early = logs.append(EPOCH, attempt(1), vec![chunk(1, "b")]).await;
    assert_eq!(early, Ok(Appended::Gap { expected: 0 }));
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let early = logs
        .append(EPOCH, attempt(1), vec![chunk(9, "later")])
        .await;
    assert_eq!(early, Ok(Appended::Gap { expected: 3 }));
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"abc");
}

/// The chunks of one append follow each other.
pub async fn refuse_chunks_with_holes(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for chunks in [
        vec![chunk(0, "abc"), chunk(4, "e")],
        vec![chunk(0, "abc"), chunk(2, "c")],
        vec![chunk(3, "d"), chunk(0, "abc")],
    ] {
        let answer = logs.append(EPOCH, attempt(1), chunks).await;
        assert!(
            matches!(answer, Err(AppendError::Misplaced { .. })),
            "chunks that do not follow each other were taken: {answer:?}"
        );
    }
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!(status, LogStatus::open(0));
}

/// A chunk has at least one byte and at most the limit.
pub async fn refuse_empty_and_oversized_chunks(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for bytes in [Vec::new(), vec![7; MAX_CHUNK_BYTES + 1]] {
        let answer = logs.append(EPOCH, attempt(1), vec![chunk(0, bytes)]).await;
        assert!(
            matches!(answer, Err(AppendError::Misplaced { .. })),
            "a chunk of impossible size was taken: {answer:?}"
        );
    }
    append(&*logs, attempt(1), vec![chunk(0, vec![7; MAX_CHUNK_BYTES])]).await;
}

/// No arithmetic overflows.
pub async fn refuse_offsets_beyond_the_largest(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let chunks = vec![chunk(u64::MAX - 1, "abc")];
    let answer = logs.append(EPOCH, attempt(1), chunks).await;
    assert!(
        matches!(answer, Err(AppendError::Misplaced { .. })),
        "a chunk that ends beyond the largest offset was taken: {answer:?}"
    );
    let far = logs.read(attempt(1), u64::MAX, usize::MAX).await;
    assert_eq!(far, Ok(Vec::new()));
}

/// An append without chunks asks how far the log is durable.
pub async fn appending_nothing_tells_what_is_durable(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for to in [0, 3] {
        let answer = logs.append(EPOCH, attempt(1), Vec::new()).await;
        assert_eq!(answer, Ok(Appended::Durable { to }));
        append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    }
}

/// Once a newer master was seen, the older one writes nothing, in no log.
pub async fn fence_appends_and_seals_of_an_older_epoch(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let (old, new) = (Epoch(4), Epoch(5));
    let first = logs.append(old, attempt(1), vec![chunk(0, "abc")]).await;
    assert_eq!(first, Ok(Appended::Durable { to: 3 }));
    let newer = logs.append(new, attempt(2), vec![chunk(0, "abc")]).await;
    assert_eq!(newer, Ok(Appended::Durable { to: 3 }));
    let fenced = Err(AppendError::Fenced { current: new });
    for log in [attempt(1), attempt(2), attempt(3)] {
        let late = logs.append(old, log, vec![chunk(0, "abc")]).await;
        assert_eq!(late, fenced, "{log}");
    }
    let seal = logs.seal(old, attempt(1), LogEnd::default()).await;
    assert_eq!(seal, Err(AppendError::Fenced { current: new }));
    let again = logs.append(new, attempt(1), vec![chunk(3, "def")]).await;
    assert_eq!(again, Ok(Appended::Durable { to: 6 }));
}

/// Every attempt has a log of its own.
pub async fn attempts_of_a_job_are_apart(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let first = attempt(1);
    let second = AttemptId::new(first.job, first.number.next());
    append(&*logs, first, vec![chunk(0, "first")]).await;
    append(&*logs, second, vec![chunk(0, "second")]).await;
    append(&*logs, attempt(2), vec![chunk(0, "other")]).await;
    assert_eq!(bytes_from(&*logs, first, 0).await, b"first");
    assert_eq!(bytes_from(&*logs, second, 0).await, b"second");
    logs.remove(first).await.expect("a removal");
    assert_eq!(bytes_from(&*logs, first, 0).await, b"");
    assert_eq!(bytes_from(&*logs, second, 0).await, b"second");
}

/// Two links that send the same bytes at once do not disturb each other, nor do many attempts.
pub async fn concurrent_appends_of_the_same_bytes_agree(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let sends = (0..160_u8).map(|send| {
        let (log, to) = (
            attempt(u128::from(send % 8)),
            1 + usize::from(send / 8) * 10,
        );
        let chunks = vec![chunk(0, bytes[..to].to_vec())];
        logs.append(EPOCH, log, chunks)
    });
    for answer in join_all(sends).await {
        assert!(matches!(answer, Ok(Appended::Durable { .. })), "{answer:?}");
    }
    for log in 0..8 {
        assert_eq!(bytes_from(&*logs, attempt(log), 0).await, bytes[..191]);
    }
}

/// An append whose future was dropped may be repeated, and happens once.
pub async fn dropped_append_is_repeated_safely(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for offset in 0..40_u8 {
        let stream = [OutputStream::Stdout, OutputStream::Stderr][usize::from(offset % 2)];
        let chunks = || vec![on(stream, u64::from(offset), vec![offset])];
        // Polled once and dropped: it may or may not have happened.
        drop(poll_immediate(logs.append(EPOCH, attempt(1), chunks())).await);
        append(&*logs, attempt(1), chunks()).await;
    }
    let expected: Vec<u8> = (0..40).collect();
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, expected);
}
