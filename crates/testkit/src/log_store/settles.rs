//! Logs that are over, in the form in which a store keeps them for long.

use jobyard_core::{
    LogChunk, LogEnd, LogStatus, LogStore, MAX_CHUNK_BYTES, OutputStream, Timestamp,
};

use super::LogStoreFactory;
use super::fixture::{EPOCH, append, attempt, bytes_from, chunk, chunks_from, on, spelled};
use crate::random::Random;

/// Complete after so many bytes.
const fn complete(bytes: u64) -> LogEnd {
    LogEnd { bytes, dropped: 0 }
}

/// Seals a log at what is held, and settles it.
async fn settle(factory: &dyn LogStoreFactory, logs: &dyn LogStore, log: u128) -> LogStatus {
    let held = logs.status(attempt(log)).await.expect("a status").end;
    let sealed = logs.seal(EPOCH, attempt(log), complete(held)).await;
    let sealed = sealed.expect("a seal");
    factory.settle(logs).await;
    let settled = logs.status(attempt(log)).await;
    assert_eq!(settled, Ok(sealed), "settling has changed how a log stands");
    sealed
}

/// Chunks of both streams, of lengths and times that follow no rule.
fn scattered(seed: u64, pieces: usize, longest: usize) -> Vec<LogChunk> {
    let mut random = Random::new(seed);
    let mut offset = 0;
    let each = (0..pieces).map(|piece| {
        let stream = [OutputStream::Stdout, OutputStream::Stderr][random.index(2)];
        let length = 1 + random.index(longest);
        // Half of it repeats itself, as output does, and half does not.
        let bytes = match piece % 2 {
            0 => random.bytes(length),
            _ => b"the same line\n".repeat(length.div_ceil(14))[..length].to_vec(),
        };
        let mut chunk = on(stream, offset, bytes);
        // Clocks are set back now and then.
        let at = i64::try_from(random.below(1_000_000)).unwrap_or(0) - 500_000;
        chunk.at = Timestamp::from_micros(at);
        offset = chunk.end();
        chunk
    });
    each.collect()
}

/// A reader may begin anywhere.
pub async fn settled_log_reads_as_before_from_every_offset(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let chunks = scattered(0x5eed_0010, 12, 40);
    let all = spelled(&chunks);
    append(&*logs, attempt(1), chunks).await;
    settle(factory, &*logs, 1).await;
    for from in 0..=all.len() {
        let read = chunks_from(&*logs, attempt(1), from as u64, 10).await;
        assert_eq!(spelled(&read), all[from..], "from {from}");
    }
    let beyond = logs.read(attempt(1), all.len() as u64 + 1, 10).await;
    assert_eq!(beyond, Ok(Vec::new()));
    let one = logs.read(attempt(1), 0, 0).await.expect("a read");
    assert!(!one.is_empty(), "a read of 0 gave nothing");
}

/// A store may give other borders than were written, but not because time has passed.
pub async fn settled_log_keeps_borders_streams_and_times(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let mut chunks = scattered(0x5eed_0011, 300, 4_000);
    let end = chunks.last().map_or(0, LogChunk::end);
    for (index, at) in [i64::MIN, i64::MAX, 0].into_iter().enumerate() {
        let offset = end + index as u64;
        let at = Timestamp::from_micros(at);
        chunks.push(LogChunk::new(offset, OutputStream::Stderr, at, "x".into()));
    }
    append(&*logs, attempt(1), chunks.clone()).await;
    let before = chunks_from(&*logs, attempt(1), 0, usize::MAX).await;
    settle(factory, &*logs, 1).await;
    let after = chunks_from(&*logs, attempt(1), 0, usize::MAX).await;
    assert!(before == after, "settling has changed chunks");
    assert!(spelled(&after) == spelled(&chunks), "bytes differ");
}

/// More than fits into one piece of whatever keeps it.
pub async fn settled_large_log_reads_back_and_reopens(factory: &dyn LogStoreFactory) {
    let mut logs = factory.fresh().await;
    let chunks = scattered(0x5eed_0012, 40, MAX_CHUNK_BYTES);
    let bytes: Vec<u8> = chunks
        .iter()
        .flat_map(|chunk| chunk.bytes.to_vec())
        .collect();
    for portion in chunks.chunks(20) {
        append(&*logs, attempt(1), portion.to_vec()).await;
    }
    let sealed = settle(factory, &*logs, 1).await;
    for round in 0..2 {
        let mut random = Random::new(round);
        for _ in 0..8 {
            let from = random.index(bytes.len());
            let limit = 1 + random.index(600_000);
            let read = logs.read(attempt(1), from as u64, limit).await;
            let read = read.expect("a read");
            let found: Vec<u8> = read.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
            assert!(!found.is_empty() && found.len() <= limit + MAX_CHUNK_BYTES);
            assert!(found == bytes[from..from + found.len()], "from {from}");
        }
        assert!(
            bytes_from(&*logs, attempt(1), 0).await == bytes,
            "bytes differ"
        );
        let Some(reopened) = factory.reopen(logs).await else {
            return;
        };
        logs = reopened;
        assert_eq!(logs.status(attempt(1)).await, Ok(sealed));
    }
}

/// There is nothing to wait for.
pub async fn settled_log_does_not_keep_its_follower_waiting(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "abc")]).await;
    let sealed = settle(factory, &*logs, 1).await;
    for from in [0, 3, u64::MAX] {
        assert_eq!(logs.watch(attempt(1), from).await, Ok(sealed));
    }
}

/// A removal leaves nothing that could be found again or takes room.
pub async fn settled_log_can_be_removed_and_written_again(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let empty = logs.usage().await.expect("the usage");
    for text in ["before", "after"] {
        append(&*logs, attempt(1), vec![chunk(0, text)]).await;
        settle(factory, &*logs, 1).await;
        assert_eq!(bytes_from(&*logs, attempt(1), 0).await, text.as_bytes());
        let one = logs.usage().await.expect("the usage");
        assert_eq!(one.logs, 1);
        assert!(one.bytes + one.archived >= text.len() as u64);
        assert_eq!(logs.usage_of(attempt(1)).await, Ok(one));
        for _ in 0..2 {
            logs.remove(attempt(1)).await.expect("a removal");
            factory.settle(&*logs).await;
            assert_eq!(logs.status(attempt(1)).await, Ok(LogStatus::open(0)));
            assert_eq!(logs.read(attempt(1), 0, 100).await, Ok(Vec::new()));
        }
        assert_eq!(logs.usage().await, Ok(empty));
    }
    append(&*logs, attempt(1), vec![chunk(0, "last")]).await;
    settle(factory, &*logs, 1).await;
    logs.remove(attempt(1)).await.expect("a removal");
    let Some(logs) = factory.reopen(logs).await else {
        return;
    };
    assert_eq!(logs.status(attempt(1)).await, Ok(LogStatus::open(0)));
    factory.settle(&*logs).await;
    assert_eq!(logs.usage().await, Ok(empty));
}

/// Logs that go on, in the same job and in others, are left alone.
pub async fn settling_disturbs_no_other_log(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    for log in 1..4 {
        append(&*logs, attempt(log), vec![chunk(0, "abc")]).await;
    }
    settle(factory, &*logs, 2).await;
    for log in [1, 3] {
        let status = logs.status(attempt(log)).await;
        assert_eq!(status, Ok(LogStatus::open(3)));
        append(&*logs, attempt(log), vec![chunk(3, "def")]).await;
        assert_eq!(bytes_from(&*logs, attempt(log), 0).await, b"abcdef");
    }
}
