//! The workers, and how much room they have.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use jobyard_core::{JobId, TagSet, WorkerId};
use slab::Slab;

use crate::{Availability, WorkerOffer, WorkerUse, ring_place};

/// One known worker.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) name: String,
    pub(crate) tags: TagSet,
    pub(crate) slots: u32,
    used: u64,
    pub(crate) availability: Availability,
    /// On the ring that breaks ties. No two workers share one.
    place: u128,
}

impl Worker {
    pub(crate) fn usage(&self) -> WorkerUse {
        WorkerUse {
            slots: self.slots,
            used: self.used,
            availability: self.availability,
        }
    }

    /// Slots that a job could have now.
    fn room(&self) -> u32 {
        match self.availability {
            Availability::Available => self.usage().free(),
            Availability::Silent | Availability::Suspended => 0,
        }
    }
}

/// The known workers, and what is taken of them.
#[derive(Default)]
pub(crate) struct Fleet {
    workers: Slab<Worker>,
    by_id: BTreeMap<WorkerId, usize>,
    /// The workers with room, by how much, then by place on the ring. No level is empty.
    roomy: BTreeMap<u32, BTreeMap<u128, usize>>,
    /// How many workers have room.
    roomy_count: usize,
    /// Slots that placed jobs take of workers that are not known (yet, or any more). Never zero.
    taken_elsewhere: BTreeMap<WorkerId, u64>,
}

impl Fleet {
    pub(crate) fn index(&self, worker: WorkerId) -> Option<usize> {
        self.by_id.get(&worker).copied()
    }

    pub(crate) fn worker(&self, at: usize) -> &Worker {
        &self.workers[at]
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Every known worker with its index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Worker)> {
        self.workers.iter()
    }

    /// Every known worker by id.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.by_id.iter().map(|(&id, &at)| (id, &self.workers[at]))
    }

    /// Slots that a job could have now.
    pub(crate) fn room(&self, at: usize) -> u32 {
        self.workers[at].room()
    }

    /// Adds a worker, silent, or changes one.
    pub(crate) fn upsert(&mut self, offer: WorkerOffer) -> usize {
        let WorkerOffer {
            worker: id,
            name,
            tags,
            slots,
        } = offer;
        if let Some(at) = self.index(id) {
            self.edit(at, |worker| {
                worker.name = name;
                worker.tags = tags;
                worker.slots = slots;
            });
            return at;
        }
        // Silent means no room, so it need not be listed by room.
        let at = self.workers.insert(Worker {
            id,
            name,
            tags,
            slots,
            used: self.taken_elsewhere.remove(&id).unwrap_or(0),
            availability: Availability::Silent,
            place: ring_place(id.as_uuid().as_u128()),
        });
        self.by_id.insert(id, at);
        at
    }

    /// Forgets a worker, but not what its jobs take. Returns the index that it had.
    pub(crate) fn remove(&mut self, worker: WorkerId) -> Option<usize> {
        let at = self.by_id.remove(&worker)?;
        self.unlist(at);
        let used = self.workers.remove(at).used;
        if used > 0 {
            self.taken_elsewhere.insert(worker, used);
        }
        Some(at)
    }

    pub(crate) fn set_availability(&mut self, at: usize, availability: Availability) {
        self.edit(at, |worker| worker.availability = availability);
    }

    /// Takes slots of a worker, known or not, whether or not there is room.
    pub(crate) fn take(&mut self, worker: WorkerId, slots: u32) {
        match self.index(worker) {
            Some(at) => self.edit(at, |worker| worker.used += u64::from(slots)),
            None => *self.taken_elsewhere.entry(worker).or_insert(0) += u64::from(slots),
        }
    }

    /// Gives slots back. Returns the index of the worker if it is known.
    pub(crate) fn give_back(&mut self, worker: WorkerId, slots: u32) -> Option<usize> {
        let slots = u64::from(slots);
        let at = self.index(worker);
        if let Some(at) = at {
            self.edit(at, |worker| worker.used = worker.used.saturating_sub(slots));
        } else if let Some(taken) = self.taken_elsewhere.get_mut(&worker) {
            *taken = taken.saturating_sub(slots);
            if *taken == 0 {
                self.taken_elsewhere.remove(&worker);
            }
        }
        at
    }

    /// The member with the most room, if that is enough: the policy of placement. Both ways give the same answer; the
    /// one that is expected to be shorter is gone.
    pub(crate) fn roomiest(&self, members: &FixedBitSet, slots: u32, job: JobId) -> Option<usize> {
        let from = ring_place(job.as_uuid().as_u128());
        let count = members.count_ones(..);
        // One of `roomy_count / count` workers with room is a member, if they are mixed evenly.
        if count.saturating_mul(count) < self.roomy_count {
            members
                .ones()
                .filter(|&at| self.room(at) >= slots)
                .min_by_key(|&at| {
                    let distance = self.workers[at].place.wrapping_sub(from);
                    (Reverse(self.room(at)), distance)
                })
        } else {
            let levels = self.roomy.range(slots..).rev();
            levels
                .flat_map(|(_, level)| level.range(from..).chain(level.range(..from)))
                .map(|(_, &at)| at)
                .find(|&at| members.contains(at))
        }
    }

    /// The one way to change a worker: keeps the list by room true.
    fn edit(&mut self, at: usize, change: impl FnOnce(&mut Worker)) {
        self.unlist(at);
        let worker = &mut self.workers[at];
        change(worker);
        let room = worker.room();
        if room > 0 {
            let level = self.roomy.entry(room).or_default();
            level.insert(worker.place, at);
            self.roomy_count += 1;
        }
    }

    fn unlist(&mut self, at: usize) {
        let worker = &self.workers[at];
        let room = worker.room();
        let Some(level) = self.roomy.get_mut(&room) else {
            return;
        };
        if level.remove(&worker.place).is_some() {
            self.roomy_count -= 1;
        }
        if level.is_empty() {
            self.roomy.remove(&room);
        }
    }
}
