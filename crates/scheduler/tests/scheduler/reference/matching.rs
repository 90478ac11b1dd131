//! One job against one worker.

use std::cmp::max;

use jobyard_core::{JobId, Requirement, Resources, Tag, WorkerId};
use jobyard_scheduler::{JobDemand, WorkerOffer, load, ring_place};

use super::{Job, Reference, Worker};

/// Whether a worker would do, however full or small it is.
pub(crate) fn suits(offer: &WorkerOffer, demand: &JobDemand) -> bool {
    is_named(offer, demand) && unmet(offer, demand).is_empty() && unnamed(offer, demand).is_empty()
}

/// Whether an idle worker would do.
pub(crate) fn may_hold(offer: &WorkerOffer, demand: &JobDemand) -> bool {
    suits(offer, demand) && offer.capacity.covers(&demand.wants.draft().resources)
}

pub(crate) fn is_named(offer: &WorkerOffer, demand: &JobDemand) -> bool {
    match &demand.wants.draft().worker {
        None => true,
        Some(name) => *name == offer.name || *name == offer.worker.to_string(),
    }
}

/// The requirements that a worker does not meet, in order.
pub(crate) fn unmet(offer: &WorkerOffer, demand: &JobDemand) -> Vec<Requirement> {
    let mut unmet = demand.wants.draft().requirements.clone();
    unmet.retain(|requirement| !requirement.is_met_by(&offer.tags));
    unmet
}

/// The exclusive tags of a worker that a job does not name, in order.
pub(crate) fn unnamed(offer: &WorkerOffer, demand: &JobDemand) -> Vec<Tag> {
    let names = |tag: &Tag| {
        let mut requirements = demand.wants.draft().requirements.iter();
        requirements.any(|requirement| requirement.names(tag))
    };
    offer.exclusive.iter().filter(|tag| !names(tag)).collect()
}

/// The weight of the preferences that hold.
pub(crate) fn preference(offer: &WorkerOffer, demand: &JobDemand) -> u64 {
    let preferences = demand.wants.draft().prefer.iter();
    preferences
        .filter(|preference| preference.tag.is_met_by(&offer.tags))
        .map(|preference| u64::from(preference.weight))
        .sum()
}

pub(crate) fn is_warm(offer: &WorkerOffer, demand: &JobDemand) -> bool {
    let mut keys = demand.wants.draft().warm.iter();
    keys.any(|key| offer.holds.contains_key(key))
}

pub(crate) fn warm_bytes(offer: &WorkerOffer, demand: &JobDemand) -> u64 {
    let keys = demand.wants.draft().warm.iter();
    keys.filter_map(|key| offer.holds.get(key))
        .fold(0, |sum, bytes| sum.saturating_add(*bytes))
}

/// From the job to the worker, on the ring.
pub(crate) fn distance(job: JobId, worker: WorkerId) -> u128 {
    let worker = ring_place(worker.as_uuid().as_u128());
    worker.wrapping_sub(ring_place(job.as_uuid().as_u128()))
}

/// The largest part of a resource of the whole fleet, in parts of 2^32.
pub(crate) fn share<'a>(
    takes: &Resources,
    capacities: &(impl Iterator<Item = &'a Resources> + Clone),
) -> u64 {
    let share = |kind, amount: u64| {
        let amounts = capacities.clone().map(|has| u128::from(has.amount(kind)));
        let total: u128 = amounts.sum();
        (u128::from(amount) << 32).checked_div(total)
    };
    let largest = takes
        .iter()
        .filter_map(|(kind, amount)| share(kind, amount))
        .max();
    u64::try_from(largest.unwrap_or(0).clamp(1, 1 << 32)).expect("it was clamped")
}

impl Reference {
    /// What the jobs of a worker take, known or not.
    pub(crate) fn used(&self, worker: WorkerId) -> Resources {
        let mut used = Resources::default();
        for job in self.placed() {
            if job.stay.as_ref().is_some_and(|stay| stay.worker == worker) {
                let takes = &job.demand.wants.draft().resources;
                used.slots += takes.slots;
                used.cpu_millis += takes.cpu_millis;
                used.memory_bytes += takes.memory_bytes;
                for (name, count) in &takes.counts {
                    *used.counts.entry(name.clone()).or_insert(0) += count;
                }
            }
        }
        used
    }

    pub(crate) fn load(&self, worker: &Worker) -> u32 {
        load(&self.used(worker.offer.worker), &worker.offer.capacity)
    }

    /// The workers that a job names: all if it names none.
    pub(crate) fn named<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = &'a Worker> {
        let workers = self.workers.iter();
        workers.filter(|worker| is_named(&worker.offer, &job.demand))
    }

    /// The workers that could hold a job.
    pub(crate) fn able<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = &'a Worker> {
        let workers = self.workers.iter();
        workers.filter(|worker| may_hold(&worker.offer, &job.demand))
    }

    /// The most that any worker that suits has of each thing that the job takes too much of.
    pub(crate) fn too_much(&self, job: &Job) -> Vec<(String, u64, u64)> {
        let suiting: Vec<_> = self
            .workers
            .iter()
            .filter(|worker| suits(&worker.offer, &job.demand))
            .collect();
        let takes = &job.demand.wants.draft().resources;
        let against = takes.iter().map(|(kind, asked)| {
            let has = suiting
                .iter()
                .map(|worker| worker.offer.capacity.amount(kind));
            (kind.to_string(), asked, has.fold(0, max))
        });
        against
            .filter(|(_, asked, largest)| asked > largest)
            .collect()
    }
}
