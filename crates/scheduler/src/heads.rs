//! The lines of one queue that may go, as far as groups allow.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use jobyard_core::Steady;

use crate::lines::{Head, Key};

/// Later than anything.
const NEVER: Steady = Steady::from_micros(u64::MAX);

/// How many heads are passed over in order in the time in which one is looked up by its need. Measured; decides nothing.
const STEPS_PER_LOOK: usize = 12;

/// The heads of those lines: in order, and by need.
pub(crate) struct Heads {
    ordered: BTreeSet<Head>,
    needs: FixedBitSet,
    by_need: HashMap<u32, Stall, FixedState>,
    /// None of them was queued before this.
    oldest: Steady,
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
            oldest: NEVER,
        }
    }

    /// All of them, in order.
    pub(crate) fn ordered(&self) -> &BTreeSet<Head> {
        &self.ordered
    }

    /// A moment before which none of them was queued.
    pub(crate) fn oldest(&self) -> Steady {
        self.oldest
    }

    /// Finds the latest such moment.
    pub(crate) fn find_oldest(&mut self) {
        let since = self.ordered.iter().map(|head| head.since);
        self.oldest = since.min().unwrap_or(NEVER);
    }

    /// The first with one of these needs that passes the test, if it stands before this place.
    ///
    /// In order, the first match comes after about `heads / matching` steps, if matches are spread evenly. If they are
    /// not, looking at the matching ones alone costs less, though each costs as much as several steps.
    pub(crate) fn first_with(
        &self,
        needs: &FixedBitSet,
        before: Option<Key>,
        passes: impl Fn(&Head) -> bool,
    ) -> Option<Head> {
        let matching = self.needs.intersection_count(needs);
        if matching == 0 {
            return None;
        }
        let most = matching.saturating_mul(STEPS_PER_LOOK);
        let in_time = |head: &Head| before.is_none_or(|before| head.key < before);
        if most.saturating_mul(matching) > self.ordered.len() {
            let in_order = self.ordered.iter().take_while(|head| in_time(head));
            for (steps, head) in in_order.enumerate() {
                if steps == most {
                    return self.first_by_need(needs, in_time, passes);
                }
                if needs.contains(head.need as usize) && passes(head) {
                    return Some(*head);
                }
            }
            return None;
        }
        self.first_by_need(needs, in_time, passes)
    }

    fn first_by_need(
        &self,
        needs: &FixedBitSet,
        in_time: impl Fn(&Head) -> bool,
        passes: impl Fn(&Head) -> bool,
    ) -> Option<Head> {
        let mut first: Option<Head> = None;
        for need in self.needs.intersection(needs) {
            let need = u32::try_from(need).expect("needs are numbered by u32");
            let Some(stall) = self.by_need.get(&need) else {
                continue;
            };
            let earlier = |head: &&Head| in_time(head) && first.is_none_or(|first| **head < first);
            let heads = std::iter::once(&stall.first).chain(&stall.rest);
            let found = heads.take_while(earlier).find(|head| passes(head)).copied();
            first = found.or(first);
        }
        first
    }

    pub(crate) fn add(&mut self, head: Head) {
        self.oldest = self.oldest.min(head.since);
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
        self.oldest = self.oldest.min(new.since);
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
