//! The workers: what each is, what is taken of it, and which are alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use jobyard_core::{Resources, Tag, TagSet, WorkerId};
use slab::Slab;

use crate::amounts::Amounts;
use crate::needs::Needs;
use crate::terms::{Fact, Facts, TagIndex};
use crate::{Availability, WorkerOffer, WorkerUse, ring_place};

/// One worker, or what the jobs of an unknown one take.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    /// `None` for a worker that is not part of the fleet: only its jobs are known.
    pub(crate) offer: Option<Offer>,
    pub(crate) used: Amounts,
    /// How many jobs it has.
    pub(crate) jobs: usize,
    pub(crate) availability: Availability,
    /// On the ring that breaks ties. No two workers share one.
    pub(crate) place: u128,
    /// The line for which room is kept here.
    pub(crate) kept_for: Option<u32>,
    /// Under which load it is listed among the workers with room.
    listed: Option<u32>,
}

/// What a known worker offers.
pub(crate) struct Offer {
    pub(crate) name: String,
    pub(crate) tags: TagSet,
    pub(crate) capacity: Resources,
    pub(crate) total: Amounts,
    pub(crate) holds: BTreeMap<String, u64>,
    pub(crate) kind: u32,
}

impl Worker {
    pub(crate) fn usage(&self) -> Option<WorkerUse> {
        let offer = self.offer.as_ref()?;
        Some(WorkerUse {
            capacity: offer.capacity.clone(),
            used: self.used.to_resources(),
            availability: self.availability,
        })
    }

    pub(crate) fn is_available(&self) -> bool {
        self.offer.is_some() && self.availability == Availability::Available
    }

    /// How many bytes it holds of these things; `None` if it holds none of them.
    pub(crate) fn warm_bytes<'a>(&self, keys: impl IntoIterator<Item = &'a String>) -> Option<u64> {
        let holds = &self.offer.as_ref()?.holds;
        if holds.is_empty() {
            return None;
        }
        keys.into_iter()
            .filter_map(|key| holds.get(key))
            .fold(None, |sum, bytes| {
                Some(sum.unwrap_or(0_u64).saturating_add(*bytes))
            })
    }
}

/// Workers for which the same facts are true, and that are of about the same size. Most fleets have few of them.
pub(crate) struct Kind {
    key: KindKey,
    /// The needs that they meet.
    pub(crate) meets: FixedBitSet,
    pub(crate) members: BTreeSet<u32>,
    /// Those with room.
    pub(crate) spots: BTreeSet<Spot>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KindKey {
    /// The facts that are true of them, in order.
    facts: Vec<u32>,
    exclusive: Arc<[Tag]>,
    size_class: [u8; 3],
}

impl Kind {
    pub(crate) fn is(&self, fact: u32) -> bool {
        self.key.facts.binary_search(&fact).is_ok()
    }

    /// Tags that a job has to name.
    pub(crate) fn exclusive(&self) -> &[Tag] {
        &self.key.exclusive
    }
}

/// A worker that has room for at least one slot, in the order of placement but for the turn of the ring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) load: u32,
    pub(crate) place: u128,
    pub(crate) worker: u32,
}

/// All workers.
#[derive(Default)]
pub(crate) struct Fleet {
    workers: Slab<Worker>,
    by_id: BTreeMap<WorkerId, u32>,
    known: usize,
    index: TagIndex,
    pub(crate) facts: Facts,
    pub(crate) kinds: Slab<Kind>,
    by_key: BTreeMap<KindKey, u32>,
    /// Kinds with spots.
    pub(crate) roomy: BTreeSet<u32>,
    /// Known workers by what they hold.
    holders: BTreeMap<String, BTreeSet<u32>>,
    /// All spots, of whatever kind.
    pub(crate) spots: BTreeSet<Spot>,
    /// What all known workers have.
    pub(crate) total: Amounts,
    /// Counts changes of the total.
    pub(crate) version: u64,
}

impl Fleet {
    pub(crate) fn worker(&self, at: u32) -> &Worker {
        &self.workers[at as usize]
    }

    /// What a known worker offers.
    pub(crate) fn offer(&self, at: u32) -> &Offer {
        self.workers[at as usize]
            .offer
            .as_ref()
            .expect("only known workers are of a kind")
    }

    pub(crate) fn kind_of(&self, at: u32) -> &Kind {
        &self.kinds[self.offer(at).kind as usize]
    }

    /// The index of a known worker.
    pub(crate) fn known(&self, worker: WorkerId) -> Option<u32> {
        let at = *self.by_id.get(&worker)?;
        self.worker(at).offer.is_some().then_some(at)
    }

    /// How many workers are known.
    pub(crate) fn len(&self) -> usize {
        self.known
    }

