//! What attempts leave behind.

use jobyard_core::{KilledProcess, MAX_LISTED_PROCESSES, Residue};

use super::InvalidMessage;
use super::field::{at_most, list};
use super::limits::{kinds, known_kind, known_kinds};
use crate::generated::v1;

/// The longest name of a process.
const MAX_PROCESS_NAME_BYTES: usize = 64;

impl From<Residue> for v1::Residue {
    fn from(residue: Residue) -> Self {
        let processes = residue.processes.into_iter().take(MAX_LISTED_PROCESSES);
        let limit_hit = residue.limit_hit.map(v1::LimitKind::from);
        Self {
            killed: residue.killed,
            output_held_open: residue.output_held_open,
            unconfirmed: residue.unconfirmed,
            processes: processes.map(Into::into).collect(),
            limit_hit: limit_hit.unwrap_or_default().into(),
            unenforced: kinds(residue.unenforced),
            usage: residue.usage.map(Into::into),
        }
    }
}

impl TryFrom<v1::Residue> for Residue {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Residue) -> Result<Self, InvalidMessage> {
        let mut residue = Self::default();
        residue.killed = wire.killed;
        residue.processes = list("processes", wire.processes, MAX_LISTED_PROCESSES)?;
        residue.limit_hit = known_kind(wire.limit_hit);
        residue.unenforced = known_kinds("unenforced", &wire.unenforced)?;
        residue.usage = wire.usage.map(Into::into);
        residue.output_held_open = wire.output_held_open;
        residue.unconfirmed = wire.unconfirmed;
        Ok(residue)
    }
}

impl From<KilledProcess> for v1::KilledProcess {
    fn from(process: KilledProcess) -> Self {
        // Cut to its length, whoever has made it.
        let process = KilledProcess::new(process.pid, process.name);
        Self {
            pid: process.pid,
            name: process.name,
        }
    }
}

impl TryFrom<v1::KilledProcess> for KilledProcess {
    type Error = InvalidMessage;

    /// Any characters will do: the name is the job's choice, and must not be able to end its worker's session.
    fn try_from(wire: v1::KilledProcess) -> Result<Self, InvalidMessage> {
        at_most("name", wire.name.len(), MAX_PROCESS_NAME_BYTES)?;
        Ok(Self::new(wire.pid, wire.name))
    }
}
