//! What attempts used and left behind.

use std::time::Duration;

use jobyard_core::{KilledProcess, LimitKind, Residue, Usage};
use serde::Serialize;

use super::time::duration;
use crate::escape::escape_line;
use crate::size::show_size;

/// What an attempt used, where it was measured.
#[derive(Debug, Serialize)]
pub(super) struct UsageView {
    cpu_us: u64,
    user_us: u64,
    system_us: u64,
    peak_memory_bytes: Option<u64>,
    read_bytes: Option<u64>,
    written_bytes: Option<u64>,
}

impl From<&Usage> for UsageView {
    fn from(usage: &Usage) -> Self {
        Self {
            cpu_us: usage.cpu_micros(),
            user_us: usage.user_micros,
            system_us: usage.system_micros,
            peak_memory_bytes: usage.peak_memory_bytes,
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
        }
    }
}

/// What an attempt left behind, and what was done about it.
#[derive(Debug, Serialize)]
pub(super) struct ResidueView {
    killed: u32,
    /// The first of those that were killed.
    processes: Vec<ProcessView>,
    output_held_open: bool,
    unconfirmed: bool,
    limit_hit: Option<&'static str>,
    unenforced_limits: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct ProcessView {
    pid: u32,
    name: String,
}

impl From<&Residue> for ResidueView {
    fn from(residue: &Residue) -> Self {
        let process = |process: &KilledProcess| ProcessView {
            pid: process.pid,
            name: process.name.clone(),
        };
        Self {
            killed: residue.killed,
            processes: residue.processes.iter().map(process).collect(),
            output_held_open: residue.output_held_open,
            unconfirmed: residue.unconfirmed,
            limit_hit: residue.limit_hit.map(LimitKind::as_str),
            unenforced_limits: names(residue),
        }
    }
}

/// What people want to know of it: a heading and a text for each thing that there is to say.
pub(crate) fn residue_lines(residue: &Residue) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(usage) = &residue.usage {
        lines.push(("used", used(usage)));
    }
    if let Some(limit) = residue.limit_hit {
        lines.push(("limit hit", limit.to_string()));
    }
    if !residue.unenforced.is_empty() {
        lines.push(("not enforced", names(residue).join(", ")));
    }
    if residue.killed > 0 {
        lines.push(("killed", killed(residue)));
    }
    if residue.output_held_open {
        let text = "held open after the end, and cut off";
        lines.push(("output", text.to_owned()));
    }
    if residue.unconfirmed {
        let text = "unconfirmed: something of it may still run";
        lines.push(("left behind", text.to_owned()));
    }
    lines
}

/// The limits that nothing enforced.
pub(crate) fn names(residue: &Residue) -> Vec<&'static str> {
    residue
        .unenforced
        .iter()
        .map(|kind| kind.as_str())
        .collect()
}

fn used(usage: &Usage) -> String {
    let time = |micros: u64| duration(Duration::from_millis(micros.div_ceil(1_000)));
    let mut parts = vec![format!(
        "{} of processor time ({} user, {} system)",
        time(usage.cpu_micros()),
        time(usage.user_micros),
        time(usage.system_micros)
    )];
    for (bytes, what) in [
        (usage.peak_memory_bytes, "of memory at most"),
        (usage.read_bytes, "read"),
        (usage.written_bytes, "written"),
    ] {
        parts.extend(bytes.map(|bytes| format!("{} {what}", show_size(bytes))));
    }
    parts.join(", ")
}

/// How many, and the names of those that are known. Names are the job's choice.
fn killed(residue: &Residue) -> String {
    let name =
        |process: &KilledProcess| format!("{} ({})", escape_line(&process.name), process.pid);
    let mut parts: Vec<_> = residue.processes.iter().map(name).collect();
    let known = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let more = residue.killed.saturating_sub(known);
    if known > 0 && more > 0 {
        parts.push(format!("{more} more"));
    }
    let processes = match residue.killed {
        1 => "1 process".to_owned(),
        killed => format!("{killed} processes"),
    };
    if parts.is_empty() {
        processes
    } else {
        format!("{processes}: {}", parts.join(", "))
    }
}
