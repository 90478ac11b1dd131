//! The scheduler that anybody would write first.

use std::collections::{BTreeMap, HashMap};

use jobyard_core::{JobId, Now, Resources, TagSet, WorkerId};
use jobyard_scheduler::{Availability, Decision, Event, JobDemand, WorkerOffer};

use super::limits::Limits;
use super::{Matcher, room};

/// Looks at all workers for each job, and at all jobs for each worker that has become free; first come, first served.
///
/// It uses the same test of requirements, on the same types, and knows resources, the limits of queues and of groups.
/// It knows neither fair shares nor classes, priorities, placement, reservations or reasons. It takes a worker with room
/// that comes first, and tests room, which is cheap, before tags.
#[derive(Debug, Default)]
pub struct ScanAll {
    workers: Vec<Worker>,
    index: HashMap<WorkerId, usize>,
    waiting: BTreeMap<u64, JobDemand>,
    placed: HashMap<JobId, (usize, JobDemand)>,
    limits: Limits,
}

#[derive(Debug)]
struct Worker {
    id: WorkerId,
    name: String,
    tags: TagSet,
    room: Resources,
    available: bool,
}

impl Worker {
    fn takes(&self, demand: &JobDemand) -> bool {
        let wants = demand.wants.draft();
        self.available
            && self.room.covers(&wants.resources)
            && wants.worker.as_ref().is_none_or(|name| *name == self.name)
            && wants
                .requirements
                .iter()
                .all(|term| term.is_met_by(&self.tags))
    }
}

impl ScanAll {
    /// Without workers and jobs.
    pub fn new() -> Self {
        Self::default()
    }

    fn join(&mut self, offer: WorkerOffer) {
        self.index.insert(offer.worker, self.workers.len());
        self.workers.push(Worker {
            id: offer.worker,
            name: offer.name,
            tags: offer.tags,
            room: offer.capacity,
            available: false,
        });
    }

    fn queue(&mut self, demand: JobDemand, out: &mut Vec<Decision>) {
        let open = self.limits.open(&demand);
        let worker = self.workers.iter().position(|worker| worker.takes(&demand));
        match worker {
            Some(worker) if open => self.assign(worker, demand, out),
            _ => drop(self.waiting.insert(demand.order, demand)),
        }
    }

    fn fill(&mut self, worker: usize, out: &mut Vec<Decision>) {
        while let Some(order) = self.first_for(worker)
            && let Some(demand) = self.waiting.remove(&order)
        {
            self.assign(worker, demand, out);
        }
    }

    fn first_for(&self, worker: usize) -> Option<u64> {
        let worker = &self.workers[worker];
        if worker.room.slots == 0 || !worker.available {
            return None;
        }
        let mut waiting = self.waiting.iter();
        waiting
            .find(|(_, demand)| worker.takes(demand) && self.limits.open(demand))
            .map(|(order, _)| *order)
    }

    fn assign(&mut self, worker: usize, demand: JobDemand, out: &mut Vec<Decision>) {
        let job = demand.job;
        self.place(worker, demand);
        let worker = self.workers[worker].id;
        out.push(Decision::Assigned { job, worker });
    }

    fn place(&mut self, worker: usize, demand: JobDemand) {
        let taken = &demand.wants.draft().resources;
        room::take(&mut self.workers[worker].room, taken);
        self.limits.add(&demand);
        self.placed.insert(demand.job, (worker, demand));
    }

    fn release(&mut self, job: JobId, out: &mut Vec<Decision>) {
        if let Some((worker, demand)) = self.placed.remove(&job) {
            let taken = &demand.wants.draft().resources;
            room::give_back(&mut self.workers[worker].room, taken);
            self.limits.remove(&demand);
            self.fill(worker, out);
        }
    }
}

impl Matcher for ScanAll {
    /// Takes in what a load in steady state consists of, and ignores everything else.
    fn handle(&mut self, _now: Now, event: Event, out: &mut Vec<Decision>) {
        match event {
            Event::WorkerJoined(offer) => self.join(offer),
            Event::WorkerAvailability {
                worker,
                availability,
            } => {
                let worker = self.index[&worker];
                self.workers[worker].available = availability == Availability::Available;
                self.fill(worker, out);
            }
            Event::QueueSet { queue, settings } => self.limits.set(queue, settings.max_running),
            Event::JobPlaced { demand, worker } => self.place(self.index[&worker], demand),
            Event::JobQueued(demand) => self.queue(demand, out),
            Event::JobReleased(job) => self.release(job, out),
            _ => {}
        }
    }

    fn queue_blocked(&mut self, _now: Now, demand: JobDemand, _out: &mut Vec<Decision>) {
        self.waiting.insert(demand.order, demand);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduling::{Shape, Workload, Yard};

    #[test]
    fn a_freed_worker_gets_the_next_job() {
        let shape = Shape {
            sets: 20,
            queues: 4,
            ..Shape::new(1_000, 100)
        };
        let mut yard = Yard::new(ScanAll::new(), Workload::new(&shape));
        yard.fill(shape.jobs);
        let running = yard.running();
        for _ in 0..500 {
            yard.decide();
        }
        assert_eq!((yard.assigned(), yard.running()), (500, running));
    }
}
