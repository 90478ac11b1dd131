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
    /// How often each transition was seen: of jobs and attempts in the committed records and in the brains, of verdicts
    /// and messages on the wire.
    pub transitions: BTreeMap<Seen, u64>,
}

/// Something that the programs did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Seen {
    /// Of what.
    pub of: &'static str,
    /// In which stage it was; empty if that says nothing.
    pub from: &'static str,
    /// What happened to it, or what it became.
    pub to: &'static str,
}

impl Seen {
    /// Something without stages.
    pub const fn event(to: &'static str) -> Self {
        Self::step("", "", to)
    }

    /// A step of something that has stages.
    pub const fn step(of: &'static str, from: &'static str, to: &'static str) -> Self {
        Self { of, from, to }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.of, self.from) {
            ("", _) => f.write_str(self.to),
            (of, "") => write!(f, "{of}: {}", self.to),
            (of, from) => write!(f, "{of}: {from} x {}", self.to),
        }
    }
}

impl Summary {
    /// Adds the numbers of another.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.events += other.events;
        // In whatever order they are added.
        self.hash ^= other.hash;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (seen, count) in &other.transitions {
            *self.transitions.entry(*seen).or_default() += count;
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

    pub(crate) fn transition(&mut self, what: &'static str) {
        self.see(Seen::event(what));
    }

    pub(crate) fn step(&mut self, of: &'static str, from: &'static str, to: &'static str) {
        self.see(Seen::step(of, from, to));
    }

    fn see(&mut self, seen: Seen) {
        *self.transitions.entry(seen).or_default() += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} worlds, {} events", self.worlds, self.events)?;
        for (fault, count) in &self.faults {
            writeln!(f, "{count:>9} fault {fault:?}")?;
        }
        for (seen, count) in &self.transitions {
            writeln!(f, "{count:>9} {seen}")?;
        }
        Ok(())
    }
}
