//! What a job may use.

use jobyard_core::{LimitKind, Limits, show_amount};
use serde::Serialize;

use super::resources::Cores;

/// The limits that are set, as in a job file.
#[derive(Debug, Serialize)]
pub(crate) struct LimitsView {
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u64>,
    /// In bytes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_rate: Option<u64>,
    /// In bytes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    write_rate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_files: Option<u64>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

impl From<Limits> for LimitsView {
    fn from(limits: Limits) -> Self {
        Self {
            memory: limits.memory,
            cpu: limits.cpu.map(Cores),
            processes: limits.processes,
            read_rate: limits.read_rate,
            write_rate: limits.write_rate,
            open_files: limits.open_files,
            file_size: limits.file_size,
        }
    }
}

/// The limits that are set, in a line for people.
pub(crate) fn limits_text(limits: &Limits) -> Option<String> {
    let one = |kind: LimitKind| {
        let limit = limits.of(kind)?;
        Some(match kind {
            LimitKind::Cpu => format!("{kind} {} cores", show_amount("cpu", limit)),
            LimitKind::Memory | LimitKind::FileSize => {
                format!("{kind} {}", show_amount("memory", limit))
            }
            LimitKind::ReadRate | LimitKind::WriteRate => {
                format!("{kind} {}/s", show_amount("memory", limit))
            }
            _ => format!("{kind} {limit}"),
        })
    };
    let parts: Vec<_> = limits.kinds().filter_map(one).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
