//! Concurrency groups: of the jobs that name the same key, so many have a worker at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jobyard_core::Group;
use slab::Slab;

/// The jobs of one group that state the same limit.
pub(crate) struct Gate {
    key: Arc<str>,
    limit: u64,
    /// Jobs that are behind it, waiting or placed.
    jobs: usize,
    /// The waiting lines behind it.
    pub(crate) lines: BTreeSet<u32>,
}

/// All gates.
#[derive(Default)]
pub(crate) struct Groups {
    gates: Slab<Gate>,
    by_key: BTreeMap<Arc<str>, Members>,
}

/// One group.
#[derive(Default)]
struct Members {
    /// Jobs that have a worker.
    running: u64,
    gates: BTreeMap<u64, u32>,
}

impl Groups {
    /// The waiting lines behind a gate, if there is such a gate and it is open.
    pub(crate) fn open_lines(&self, at: u32) -> Option<&BTreeSet<u32>> {
        let gate = self.gates.get(at as usize)?;
        self.is_open(at).then_some(&gate.lines)
    }

    pub(crate) fn gate_mut(&mut self, at: u32) -> &mut Gate {
        &mut self.gates[at as usize]
    }

    /// The group behind a gate: its key, how many of its jobs have a worker, and the limit.
    pub(crate) fn state(&self, at: u32) -> (&str, u64, u64) {
        let gate = &self.gates[at as usize];
        (&gate.key, self.by_key[&gate.key].running, gate.limit)
    }

    pub(crate) fn is_open(&self, at: u32) -> bool {
        let (_, running, limit) = self.state(at);
        running < limit
    }

    /// The gate of a group, for one more job.
    pub(crate) fn acquire(&mut self, group: &Group) -> u32 {
        let limit = u64::from(group.limit.max(1));
        let key: Arc<str> = match self.by_key.get_key_value(group.key.as_str()) {
            Some((key, _)) => key.clone(),
            None => group.key.as_str().into(),
        };
        let members = self.by_key.entry(key.clone()).or_default();
        let gates = &mut self.gates;
        let at = *members.gates.entry(limit).or_insert_with(|| {
            let gate = Gate {
                key,
                limit,
                jobs: 0,
                lines: BTreeSet::new(),
            };
            u32::try_from(gates.insert(gate)).expect("fewer gates than a u32 counts")
        });
        self.gates[at as usize].jobs += 1;
        at
    }

    /// A job less is behind the gate.
    pub(crate) fn release(&mut self, at: u32) {
        let gate = &mut self.gates[at as usize];
        gate.jobs -= 1;
        if gate.jobs > 0 {
            return;
        }
        let gate = self.gates.remove(at as usize);
        if let Some(members) = self.by_key.get_mut(&gate.key) {
            members.gates.remove(&gate.limit);
            if members.gates.is_empty() {
                self.by_key.remove(&gate.key);
            }
        }
    }

    /// A job of the group has a worker. Gives the gate that has closed, if one has.
    pub(crate) fn place(&mut self, at: u32) -> Option<u32> {
        let members = self.by_key.get_mut(&self.gates[at as usize].key)?;
        members.running += 1;
        members.gates.get(&members.running).copied()
    }

    /// A job of the group no longer has a worker. Gives the gate that has opened, if one has.
    pub(crate) fn unplace(&mut self, at: u32) -> Option<u32> {
        let members = self.by_key.get_mut(&self.gates[at as usize].key)?;
        let opened = members.gates.get(&members.running).copied();
        members.running -= 1;
        opened
    }
}
