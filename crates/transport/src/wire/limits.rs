//! What jobs may use, and what they used.

use jobyard_core::{LimitKind, Limits, Usage};

use super::InvalidMessage;
use super::field::{at_most, same_names};
use crate::generated::v1;

/// More kinds of limits than any version will know.
const MAX_KINDS: usize = 64;

same_names!(
    LimitKind,
    [
        Memory, Cpu, Processes, ReadRate, WriteRate, OpenFiles, FileSize
    ],
    Unspecified
);

/// A kind, if there is one and it is known here.
pub(super) fn known_kind(wire: i32) -> Option<LimitKind> {
    let kind = v1::LimitKind::try_from(wire).ok()?;
    LimitKind::try_from(kind).ok()
}

/// Those of the kinds that are known here. "Unspecified" is none, and refused.
pub(super) fn known_kinds(field: &str, wire: &[i32]) -> Result<Vec<LimitKind>, InvalidMessage> {
    at_most(field, wire.len(), MAX_KINDS)?;
    if wire.contains(&v1::LimitKind::Unspecified.into()) {
        return Err(InvalidMessage::new(field, "one is unspecified"));
    }
    Ok(wire.iter().filter_map(|kind| known_kind(*kind)).collect())
}

pub(super) fn kinds(kinds: Vec<LimitKind>) -> Vec<i32> {
    let wire = |kind| v1::LimitKind::from(kind).into();
    kinds.into_iter().take(MAX_KINDS).map(wire).collect()
}

/// The message; absent where nothing is limited.
pub(super) fn limits(limits: Limits) -> Option<v1::Limits> {
    let wire = v1::Limits {
        memory: limits.memory,
        cpu: limits.cpu,
        processes: limits.processes,
        read_rate: limits.read_rate,
        write_rate: limits.write_rate,
        open_files: limits.open_files,
        file_size: limits.file_size,
    };
    (limits != Limits::NONE).then_some(wire)
}

impl From<v1::Limits> for Limits {
    /// How large they may be is checked with the rest of the spec.
    fn from(wire: v1::Limits) -> Self {
        let mut limits = Self::NONE;
        limits.memory = wire.memory;
        limits.cpu = wire.cpu;
        limits.processes = wire.processes;
        limits.read_rate = wire.read_rate;
        limits.write_rate = wire.write_rate;
        limits.open_files = wire.open_files;
        limits.file_size = wire.file_size;
        limits
    }
}

impl From<Usage> for v1::Usage {
    fn from(usage: Usage) -> Self {
        Self {
            user_us: usage.user_micros,
            system_us: usage.system_micros,
            peak_memory_bytes: usage.peak_memory_bytes,
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
        }
    }
}

impl From<v1::Usage> for Usage {
    fn from(wire: v1::Usage) -> Self {
        let mut usage = Self::default();
        usage.user_micros = wire.user_us;
        usage.system_micros = wire.system_us;
        usage.peak_memory_bytes = wire.peak_memory_bytes;
        usage.read_bytes = wire.read_bytes;
        usage.written_bytes = wire.written_bytes;
        usage
    }
}
