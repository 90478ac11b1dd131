//! What jobs ask of a worker, and how much of it they take: interned, because many jobs ask for the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use jobyard_core::{Requirement, Resources, Tag};
use slab::Slab;

use crate::Wants;
use crate::amounts::Amounts;
use crate::fleet::{Fleet, Kind};
use crate::terms::{Fact, Term, fact_of};

/// A set of requirements, the worker that is named, and what is taken of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct NeedKey {
    requirements: Vec<Requirement>,
    worker: Option<String>,
    resources: Resources,
}

/// What some needs take of a worker.
struct Ask {
    amounts: Amounts,
    /// The needs that take it.
    needs: FixedBitSet,
    /// How many those are.
    uses: usize,
    /// How many of those have lines that may go.
    waiting: usize,
}

pub(crate) struct Need {
    key: NeedKey,
    ask: usize,
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
    asks: Slab<Ask>,
    by_resources: BTreeMap<Resources, usize>,
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
            resources: draft.resources.clone(),
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
        let ask = self.ask(&key.resources);
        let need = Need {
            key: key.clone(),
            ask,
            terms,
            shapes: 1,
            lines: Vec::new(),
            epoch: 0,
        };
        let at = self.entries.insert(need);
        self.asks[ask].needs.grow_and_insert(at);
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
        self.release_ask(need.ask, at, &need.key.resources);
        for (_, kind) in &mut fleet.kinds {
            if kind.meets.contains(at as usize) {
                kind.meets.set(at as usize, false);
            }
        }
        for term in need.terms {
            fleet.unlearn(term.fact);
        }
    }

    fn ask(&mut self, resources: &Resources) -> usize {
        let asks = &mut self.asks;
        let new = || {
            asks.insert(Ask {
                amounts: Amounts::of(resources),
                needs: FixedBitSet::new(),
                uses: 0,
                waiting: 0,
            })
        };
        let known = self.by_resources.get(resources).copied();
        let ask = known.unwrap_or_else(new);
        self.by_resources.insert(resources.clone(), ask);
        self.asks[ask].uses += 1;
        ask
    }

    fn release_ask(&mut self, ask: usize, need: u32, resources: &Resources) {
        let entry = &mut self.asks[ask];
        entry.needs.set(need as usize, false);
        entry.uses -= 1;
        if entry.uses == 0 {
            self.asks.remove(ask);
            self.by_resources.remove(resources);
        }
    }

    /// Of these needs, those for which a worker has room, as far as lines with them may go. `None` if there are none.
    /// Looks at each different amount once.
    pub(crate) fn with_room<'a>(
        &self,
        met: &'a FixedBitSet,
        has_room: impl Fn(&Amounts) -> bool,
    ) -> Option<Cow<'a, FixedBitSet>> {
        let waiting = || self.asks.iter().filter(|(_, ask)| ask.waiting > 0);
        let (mut fitting, mut short) = (false, false);
        for (_, ask) in waiting() {
            let fits = has_room(&ask.amounts);
            fitting |= fits;
            short |= !fits;
        }
        if !fitting {
            return None;
        }
        if !short {
            return Some(Cow::Borrowed(met));
        }
        let mut needs = FixedBitSet::with_capacity(self.waiting.len());
        for (_, ask) in waiting().filter(|(_, ask)| has_room(&ask.amounts)) {
            needs.union_with(&ask.needs);
        }
        needs.intersect_with(met);
        Some(Cow::Owned(needs))
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
        if lines.len() == 1 {
            self.waiting.insert(at as usize);
            self.asks[self.entries[at as usize].ask].waiting += 1;
        }
        let lines = &self.entries[at as usize].lines;
        u32::try_from(lines.len() - 1).expect("fewer lines than a u32 counts")
    }

    /// A line may no longer go. Gives the line that takes its place, if any.
    pub(crate) fn remove_line(&mut self, at: u32, place: u32) -> Option<u32> {
        let lines = &mut self.entries[at as usize].lines;
        lines.swap_remove(place as usize);
        if lines.is_empty() {
            self.waiting.set(at as usize, false);
            self.asks[self.entries[at as usize].ask].waiting -= 1;
            return None;
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
