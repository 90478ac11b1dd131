//! What readers get, and what is left after a removal or a restart.

use jobyard_core::{
    Appended, LogChunk, LogEnd, LogStatus, LogStore, MAX_CHUNK_BYTES, OutputStream, Timestamp,
};

use super::LogStoreFactory;
use super::fixture::{EPOCH, append, attempt, bytes_from, chunk, chunks_from, on, spelled};
use crate::random::Random;

/// Both streams, in chunks of different lengths.
fn two_streams() -> Vec<LogChunk> {
    let mut offset = 0;
    let mut random = Random::new(0x5eed_0003);
    let lengths = [1, 7, 2, 100, 1, 33];
    let each = lengths.iter().enumerate().map(|(index, length)| {
        let stream = [OutputStream::Stdout, OutputStream::Stderr][index % 2];
        let chunk = on(stream, offset, random.bytes(*length));
        offset = chunk.end();
        chunk
    });
    each.collect()
}

/// Nobody wrote, nobody sealed: that is no error.
pub async fn unwritten_log_is_open_and_empty(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!(status, LogStatus::open(0));
    for from in [0, 5] {
        assert_eq!(logs.read(attempt(1), from, 100).await, Ok(Vec::new()));
    }
    logs.remove(attempt(1)).await.expect("a removal");
    logs.remove(attempt(1)).await.expect("a second removal");
}

/// A reader may begin anywhere, also within a chunk.
pub async fn read_from_every_offset_is_exact(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let chunks = two_streams();
    let all = spelled(&chunks);
    append(&*logs, attempt(1), chunks).await;
    for from in 0..=all.len() {
        let read = chunks_from(&*logs, attempt(1), from as u64, 10).await;
        assert_eq!(spelled(&read), all[from..], "from {from}");
    }
    let beyond = logs.read(attempt(1), all.len() as u64 + 1, 10).await;
    assert_eq!(beyond, Ok(Vec::new()));
}

/// Each byte keeps the stream that it came from and the time at which it was read, however it was sent.
pub async fn read_keeps_streams_and_times(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let chunks = two_streams();
    for chunk in &chunks {
        append(&*logs, attempt(1), vec![chunk.clone()]).await;
    }
    let read = chunks_from(&*logs, attempt(1), 0, usize::MAX).await;
    assert_eq!(spelled(&read), spelled(&chunks));
    let early = Timestamp::from_micros(i64::MIN);
    let last = LogChunk::new(144, OutputStream::Stderr, early, "x".into());
    append(&*logs, attempt(1), vec![last.clone()]).await;
    assert_eq!(logs.read(attempt(1), 144, 1).await, Ok(vec![last]));
}

/// About `limit` bytes, and one chunk at least.
pub async fn read_limit_bounds_the_answer(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let chunks = (0..100).map(|index| chunk(index * 10, "0123456789"));
    append(&*logs, attempt(1), chunks.collect()).await;
    for limit in [0, 1, 10, 55, 300] {
        let read = logs.read(attempt(1), 5, limit).await.expect("a read");
        let bytes: usize = read.iter().map(|chunk| chunk.bytes.len()).sum();
        assert!(!read.is_empty(), "a read of {limit} gave nothing");
        assert!(
            bytes <= limit + MAX_CHUNK_BYTES && bytes <= limit.max(10) + 10,
            "a read of {limit} gave {bytes}"
        );
    }
}

/// More than fits into one piece of whatever keeps it.
pub async fn large_log_reads_back_and_reopens(factory: &dyn LogStoreFactory) {
    const PIECES: u64 = 300;
    let piece = |index: u64| {
        let bytes = Random::new(index).bytes(MAX_CHUNK_BYTES);
        chunk(index * MAX_CHUNK_BYTES as u64, bytes)
    };
    let logs = factory.fresh().await;
    for first in (0..PIECES).step_by(20) {
        let pieces = (first..first + 20).map(piece).collect();
        append(&*logs, attempt(1), pieces).await;
    }
    check_pieces(&*logs, &piece, PIECES).await;
    if let Some(logs) = factory.reopen(logs).await {
        check_pieces(&*logs, &piece, PIECES).await;
        append(&*logs, attempt(1), vec![piece(PIECES)]).await;
        check_pieces(&*logs, &piece, PIECES + 1).await;
    }
}

/// All pieces, walked along in large steps.
async fn check_pieces(logs: &dyn LogStore, piece: &impl Fn(u64) -> LogChunk, pieces: u64) {
    let end = pieces * MAX_CHUNK_BYTES as u64;
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!(status, LogStatus::open(end));
    let mut index = 0;
    let mut held = Vec::new();
    let mut next = 0;
    while next < end {
        let read = logs.read(attempt(1), next, 500_000).await.expect("a read");
        assert!(
            !read.is_empty(),
            "nothing at {next}, although {end} are held"
        );
        for chunk in read {
            assert_eq!(chunk.offset, next, "a chunk does not follow the one before");
            next = chunk.end();
            held.extend_from_slice(&chunk.bytes);
            if held.len() >= MAX_CHUNK_BYTES {
                let rest = held.split_off(MAX_CHUNK_BYTES);
                assert!(held == piece(index).bytes, "piece {index} differs");
                (held, index) = (rest, index + 1);
            }
        }
    }
    assert_eq!(index, pieces);
}

