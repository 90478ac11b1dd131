//! What jobs ask of a worker, apart from room: interned, because many jobs ask for the same.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use jobyard_core::{Requirement, Tag};
use slab::Slab;

use crate::Wants;
use crate::fleet::{Fleet, Kind};
use crate::terms::{Fact, Term, fact_of};

/// A set of requirements, and the worker that is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct NeedKey {
    requirements: Vec<Requirement>,
    worker: Option<String>,
}

pub(crate) struct Need {
    key: NeedKey,
    terms: Vec<Term>,
    /// How many shapes have it.
    shapes: usize,
    /// Lines with it that may go.
    pub(crate) lines: Vec<u32>,
    /// Counts how often it became uncertain whether there is room for it.
    epoch: u64,
}

impl Need {
    /// Whether workers of this kind suit.
    fn is_met_by(&self, kind: &Kind) -> bool {
        self.terms
            .iter()
            .all(|term| kind.is(term.fact) == term.wanted)
            && kind.exclusive().iter().all(|tag| self.names(tag))
    }

    fn names(&self, tag: &Tag) -> bool {
        self.key
            .requirements
            .iter()
            .any(|requirement| requirement.names(tag))
    }
}

/// Every need, numbered.
#[derive(Default)]
pub(crate) struct Needs {
    entries: Slab<Need>,
    by_key: BTreeMap<NeedKey, u32>,
    /// Needs of lines that may go.
    pub(crate) waiting: FixedBitSet,
    /// Needs for which no worker has got more room since their current epoch began.
    settled: FixedBitSet,
}

impl Needs {
    pub(crate) fn need(&self, at: u32) -> &Need {
        &self.entries[at as usize]
    }

    /// The need of these wants, used once more. A new one is held against every kind of worker.
    pub(crate) fn acquire(&mut self, wants: &Wants, fleet: &mut Fleet) -> u32 {
        let draft = wants.draft();
        let key = NeedKey {
            requirements: draft.requirements.clone(),
            worker: draft.worker.clone(),
        };
        if let Some(&at) = self.by_key.get(&key) {
            self.entries[at as usize].shapes += 1;
            return at;
        }
        let mut terms: Vec<_> = key
            .requirements
            .iter()
            .map(|requirement| {
                let (fact, wanted) = fact_of(requirement);
                Term {
                    fact: fleet.learn(&fact),
                    wanted,
                }
            })
            .collect();
        if let Some(name) = &key.worker {
            let fact = fleet.learn(&Fact::Named(name.clone()));
            terms.push(Term { fact, wanted: true });
        }
        let need = Need {
            key: key.clone(),
            terms,
            shapes: 1,
            lines: Vec::new(),
            epoch: 0,
        };
        let at = self.entries.insert(need);
        for (_, kind) in &mut fleet.kinds {
            if self.entries[at].is_met_by(kind) {
                kind.meets.grow_and_insert(at);
            }
        }
        self.waiting.grow(at + 1);
        self.settled.grow(at + 1);
        self.settled.set(at, false);
        let at = u32::try_from(at).expect("fewer needs than a u32 counts");
        self.by_key.insert(key, at);
        at
    }

    /// The need is used once less, and forgotten after its last use.
    pub(crate) fn release(&mut self, at: u32, fleet: &mut Fleet) {
        let need = &mut self.entries[at as usize];
        need.shapes -= 1;
        if need.shapes > 0 {
            return;
        }
        let need = self.entries.remove(at as usize);
        self.by_key.remove(&need.key);
        for (_, kind) in &mut fleet.kinds {
            if kind.meets.contains(at as usize) {
                kind.meets.set(at as usize, false);
            }
        }
        for term in need.terms {
            fleet.unlearn(term.fact);
        }
    }

    /// The needs that workers of this kind meet.
    pub(crate) fn met_by(&self, kind: &Kind) -> FixedBitSet {
        let mut met = FixedBitSet::with_capacity(self.waiting.len());
        for (at, need) in &self.entries {
            if need.is_met_by(kind) {
                met.grow_and_insert(at);
            }
        }
        met
    }

    /// A line may go: gives its place among those with the need.
    pub(crate) fn add_line(&mut self, at: u32, line: u32) -> u32 {
        let lines = &mut self.entries[at as usize].lines;
        lines.push(line);
        self.waiting.insert(at as usize);
        u32::try_from(lines.len() - 1).expect("fewer lines than a u32 counts")
    }

    /// A line may no longer go. Gives the line that takes its place, if any.
    pub(crate) fn remove_line(&mut self, at: u32, place: u32) -> Option<u32> {
        let lines = &mut self.entries[at as usize].lines;
        lines.swap_remove(place as usize);
        if lines.is_empty() {
            self.waiting.set(at as usize, false);
        }
        lines.get(place as usize).copied()
    }

    /// Workers that meet these needs have more room.
    pub(crate) fn unsettle(&mut self, met: &FixedBitSet) {
        self.settled.difference_with(met);
    }

    /// A mark for something with this need that no worker has room for. It lasts until one has more.
    pub(crate) fn settle(&mut self, at: u32) -> u64 {
        let need = &mut self.entries[at as usize];
        if !self.settled.contains(at as usize) {
            self.settled.insert(at as usize);
            need.epoch += 1;
        }
        need.epoch
    }

    /// Whether such a mark still holds.
    pub(crate) fn is_settled(&self, at: u32, mark: u64) -> bool {
        self.settled.contains(at as usize) && self.entries[at as usize].epoch == mark
    }
}
