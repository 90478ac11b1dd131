//! The single facts about workers that somebody asks about.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{Requirement, Tag, TagSet, Test, WorkerId};
use slab::Slab;

/// Something that is true of some workers. Never a negation: those are facts that must not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// A positive requirement is met.
    Meets(Requirement),
    /// It has this name, or this id.
    Named(String),
}

/// A fact, and whether it must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) fact: u32,
    pub(crate) wanted: bool,
}

/// A requirement as a fact that must or must not hold.
pub(crate) fn fact_of(requirement: &Requirement) -> (Fact, bool) {
    let positive = match requirement.test() {
        Test::Absent | Test::NoneOf(_) => requirement.negated(),
        _ => None,
    };
    match positive {
        Some(positive) => (Fact::Meets(positive), false),
        None => (Fact::Meets(requirement.clone()), true),
    }
}

/// The facts in use, numbered, and for a new worker the way to those that are true of it.
#[derive(Default)]
pub(crate) struct Facts {
    entries: Slab<Entry>,
    by_fact: BTreeMap<Fact, u32>,
    by_key: BTreeMap<String, KeyFacts>,
    /// Names that can be read as ids.
    by_id: BTreeMap<WorkerId, BTreeSet<u32>>,
}

struct Entry {
    fact: Fact,
    uses: usize,
}

/// The facts about one key.
#[derive(Default)]
struct KeyFacts {
    present: Option<u32>,
    by_value: BTreeMap<String, BTreeSet<u32>>,
    compared: BTreeSet<u32>,
}

impl Facts {
    /// The number of a fact, which is used once more. Says whether it is new.
    pub(crate) fn acquire(&mut self, fact: Fact) -> (u32, bool) {
        if let Some(&id) = self.by_fact.get(&fact) {
            self.entries[id as usize].uses += 1;
            return (id, false);
        }
        let id = self.entries.insert(Entry {
            fact: fact.clone(),
            uses: 1,
        });
        let id = u32::try_from(id).expect("fewer facts than a u32 counts");
        self.index(&fact, id, true);
        self.by_fact.insert(fact, id);
        (id, true)
    }

    /// The fact is used once less. Says whether it is forgotten.
    pub(crate) fn release(&mut self, id: u32) -> bool {
        let entry = &mut self.entries[id as usize];
        entry.uses -= 1;
        if entry.uses > 0 {
            return false;
        }
        let fact = self.entries.remove(id as usize).fact;
        self.index(&fact, id, false);
        self.by_fact.remove(&fact);
        true
    }

    fn index(&mut self, fact: &Fact, id: u32, add: bool) {
        let edit = |set: &mut BTreeSet<u32>| if add { set.insert(id) } else { set.remove(&id) };
        let requirement = match fact {
            Fact::Meets(requirement) => requirement,
            Fact::Named(text) => {
                if let Ok(worker) = text.parse() {
                    let set = self.by_id.entry(worker).or_default();
                    edit(set);
                    if set.is_empty() {
                        self.by_id.remove(&worker);
                    }
                }
                return;
            }
        };
        let key = self.by_key.entry(requirement.key().to_owned()).or_default();
        match requirement.test() {
            Test::Present => key.present = add.then_some(id),
            Test::AnyOf(values) => {
                for value in values {
                    let set = key.by_value.entry(value.clone()).or_default();
                    edit(set);
                    if set.is_empty() {
                        key.by_value.remove(value);
                    }
                }
            }
            _ => {
                edit(&mut key.compared);
            }
        }
        if key.present.is_none() && key.by_value.is_empty() && key.compared.is_empty() {
            self.by_key.remove(requirement.key());
        }
    }

    /// The facts that are true of a worker, in order.
    pub(crate) fn true_of(&self, id: WorkerId, name: &str, tags: &TagSet) -> Vec<u32> {
        let mut found = BTreeSet::new();
        for tag in tags.iter() {
            let Some(key) = self.by_key.get(tag.key()) else {
                continue;
            };
            found.extend(key.present);
            if let Some(value) = tag.value() {
                found.extend(key.by_value.get(value).into_iter().flatten());
            }
            found.extend(key.compared.iter().filter(|&&fact| self.is_met(fact, tags)));
        }
        found.extend(self.by_fact.get(&Fact::Named(name.to_owned())));
        found.extend(self.by_id.get(&id).into_iter().flatten());
        found.into_iter().collect()
    }

    fn is_met(&self, fact: u32, tags: &TagSet) -> bool {
        match &self.entries[fact as usize].fact {
            Fact::Meets(requirement) => requirement.is_met_by(tags),
            Fact::Named(_) => false,
        }
    }
}

/// Which workers offer what: the way from a new fact to the workers of which it is true.
#[derive(Default)]
pub(crate) struct TagIndex {
    tags: BTreeMap<String, BTreeMap<Option<String>, BTreeSet<u32>>>,
    names: BTreeMap<String, BTreeSet<u32>>,
}

impl TagIndex {
    pub(crate) fn add(&mut self, at: u32, name: &str, tags: &TagSet) {
        for tag in tags.iter() {
            let values = self.tags.entry(tag.key().to_owned()).or_default();
            values.entry(value_of(&tag)).or_default().insert(at);
        }
        self.names.entry(name.to_owned()).or_default().insert(at);
    }

    pub(crate) fn remove(&mut self, at: u32, name: &str, tags: &TagSet) {
        for tag in tags.iter() {
            let Some(values) = self.tags.get_mut(tag.key()) else {
                continue;
            };
            let value = value_of(&tag);
            if let Some(workers) = values.get_mut(&value) {
                workers.remove(&at);
                if workers.is_empty() {
                    values.remove(&value);
                }
            }
            if values.is_empty() {
                self.tags.remove(tag.key());
            }
        }
        if let Some(workers) = self.names.get_mut(name) {
            workers.remove(&at);
            if workers.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// The workers of that name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = u32> {
        self.names.get(name).into_iter().flatten().copied()
    }

    /// The workers that meet a positive requirement.
    pub(crate) fn meeting(&self, requirement: &Requirement) -> BTreeSet<u32> {
        let Some(values) = self.tags.get(requirement.key()) else {
            return BTreeSet::new();
        };
        match requirement.test() {
            Test::Present => values.values().flatten().copied().collect(),
            Test::AnyOf(wanted) => {
                let sets = wanted
                    .iter()
                    .filter_map(|value| values.get(&Some(value.clone())));
                sets.flatten().copied().collect()
            }
            Test::Compare(comparison, asked) => {
                let holds = |value: &str| {
                    value
                        .parse()
                        .is_ok_and(|offered| comparison.holds(&offered, asked))
                };
                let sets = values
                    .iter()
                    .filter(|(value, _)| value.as_deref().is_some_and(holds));
                sets.flat_map(|(_, workers)| workers).copied().collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

fn value_of(tag: &Tag) -> Option<String> {
    tag.value().map(str::to_owned)
}
