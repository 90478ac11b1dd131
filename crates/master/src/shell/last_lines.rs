//! Where the last lines of a log begin.

use jobyard_core::{AttemptId, LogChunk, LogReadError, LogStore, OutputStream};

/// How many bytes are looked at at once: what this takes of memory. A log is read backwards only as far as its lines
/// need, and at most once.
const BLOCK_BYTES: u64 = 256 * 1024;

/// The offset at which the last so many lines below `end` begin: of one stream, or of the whole sequence. A last line
/// without a line end counts.
pub(super) async fn begin_of_last_lines(
    logs: &dyn LogStore,
    attempt: AttemptId,
    end: u64,
    lines: u64,
    stream: Option<OutputStream>,
) -> Result<u64, LogReadError> {
    let mut backwards = Backwards {
        left: lines,
        seen: false,
    };
    if lines == 0 {
        return Ok(end);
    }
    let mut block_end = end;
    while block_end > 0 {
        let begin = block_end.saturating_sub(BLOCK_BYTES);
        let chunks = span(logs, attempt, begin, block_end).await?;
        let chosen = chunks
            .iter()
            .rev()
            .filter(|chunk| stream.is_none_or(|stream| stream == chunk.stream));
        for chunk in chosen {
            if let Some(found) = backwards.pass(chunk) {
                return Ok(found);
            }
        }
        block_end = begin;
    }
    Ok(0)
}

/// What stands between two offsets.
async fn span(
    logs: &dyn LogStore,
    attempt: AttemptId,
    begin: u64,
    end: u64,
) -> Result<Vec<LogChunk>, LogReadError> {
    let mut found = Vec::new();
    let mut at = begin;
    while at < end {
        let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
        let chunks = logs.read(attempt, at, rest).await?;
        let Some(last) = chunks.last() else { break };
        at = last.end();
        found.extend(chunks);
    }
    if let Some(last) = found.last_mut() {
        let beyond = usize::try_from(at.saturating_sub(end)).unwrap_or(usize::MAX);
        last.bytes.truncate(last.bytes.len().saturating_sub(beyond));
    }
    Ok(found)
}

/// Counts lines from the end.
struct Backwards {
    /// How many beginnings of lines are still to come by; at least one.
    left: u64,
    /// Whether any byte was passed: the very last one ends a line and begins none.
    seen: bool,
}

impl Backwards {
    /// Where the line begins that is wanted, if it begins within this chunk.
    fn pass(&mut self, chunk: &LogChunk) -> Option<u64> {
        for (place, byte) in chunk.bytes.iter().enumerate().rev() {
            if *byte == b'\n' && self.seen {
                self.left -= 1;
                if self.left == 0 {
                    return Some(chunk.offset + place as u64 + 1);
                }
            }
            self.seen = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputStream::{Stderr, Stdout};
    use bytes::Bytes;
    use jobyard_core::{AttemptNumber, Epoch, JobId, Timestamp};
    use jobyard_store::MemoryLogs;
    use uuid::Uuid;

    async fn log(pieces: &[(OutputStream, &[u8])]) -> (MemoryLogs, AttemptId, u64) {
        let logs = MemoryLogs::new();
        let attempt = AttemptId::new(JobId::from_uuid(Uuid::from_u128(1)), AttemptNumber::FIRST);
        let mut offset = 0;
        for (stream, bytes) in pieces {
            let chunk = LogChunk::new(
                offset,
                *stream,
                Timestamp::default(),
                Bytes::copy_from_slice(bytes),
            );
            offset = chunk.end();
            logs.append(Epoch(1), attempt, vec![chunk])
                .await
                .expect("it is taken");
        }
        (logs, attempt, offset)
    }

    #[tokio::test]
    async fn lines_are_counted_from_the_end() {
        let cases: [(&[u8], u64, u64); 10] = [
            (b"a\nbb\nccc\n", 1, 5),
            (b"a\nbb\nccc\n", 2, 2),
            (b"a\nbb\nccc\n", 3, 0),
            (b"a\nbb\nccc\n", 9, 0),
            (b"a\nbb\nccc", 1, 5),
            (b"a\nbb\n\n", 1, 5),
            (b"\n\n\n", 2, 1),
            (b"no line end", 1, 0),
            (b"a\nb", 0, 3),
            (b"", 5, 0),
        ];
        for (bytes, lines, begin) in cases {
            let pieces = [(Stdout, bytes)];
            let (logs, attempt, end) = log(if bytes.is_empty() { &[] } else { &pieces }).await;
            let found = begin_of_last_lines(&logs, attempt, end, lines, None).await;
            assert_eq!(found, Ok(begin), "{bytes:?} {lines}");
        }
    }

    #[tokio::test]
    async fn lines_of_one_stream_are_counted_in_that_stream() {
        let pieces: [(OutputStream, &[u8]); 5] = [
            (Stdout, b"one\n"),
            (Stderr, b"x\ny\n"),
            (Stdout, b"tw"),
            (Stderr, b"z\n"),
            (Stdout, b"o\n"),
        ];
        let (logs, attempt, end) = log(&pieces).await;
        for (stream, lines, begin) in [
            (Some(Stdout), 1, 4),
            (Some(Stdout), 2, 0),
            (Some(Stderr), 1, 8),
            (Some(Stderr), 2, 6),
            (None, 1, 12),
        ] {
            let found = begin_of_last_lines(&logs, attempt, end, lines, stream).await;
            assert_eq!(found, Ok(begin), "{stream:?} {lines}");
        }
    }

    #[tokio::test]
    async fn long_logs_are_read_backwards_in_blocks() {
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let piece = line.repeat(500);
        let pieces: Vec<(OutputStream, &[u8])> = vec![(Stdout, &piece); 20];
        let (logs, attempt, end) = log(&pieces).await;
        assert!(end > 3 * BLOCK_BYTES);
        for lines in [1, 2_600, 2_622, 7_000, 9_999] {
            let found = begin_of_last_lines(&logs, attempt, end, lines, None).await;
            assert_eq!(found, Ok(end - 100 * lines));
        }
        // What has come meanwhile changes nothing.
        let found = begin_of_last_lines(&logs, attempt, end - 130, 1, None).await;
        assert_eq!(found, Ok(end - 200));
    }
}