/// A removal forgets bytes and seal.
pub async fn removed_log_is_open_and_empty_and_can_be_written_again(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    append(&*logs, attempt(1), vec![chunk(0, "before")]).await;
    let end = LogEnd {
        bytes: 6,
        dropped: 0,
    };
    logs.seal(EPOCH, attempt(1), end).await.expect("a seal");
    for _ in 0..2 {
        logs.remove(attempt(1)).await.expect("a removal");
        let status = logs.status(attempt(1)).await.expect("a status");
        assert_eq!(status, LogStatus::open(0));
        assert_eq!(logs.read(attempt(1), 0, 100).await, Ok(Vec::new()));
    }
    append(&*logs, attempt(1), vec![chunk(0, "after")]).await;
    assert_eq!(bytes_from(&*logs, attempt(1), 0).await, b"after");
}

/// Logs without output are not counted; others take at least their bytes.
pub async fn usage_follows_appends_and_removals(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let empty = logs.usage().await.expect("the usage");
    assert_eq!((empty.logs, empty.bytes), (0, 0));
    logs.status(attempt(9)).await.expect("a status");
    for log in 0..5 {
        append(&*logs, attempt(log), vec![chunk(0, vec![7; 1_000])]).await;
    }
    let full = logs.usage().await.expect("the usage");
    assert_eq!(full.logs, 5);
    assert!(full.bytes >= 5_000, "{} bytes for 5000", full.bytes);
    logs.remove(attempt(0)).await.expect("a removal");
    let less = logs.usage().await.expect("the usage");
    assert_eq!(less.logs, 4);
    assert!(less.bytes < full.bytes, "a removal freed nothing");
    let Some(logs) = factory.reopen(logs).await else {
        return;
    };
    assert_eq!(logs.usage().await, Ok(less));
    for log in 1..5 {
        logs.remove(attempt(log)).await.expect("a removal");
    }
    assert_eq!(logs.usage().await, Ok(empty));
}

/// What was acknowledged before a restart is there after it, and goes on.
pub async fn reopened_logs_hold_everything(factory: &dyn LogStoreFactory) {
    let logs = factory.fresh().await;
    let chunks = two_streams();
    for chunk in &chunks {
        append(&*logs, attempt(1), vec![chunk.clone()]).await;
    }
    append(&*logs, attempt(2), vec![chunk(0, "other")]).await;
    let Some(logs) = factory.reopen(logs).await else {
        return;
    };
    let status = logs.status(attempt(1)).await.expect("a status");
    assert_eq!(status, LogStatus::open(144));
    let read = chunks_from(&*logs, attempt(1), 0, 1_000).await;
    assert_eq!(spelled(&read), spelled(&chunks));
    append(&*logs, attempt(1), vec![chunk(144, "more")]).await;
    let again = logs
        .append(EPOCH, attempt(2), vec![chunk(0, "other")])
        .await;
    assert_eq!(again, Ok(Appended::Durable { to: 5 }));
    assert_eq!(bytes_from(&*logs, attempt(1), 144).await, b"more");
}

/// Random bytes in random chunks, with random overlaps and restarts, read at random places.
pub async fn random_appends_and_reads_agree_with_a_model(factory: &dyn LogStoreFactory) {
    const SEED: u64 = 0x5eed_0002;
    let mut logs = factory.fresh().await;
    let mut random = Random::new(SEED);
    let mut model: Vec<LogChunk> = Vec::new();
    for round in 0..120 {
        let end = model.last().map_or(0, LogChunk::end);
        let repeated = random.index(4);
        let mut chunks = model.split_off(model.len().saturating_sub(repeated));
        for _ in 0..=random.below(4) {
            let offset = chunks.last().map_or(end, LogChunk::end);
            let stream = [OutputStream::Stdout, OutputStream::Stderr][random.index(2)];
            let length = 1 + random.index(3_000);
            chunks.push(on(stream, offset, random.bytes(length)));
        }
        append(&*logs, attempt(1), chunks.clone()).await;
        model.extend(chunks);

        let all = spelled(&model);
        let from = random.index(all.len() + 1);
        let read = chunks_from(&*logs, attempt(1), from as u64, 1 + random.index(9_000)).await;
        assert!(
            spelled(&read) == all[from..],
            "bytes from {from} differ, seed {SEED:#x}"
        );
        if round % 40 == 39 {
            let Some(reopened) = factory.reopen(logs).await else {
                return;
            };
            logs = reopened;
        }
    }
}
