//! Ids, facts and pieces of output.

use jobyard_core::{
    AttemptId, AttemptNumber, LogChunk, LogEnd, LogState, MAX_CHUNK_BYTES, Timestamp, WorkerFacts,
};

use super::InvalidMessage;
use super::field::{at_most, choice, id_bytes, job_id, kind, same_names, short_text};
use crate::generated::v1;

impl From<AttemptId> for v1::AttemptId {
    fn from(id: AttemptId) -> Self {
        Self {
            job: id_bytes(id.job.as_uuid()),
            number: id.number.get(),
        }
    }
}

impl TryFrom<v1::AttemptId> for AttemptId {
    type Error = InvalidMessage;

    fn try_from(id: v1::AttemptId) -> Result<Self, InvalidMessage> {
        let number = AttemptNumber::new(id.number)
            .ok_or_else(|| InvalidMessage::new("number", "attempts are counted from 1"))?;
        Ok(Self::new(job_id("job", &id.job)?, number))
    }
}

impl From<WorkerFacts> for v1::WorkerFacts {
    fn from(facts: WorkerFacts) -> Self {
        Self {
            host: facts.host,
            os: facts.os,
            arch: facts.arch,
            version: facts.version,
            cores: facts.cores,
            memory_bytes: facts.memory_bytes,
        }
    }
}

impl TryFrom<v1::WorkerFacts> for WorkerFacts {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WorkerFacts) -> Result<Self, InvalidMessage> {
        let mut facts = Self::default();
        facts.host = short_text("host", wire.host)?;
        facts.os = short_text("os", wire.os)?;
        facts.arch = short_text("arch", wire.arch)?;
        facts.version = short_text("version", wire.version)?;
        facts.cores = wire.cores;
        facts.memory_bytes = wire.memory_bytes;
        Ok(facts)
    }
}

same_names!(OutputStream, [Stdout, Stderr]);

same_names!(LogRemoval, [Age, Room], Unspecified);

impl From<LogChunk> for v1::LogChunk {
    fn from(chunk: LogChunk) -> Self {
        Self {
            offset: chunk.offset,
            stream: v1::OutputStream::from(chunk.stream).into(),
            at_us: chunk.at.as_micros(),
            data: chunk.bytes,
        }
    }
}

impl TryFrom<v1::LogChunk> for LogChunk {
    type Error = InvalidMessage;

    fn try_from(chunk: v1::LogChunk) -> Result<Self, InvalidMessage> {
        if chunk.data.is_empty() {
            return Err(InvalidMessage::new("data", "a chunk has at least one byte"));
        }
        at_most("data", chunk.data.len(), MAX_CHUNK_BYTES)?;
        if chunk.offset.checked_add(chunk.data.len() as u64).is_none() {
            return Err(InvalidMessage::new(
                "offset",
                "the chunk ends beyond all numbers",
            ));
        }
        Ok(Self::new(
            chunk.offset,
            choice::<v1::OutputStream, _>("stream", chunk.stream)?,
            Timestamp::from_micros(chunk.at_us),
            chunk.data,
        ))
    }
}

impl From<LogEnd> for v1::LogEnd {
    fn from(end: LogEnd) -> Self {
        Self {
            bytes: end.bytes,
            dropped: end.dropped,
        }
    }
}

impl TryFrom<v1::LogEnd> for LogEnd {
    type Error = InvalidMessage;

    fn try_from(end: v1::LogEnd) -> Result<Self, InvalidMessage> {
        Ok(Self {
            bytes: end.bytes,
            dropped: end.dropped,
        })
    }
}

impl From<LogState> for v1::LogState {
    fn from(state: LogState) -> Self {
        use v1::log_state::Kind;

        let kind = match state {
            LogState::Uploading => Some(Kind::Uploading(v1::Nothing {})),
            LogState::Complete => Some(Kind::Complete(v1::Nothing {})),
            LogState::LostFrom(offset) | LogState::Corrupt(offset) => Some(Kind::LostFrom(offset)),
            // To a peer that does not know better, what was removed is lost.
            LogState::Removed { .. } => Some(Kind::LostFrom(0)),
            _ => None,
        };
        let corrupt = matches!(state, LogState::Corrupt(_));
        let removed = match state {
            LogState::Removed { at, why } => Some(v1::LogRemoved {
                at_us: at.as_micros(),
                why: v1::LogRemoval::from(why).into(),
            }),
            _ => None,
        };
        Self {
            kind,
            corrupt,
            removed,
        }
    }
}

impl TryFrom<v1::LogState> for LogState {
    type Error = InvalidMessage;

    fn try_from(state: v1::LogState) -> Result<Self, InvalidMessage> {
        use v1::log_state::Kind;

        let kind = kind(state.kind)?;
        if let Some(removed) = state.removed {
            return Ok(Self::Removed {
                at: Timestamp::from_micros(removed.at_us),
                why: choice::<v1::LogRemoval, _>("why", removed.why)?,
            });
        }
        Ok(match kind {
            Kind::Uploading(_) => Self::Uploading,
            Kind::Complete(_) => Self::Complete,
            Kind::LostFrom(offset) if state.corrupt => Self::Corrupt(offset),
            Kind::LostFrom(offset) => Self::LostFrom(offset),
        })
    }
}
