//! What happened in a world, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use crate::fault::Fault;

/// What happened in one world, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many worlds.
    pub worlds: u64,
    /// How many events.
    pub events: u64,
    /// A number that tells histories apart: of one world its own, of several a mix of all.
    pub hash: u64,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each transition was seen, by a short name: of jobs and attempts in the committed records, of verdicts
    /// and messages on the wire.
    pub transitions: BTreeMap<String, u64>,
}

impl Summary {
    /// Adds the numbers of another.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.events += other.events;
        self.hash = self.hash.rotate_left(5) ^ other.hash;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (name, count) in &other.transitions {
            *self.transitions.entry(name.clone()).or_default() += count;
        }
    }

    /// The faults that never happened.
    pub fn missing_faults(&self) -> Vec<Fault> {
        let missing = |fault: &Fault| !self.faults.contains_key(fault);
        Fault::ALL.into_iter().filter(missing).collect()
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn transition(&mut self, name: &str) {
        match self.transitions.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.transitions.insert(name.to_owned(), 1)),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} worlds, {} events", self.worlds, self.events)?;
        for (fault, count) in &self.faults {
            writeln!(f, "{count:>9} fault {fault:?}")?;
        }
        for (name, count) in &self.transitions {
            writeln!(f, "{count:>9} {name}")?;
        }
        Ok(())
    }
}
