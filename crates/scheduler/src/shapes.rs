//! What jobs ask for in full: interned wants, with all that follows from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use crate::Wants;
use crate::amounts::Amounts;
use crate::fleet::{Fleet, Kind};
use crate::needs::Needs;
use crate::terms::{Term, fact_of};

/// How many different wants that no job has are remembered, with what follows from them, for the next job that has
/// them. Enough for what comes again and again. Decides nothing.
pub const MAX_IDLE_WANTS: usize = 1024;

pub(crate) struct Shape {
    pub(crate) wants: Arc<Wants>,
    pub(crate) need: u32,
    pub(crate) asks: Amounts,
    prefers: Vec<(Term, u32)>,
    /// Jobs that have it, waiting or placed.
    jobs: usize,
    /// Jobs that have it and wait.
    pub(crate) waiting: usize,
    /// Given by [`Needs::settle`] when no worker had room.
    stuck: u64,
    /// The dominant share, and of which version of the fleet's total.
    share: (u64, u64),
    last_used: u64,
}

impl Shape {
    /// The weight of the preferences that hold for this kind of worker.
    pub(crate) fn preference(&self, kind: &Kind) -> u64 {
        self.prefers
            .iter()
            .filter(|(term, _)| kind.is(term.fact) == term.wanted)
            .map(|(_, weight)| u64::from(*weight))
            .sum()
    }

    pub(crate) fn has_preferences(&self) -> bool {
        !self.prefers.is_empty()
    }

    pub(crate) fn uses_warmth(&self) -> bool {
        !self.wants.draft().warm.is_empty()
    }
}

/// Every shape, numbered.
pub(crate) struct Shapes {
    entries: Slab<Shape>,
    by_wants: HashMap<Arc<Wants>, u32, FixedState>,
    /// The shapes without jobs, by when they were last used.
    idle: BTreeSet<(u64, u32)>,
    /// Counts uses of idle shapes: the clock by which the oldest is found.
    uses: u64,
}

impl Shapes {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Slab::new(),
            by_wants: HashMap::with_hasher(FixedState::with_seed(seed)),
            idle: BTreeSet::new(),
            uses: 0,
        }
    }

    pub(crate) fn shape(&self, at: u32) -> &Shape {
        &self.entries[at as usize]
    }

    pub(crate) fn shape_mut(&mut self, at: u32) -> &mut Shape {
        &mut self.entries[at as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Shape)> {
        self.entries.iter().map(|(at, shape)| {
            (
                u32::try_from(at).expect("fewer shapes than a u32 counts"),
                shape,
            )
        })
    }

    /// The shape of these wants, of one more job.
    pub(crate) fn acquire(
        &mut self,
        wants: &Arc<Wants>,
        needs: &mut Needs,
        fleet: &mut Fleet,
    ) -> u32 {
        if let Some(&at) = self.by_wants.get(wants) {
            let shape = &mut self.entries[at as usize];
            if shape.jobs == 0 {
                self.idle.remove(&(shape.last_used, at));
            }
            shape.jobs += 1;
            return at;
        }
        let need = needs.acquire(wants, fleet);
        let prefers = wants.draft().prefer.iter().map(|preference| {
            let (fact, wanted) = fact_of(&preference.tag);
            let fact = fleet.learn(&fact);
            (Term { fact, wanted }, preference.weight)
        });
        let shape = Shape {
            wants: wants.clone(),
            need,
            asks: Amounts::of(&wants.draft().resources),
            prefers: prefers.collect(),
            jobs: 1,
            waiting: 0,
            stuck: 0,
            share: (1, u64::MAX),
            last_used: 0,
        };
        let at = u32::try_from(self.entries.insert(shape)).expect("fewer shapes than a u32 counts");
        self.by_wants.insert(wants.clone(), at);
        at
    }

    /// The shape has one job less. Without jobs it is kept for the next; what was unused longest is forgotten if there
    /// are too many.
    pub(crate) fn release(&mut self, at: u32, needs: &mut Needs, fleet: &mut Fleet) {
        let shape = &mut self.entries[at as usize];
        shape.jobs -= 1;
        if shape.jobs > 0 {
            return;
        }
        self.uses += 1;
        shape.last_used = self.uses;
        self.idle.insert((self.uses, at));
        if self.idle.len() > MAX_IDLE_WANTS
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            let shape = self.entries.remove(oldest as usize);
            self.by_wants.remove(&shape.wants);
            for (term, _) in shape.prefers {
                fleet.unlearn(term.fact);
            }
            needs.release(shape.need, fleet);
        }
    }

    /// Nobody has room for it until [more](Needs::unsettle) comes.
    pub(crate) fn set_stuck(&mut self, at: u32, needs: &mut Needs) {
        let shape = &mut self.entries[at as usize];
        shape.stuck = needs.settle(shape.need);
    }

    pub(crate) fn is_stuck(&self, at: u32, needs: &Needs) -> bool {
        let shape = &self.entries[at as usize];
        needs.is_settled(shape.need, shape.stuck)
    }

    /// The largest part of the fleet that a job takes, in parts of 2^32.
    pub(crate) fn share(&mut self, at: u32, fleet: &Fleet) -> u64 {
        let shape = &mut self.entries[at as usize];
        if shape.share.1 != fleet.version {
            shape.share = (shape.asks.dominant_share(&fleet.total), fleet.version);
        }
        shape.share.0
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(key: usize) -> Arc<Wants> {
        Wants::meeting(vec![format!("k{key}").parse().expect("a requirement")])
    }

    #[test]
    fn wants_without_jobs_are_kept_up_to_the_limit() {
        let (mut needs, mut fleet) = (Needs::default(), Fleet::default());
        let mut shapes = Shapes::new(0);
        let mut touch = |shapes: &mut Shapes, key| {
            let at = shapes.acquire(&wants(key), &mut needs, &mut fleet);
            shapes.release(at, &mut needs, &mut fleet);
            at
        };
        let kept = touch(&mut shapes, 0);
        for key in 1..MAX_IDLE_WANTS + 10 {
            touch(&mut shapes, key);
            assert_eq!(touch(&mut shapes, 0), kept, "used all the time");
        }
        assert_eq!(shapes.len(), MAX_IDLE_WANTS);
        assert_eq!(shapes.by_wants.len(), MAX_IDLE_WANTS);
    }
}