    /// Every known worker, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Worker, &Offer)> {
        self.by_id.values().filter_map(|&at| {
            let worker = self.worker(at);
            Some((at, worker, worker.offer.as_ref()?))
        })
    }

    /// The index of a worker, which is made up if it is unknown.
    pub(crate) fn index_of(&mut self, id: WorkerId) -> u32 {
        if let Some(&at) = self.by_id.get(&id) {
            return at;
        }
        let at = self.workers.insert(Worker {
            id,
            offer: None,
            used: Amounts::default(),
            jobs: 0,
            availability: Availability::Silent,
            place: ring_place(id.as_uuid().as_u128()),
            kept_for: None,
            listed: None,
        });
        let at = u32::try_from(at).expect("fewer workers than a u32 counts");
        self.by_id.insert(id, at);
        at
    }

    /// Takes in what a worker offers. Call [`Self::list`] when it is clear whether it has room.
    pub(crate) fn set_offer(&mut self, at: u32, offer: WorkerOffer, needs: &Needs) {
        self.unlist(at);
        self.drop_offer(at);
        let facts = self.facts.true_of(offer.worker, &offer.name, &offer.tags);
        let total = Amounts::of(&offer.capacity);
        let key = KindKey {
            facts,
            exclusive: offer.exclusive.iter().collect(),
            size_class: total.size_class(),
        };
        let kind = self.kind(&key, needs);
        self.kinds[kind as usize].members.insert(at);
        self.index.add(at, &offer.name, &offer.tags);
        self.index_holds(at, &offer.holds, true);
        self.total.add(&total);
        self.version += 1;
        self.known += 1;
        self.workers[at as usize].offer = Some(Offer {
            name: offer.name,
            tags: offer.tags,
            capacity: offer.capacity,
            total,
            holds: offer.holds,
            kind,
        });
    }

    pub(crate) fn set_holds(&mut self, at: u32, holds: BTreeMap<String, u64>) {
        let Some(offer) = &mut self.workers[at as usize].offer else {
            return;
        };
        let old = std::mem::take(&mut offer.holds);
        self.index_holds(at, &old, false);
        self.index_holds(at, &holds, true);
        if let Some(offer) = &mut self.workers[at as usize].offer {
            offer.holds = holds;
        }
    }

    fn index_holds(&mut self, at: u32, holds: &BTreeMap<String, u64>, add: bool) {
        for key in holds.keys() {
            let workers = self.holders.entry(key.clone()).or_default();
            if add {
                workers.insert(at);
            } else {
                workers.remove(&at);
            }
            if workers.is_empty() {
                self.holders.remove(key);
            }
        }
    }

    /// The known workers that hold one of these things; those that hold several come several times.
    pub(crate) fn holders<'a>(
        &'a self,
        keys: impl IntoIterator<Item = &'a String>,
    ) -> impl Iterator<Item = u32> {
        keys.into_iter()
            .filter_map(|key| self.holders.get(key))
            .flatten()
            .copied()
    }

    pub(crate) fn set_availability(&mut self, at: u32, availability: Availability) {
        self.unlist(at);
        self.workers[at as usize].availability = availability;
    }

    /// A worker is no longer known. It is forgotten unless it has jobs.
    pub(crate) fn leave(&mut self, at: u32) {
        self.set_availability(at, Availability::Silent);
        self.drop_offer(at);
        self.forget_if_unused(at);
    }

    fn drop_offer(&mut self, at: u32) {
        let worker = &mut self.workers[at as usize];
        let Some(offer) = worker.offer.take() else {
            return;
        };
        self.index.remove(at, &offer.name, &offer.tags);
        self.index_holds(at, &offer.holds, false);
        self.total.remove(&offer.total);
        self.version += 1;
        self.known -= 1;
        self.kinds[offer.kind as usize].members.remove(&at);
        self.forget_kind_if_empty(offer.kind);
    }

    /// A job takes this, whether or not there is room.
    pub(crate) fn take(&mut self, at: u32, asked: &Amounts) {
        self.unlist(at);
        let worker = &mut self.workers[at as usize];
        worker.used.add(asked);
        worker.jobs += 1;
    }

    /// A job gives this back.
    pub(crate) fn give_back(&mut self, at: u32, asked: &Amounts) {
        self.unlist(at);
        let worker = &mut self.workers[at as usize];
        worker.used.remove(asked);
        worker.jobs -= 1;
        self.forget_if_unused(at);
    }

    fn forget_if_unused(&mut self, at: u32) {
        let worker = &self.workers[at as usize];
        if worker.offer.is_none() && worker.jobs == 0 {
            self.by_id.remove(&worker.id);
            self.workers.remove(at as usize);
        }
    }

    pub(crate) fn keep_room(&mut self, at: u32, line: Option<u32>) {
        self.workers[at as usize].kept_for = line;
    }

    /// Lists a worker that has room. No-op if it is listed, or has none.
    pub(crate) fn list(&mut self, at: u32) {
        let Some(worker) = self.workers.get_mut(at as usize) else {
            return;
        };
        let Some(offer) = &worker.offer else {
            return;
        };
        if worker.listed.is_some()
            || worker.availability != Availability::Available
            || offer.total.slots <= worker.used.slots
        {
            return;
        }
        let load = offer.total.load(&worker.used);
        worker.listed = Some(load);
        let place = worker.place;
        let spot = Spot {
            load,
            place,
            worker: at,
        };
        self.spots.insert(spot);
        self.kinds[offer.kind as usize].spots.insert(spot);
        self.roomy.insert(offer.kind);
    }

    /// Takes a worker off the list; whoever does lists it again.
    pub(crate) fn unlist(&mut self, at: u32) {
        let worker = &mut self.workers[at as usize];
        let (Some(load), Some(offer)) = (worker.listed.take(), &worker.offer) else {
            return;
        };
        let place = worker.place;
        let spot = Spot {
            load,
            place,
            worker: at,
        };
        self.spots.remove(&spot);
        let spots = &mut self.kinds[offer.kind as usize].spots;
        spots.remove(&spot);
        if spots.is_empty() {
            self.roomy.remove(&offer.kind);
        }
    }

    /// The kind with this key. A new one is held against every need.
    fn kind(&mut self, key: &KindKey, needs: &Needs) -> u32 {
        if let Some(&kind) = self.by_key.get(key) {
            return kind;
        }
        let mut kind = Kind {
            key: key.clone(),
            meets: FixedBitSet::new(),
            members: BTreeSet::new(),
            spots: BTreeSet::new(),
        };
        kind.meets = needs.met_by(&kind);
        self.add_kind(kind)
    }

    fn add_kind(&mut self, kind: Kind) -> u32 {
        let key = kind.key.clone();
        let at = u32::try_from(self.kinds.insert(kind)).expect("fewer kinds than workers");
        self.by_key.insert(key, at);
        at
    }

    fn forget_kind_if_empty(&mut self, kind: u32) {
        if self.kinds[kind as usize].members.is_empty() {
            let kind = self.kinds.remove(kind as usize);
            self.by_key.remove(&kind.key);
        }
    }

    /// The number of a fact that somebody asks about from now on. A new one parts the kinds of which it is true of some
    /// members only.
    pub(crate) fn learn(&mut self, fact: &Fact) -> u32 {
        let (id, is_new) = self.facts.acquire(fact.clone());
        if !is_new {
            return id;
        }
        let workers = match fact {
            Fact::Meets(requirement) => self.index.meeting(requirement),
            Fact::Named(text) => {
                let by_id = text.parse().ok().and_then(|worker| self.known(worker));
                self.index.named(text).chain(by_id).collect()
            }
        };
        let mut parts: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for at in workers {
            parts.entry(self.offer(at).kind).or_default().insert(at);
        }
        for (kind, part) in parts {
            self.part(kind, part, id);
        }
        id
    }

    /// Some or all members of a kind turn out to be different by one more fact.
    fn part(&mut self, kind: u32, part: BTreeSet<u32>, fact: u32) {
        let old = &mut self.kinds[kind as usize];
        let mut key = old.key.clone();
        let at = key.facts.partition_point(|known| *known < fact);
        key.facts.insert(at, fact);
        if part.len() == old.members.len() {
            self.by_key.remove(&old.key);
            old.key = key.clone();
            self.by_key.insert(key, kind);
            return;
        }
        let mut new = Kind {
            key,
            meets: old.meets.clone(),
            members: BTreeSet::new(),
            spots: BTreeSet::new(),
        };
        let moved = |spot: &Spot| part.contains(&spot.worker);
        new.spots = old
            .spots
            .iter()
            .filter(|spot| moved(spot))
            .copied()
            .collect();
        old.spots.retain(|spot| !moved(spot));
        old.members.retain(|at| !part.contains(at));
        if old.spots.is_empty() {
            self.roomy.remove(&kind);
        }
        let has_spots = !new.spots.is_empty();
        let workers = part.clone();
        new.members = part;
        let new = self.add_kind(new);
        if has_spots {
            self.roomy.insert(new);
        }
        self.relabel(&workers, new);
    }

    fn relabel(&mut self, workers: &BTreeSet<u32>, kind: u32) {
        for &at in workers {
            if let Some(offer) = &mut self.workers[at as usize].offer {
                offer.kind = kind;
            }
        }
    }

    /// Nobody asks about a fact any more: kinds that differ by it alone become one.
    pub(crate) fn unlearn(&mut self, fact: u32) {
        if !self.facts.release(fact) {
            return;
        }
        let touched: Vec<_> = self
            .kinds
            .iter()
            .filter(|(_, kind)| kind.is(fact))
            .map(|(at, _)| u32::try_from(at).expect("fewer kinds than workers"))
            .collect();
        for at in touched {
            let kind = &mut self.kinds[at as usize];
            self.by_key.remove(&kind.key);
            kind.key.facts.retain(|known| *known != fact);
            let key = kind.key.clone();
            match self.by_key.get(&key) {
                Some(&into) => self.merge(at, into),
                None => drop(self.by_key.insert(key, at)),
            }
        }
    }

    fn merge(&mut self, from: u32, into: u32) {
        let from_kind = self.kinds.remove(from as usize);
        self.relabel(&from_kind.members, into);
        self.roomy.remove(&from);
        let kind = &mut self.kinds[into as usize];
        kind.members.extend(from_kind.members);
        kind.spots.extend(from_kind.spots);
        if !kind.spots.is_empty() {
            self.roomy.insert(into);
        }
    }
}
