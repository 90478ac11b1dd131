//! What every log store asks of the chunks that it is given.

use jobyard_core::{AppendError, LogChunk, MAX_CHUNK_BYTES};

/// Checks that chunks follow each other without holes and are of an allowed size. Where they begin and end, or `None`
/// if there are none.
pub(crate) fn span(chunks: &[LogChunk]) -> Result<Option<(u64, u64)>, AppendError> {
    let misplaced = |problem| AppendError::Misplaced { problem };
    let Some(first) = chunks.first() else {
        return Ok(None);
    };
    let mut end = first.offset;
    for chunk in chunks {
        if chunk.bytes.is_empty() {
            return Err(misplaced("a chunk is empty"));
        }
        if chunk.bytes.len() > MAX_CHUNK_BYTES {
            return Err(misplaced("a chunk is larger than allowed"));
        }
        if chunk.offset != end {
            return Err(misplaced("the chunks do not follow each other"));
        }
        end = end
            .checked_add(chunk.bytes.len() as u64)
            .ok_or(misplaced("the chunks end beyond the largest offset"))?;
    }
    Ok(Some((first.offset, end)))
}

/// The part of a chunk from an offset on; `None` if it ends before.
pub(crate) fn from_offset(chunk: &LogChunk, from: u64) -> Option<LogChunk> {
    if from <= chunk.offset {
        return Some(chunk.clone());
    }
    let skipped = usize::try_from(from - chunk.offset).ok()?;
    (skipped < chunk.bytes.len())
        .then(|| LogChunk::new(from, chunk.stream, chunk.at, chunk.bytes.slice(skipped..)))
}

/// The first offset at which a held chunk and given chunks differ, where both have bytes.
pub(crate) fn first_difference(held: &LogChunk, given: &[LogChunk]) -> Option<u64> {
    for chunk in given {
        let from = held.offset.max(chunk.offset);
        let to = held.end().min(chunk.end());
        if from >= to {
            continue;
        }
        let part = |of: &LogChunk| {
            // Both bounds lie within the chunk, so they fit.
            let start = usize::try_from(from - of.offset).unwrap_or(0);
            let end = usize::try_from(to - of.offset).unwrap_or(0);
            of.bytes.slice(start..end)
        };
        let (ours, theirs) = (part(held), part(chunk));
        if ours == theirs {
            continue;
        }
        let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        return Some(from + same as u64);
    }
    None
}
