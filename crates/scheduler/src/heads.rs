//! The lines of one queue that may go, as far as groups allow.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::lines::Head;

/// The heads of those lines: in order, and by need.
pub(crate) struct Heads {
    ordered: BTreeSet<Head>,
    needs: FixedBitSet,
    by_need: HashMap<u32, Stall, FixedState>,
}

/// The lines of one queue that have one need and may go. There is at least one, and mostly no other.
struct Stall {
    first: Head,
    rest: BTreeSet<Head>,
}

impl Heads {
    pub(crate) fn new(seed: FixedState) -> Self {
        Self {
            ordered: BTreeSet::new(),
            needs: FixedBitSet::new(),
            by_need: HashMap::with_hasher(seed),
        }
    }

    /// All of them, in order.
    pub(crate) fn ordered(&self) -> &BTreeSet<Head> {
        &self.ordered
    }

    /// The needs that they have.
    pub(crate) fn needs(&self) -> &FixedBitSet {
        &self.needs
    }

    /// The heads of the lines with this need, in order.
    pub(crate) fn with_need(&self, need: usize) -> impl Iterator<Item = &Head> {
        let need = u32::try_from(need).expect("needs are numbered by u32");
        let stall = self.by_need.get(&need);
        stall
            .into_iter()
            .flat_map(|stall| std::iter::once(&stall.first).chain(&stall.rest))
    }

    pub(crate) fn add(&mut self, head: Head) {
        self.ordered.insert(head);
        match self.by_need.entry(head.need) {
            Entry::Vacant(entry) => {
                entry.insert(Stall {
                    first: head,
                    rest: BTreeSet::new(),
                });
                self.needs.grow_and_insert(head.need as usize);
            }
            Entry::Occupied(mut entry) => {
                let stall = entry.get_mut();
                if head < stall.first {
                    let second = std::mem::replace(&mut stall.first, head);
                    stall.rest.insert(second);
                } else {
                    stall.rest.insert(head);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, head: Head) {
        self.ordered.remove(&head);
        let Entry::Occupied(mut entry) = self.by_need.entry(head.need) else {
            return;
        };
        let stall = entry.get_mut();
        if stall.first != head {
            stall.rest.remove(&head);
        } else if let Some(second) = stall.rest.pop_first() {
            stall.first = second;
        } else {
            entry.remove();
            self.needs.set(head.need as usize, false);
        }
    }

    /// One line has another head than before.
    pub(crate) fn replace(&mut self, old: Head, new: Head) {
        self.ordered.remove(&old);
        self.ordered.insert(new);
        if let Some(stall) = self.by_need.get_mut(&old.need)
            && stall.first == old
            && stall.rest.first().is_none_or(|second| new < *second)
        {
            stall.first = new;
            return;
        }
        self.ordered.remove(&new);
        self.remove(old);
        self.add(new);
    }
}
