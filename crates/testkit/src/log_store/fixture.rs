//! Chunks and attempts of which the cases are made.

use bytes::Bytes;
use jobyard_core::{
    Appended, AttemptId, AttemptNumber, Epoch, JobId, LogChunk, LogStore, OutputStream, Timestamp,
};
use uuid::Uuid;

/// The term of cases that have only one.
pub(super) const EPOCH: Epoch = Epoch(3);

/// The first attempt of the job with this number.
pub(super) fn attempt(job: u128) -> AttemptId {
    let job = JobId::from_uuid(Uuid::from_u128(job));
    AttemptId::new(job, AttemptNumber::FIRST)
}

/// Standard output at this offset; the time is the offset.
pub(super) fn chunk(offset: u64, bytes: impl Into<Bytes>) -> LogChunk {
    on(OutputStream::Stdout, offset, bytes)
}

/// Output of a stream at this offset; the time is the offset.
pub(super) fn on(stream: OutputStream, offset: u64, bytes: impl Into<Bytes>) -> LogChunk {
    let at = Timestamp::from_micros(i64::try_from(offset).unwrap_or(i64::MAX));
    LogChunk::new(offset, stream, at, bytes.into())
}

/// Appends, and expects everything up to the end of the chunks to be durable.
pub(super) async fn append(logs: &dyn LogStore, attempt: AttemptId, chunks: Vec<LogChunk>) {
    let to = chunks.last().map_or(0, LogChunk::end);
    let answer = logs.append(EPOCH, attempt, chunks).await;
    assert_eq!(answer, Ok(Appended::Durable { to }));
}

/// All chunks from an offset on, read piece by piece; checks that they follow each other.
pub(super) async fn chunks_from(
    logs: &dyn LogStore,
    attempt: AttemptId,
    from: u64,
    limit: usize,
) -> Vec<LogChunk> {
    let mut chunks: Vec<LogChunk> = Vec::new();
    let mut next = from;
    loop {
        let read = logs.read(attempt, next, limit).await.expect("a read");
        if read.is_empty() {
            return chunks;
        }
        for chunk in &read {
            assert_eq!(chunk.offset, next, "a chunk does not follow the one before");
            assert!(!chunk.bytes.is_empty(), "a chunk is empty");
            next = chunk.end();
        }
        chunks.extend(read);
    }
}

/// All bytes from an offset on.
pub(super) async fn bytes_from(logs: &dyn LogStore, attempt: AttemptId, from: u64) -> Vec<u8> {
    let chunks = chunks_from(logs, attempt, from, 1_000).await;
    chunks
        .iter()
        .flat_map(|chunk| chunk.bytes.to_vec())
        .collect()
}

/// Every byte with its stream and time: what a log says, whatever the borders of its chunks.
pub(super) fn spelled(chunks: &[LogChunk]) -> Vec<(u8, OutputStream, Timestamp)> {
    let each = |chunk: &LogChunk| {
        let (stream, at) = (chunk.stream, chunk.at);
        let bytes = chunk.bytes.to_vec();
        bytes.into_iter().map(move |byte| (byte, stream, at))
    };
    chunks.iter().flat_map(each).collect()
}
