//! The scheduler itself: events in, assignments out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jobyard_core::{Explanation, JobId, Now, Steady, WorkerId};

use crate::explain::Question;
use crate::fleet::Fleet;
use crate::lanes::Lanes;
use crate::needs::{Need, Needs};
use crate::{Assignment, Availability, Event, JobDemand, QueueCounts, WorkerOffer, WorkerUse};

/// How many sets of requirements that no queued job has are remembered, with the workers that meet them, for the next
/// job that has one. Enough for what comes again and again; what is forgotten costs one look at each worker. Decides
/// nothing.
pub const MAX_IDLE_NEEDS: usize = 1024;

/// Decides who runs where. A value without clock, randomness and IO; see the [crate] for the policy.
///
/// # How it is driven
///
/// * [`handle`](Self::handle) takes what happened and appends who runs where now. After each call, no queued job is
///   left for which an available worker has room.
/// * [`explain`](Self::explain) says why a job waits.
/// * [`next_deadline`](Self::next_deadline) says when time alone would change something.
/// * [`queued`](Self::queued), [`placed`](Self::placed), [`queue`](Self::queue), [`worker`](Self::worker) and the
///   iterators show what it holds.
///
/// All state can be rebuilt from events: after a restart, tell it the workers ([`Event::WorkerJoined`]), the jobs that
/// run ([`Event::JobPlaced`]) and the jobs that wait ([`Event::JobQueued`]), then that workers are
/// [available](Event::WorkerAvailability) as they connect, and at last [`Event::FleetKnown`].
#[derive(Default)]
pub struct Scheduler {
    // Ordered maps throughout: no seed is drawn, and ids that a client chose cannot be made to collide.
    jobs: BTreeMap<JobId, Job>,
    queued: usize,
    lanes: Lanes,
    needs: Needs,
    fleet: Fleet,
    fleet_known: bool,
}

/// One job that waits or is placed.
struct Job {
    queue: Arc<str>,
    slots: u32,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Waiting { order: u64, need: usize },
    On(WorkerId),
}

impl Scheduler {
    /// Without jobs and workers, and with a fleet that is not known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what happened and appends the assignments that follow, in the order in which they were made. The
    /// slots of an assignment are taken at once. Never fails: an event that does not fit changes nothing.
    ///
    /// No rule depends on time so far; it is asked for so that such a rule needs no other signature.
    pub fn handle(&mut self, _now: Now, event: Event, out: &mut Vec<Assignment>) {
        match event {
            Event::JobQueued(demand) => self.on_queued(demand, out),
            Event::JobWithdrawn(job) => self.on_withdrawn(job),
            Event::JobPlaced { demand, worker } => self.on_placed(demand, worker, out),
            Event::JobReleased(job) => self.on_released(job, out),
            Event::WorkerJoined(offer) | Event::WorkerChanged(offer) => self.on_offer(offer, out),
            Event::WorkerAvailability {
                worker,
                availability,
            } => self.on_availability(worker, availability, out),
            Event::WorkerLeft(worker) => self.on_left(worker),
            Event::FleetKnown => self.fleet_known = true,
        }
    }

    /// Why this job waits. `None` if it does not: it is placed or unknown.
    ///
    /// Looks at each worker once, and at each job that stands before it in its queue.
    pub fn explain(&self, job: JobId) -> Option<Explanation> {
        let Job {
            queue,
            slots,
            place,
        } = self.jobs.get(&job)?;
        let Place::Waiting { order, need } = *place else {
            return None;
        };
        let question = Question {
            entry: self.needs.entry(need),
            slots: *slots,
            ahead: self.lanes.ahead_of(queue, order, job),
            fleet: &self.fleet,
            fleet_known: self.fleet_known,
        };
        Some(question.answer())
    }

    /// When time alone would change a decision. `None` as long as no rule depends on time.
    pub fn next_deadline(&self) -> Option<Steady> {
        None
    }

    /// How many jobs wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many jobs have a worker.
    pub fn placed(&self) -> usize {
        self.jobs.len() - self.queued
    }

    /// What is in one queue. Zeros for a queue that has no jobs.
    pub fn queue(&self, name: &str) -> QueueCounts {
        self.lanes.counts(name)
    }

    /// Every queue that has jobs, by name.
    pub fn queues(&self) -> impl Iterator<Item = (&str, QueueCounts)> {
        self.lanes.iter()
    }

    /// How much of a worker is taken. `None` for an unknown one.
    pub fn worker(&self, worker: WorkerId) -> Option<WorkerUse> {
        let at = self.fleet.index(worker)?;
        Some(self.fleet.worker(at).usage())
    }

    /// Every known worker, by id.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, WorkerUse)> {
        let workers = self.fleet.by_id();
        workers.map(|(id, worker)| (id, worker.usage()))
    }

    /// Every job that waits, by id. Walks over the placed ones too.
    pub fn queued_jobs(&self) -> impl Iterator<Item = JobId> {
        let jobs = self.jobs.iter();
        jobs.filter_map(|(&id, job)| matches!(job.place, Place::Waiting { .. }).then_some(id))
    }

    /// Every job that has a worker, with that worker, by id of the job. Walks over the waiting ones too.
    pub fn placed_jobs(&self) -> impl Iterator<Item = (JobId, WorkerId)> {
        self.jobs.iter().filter_map(|(&id, job)| match job.place {
            Place::On(worker) => Some((id, worker)),
            Place::Waiting { .. } => None,
        })
    }

    fn on_queued(&mut self, demand: JobDemand, out: &mut Vec<Assignment>) {
        let id = demand.job;
        match self.jobs.get(&id).map(|job| job.place) {
            Some(Place::On(_)) => return,
            Some(Place::Waiting { .. }) => drop(self.forget(id)),
            None => {}
        }
        let slots = demand.slots.max(1);
        let need = Need::new(demand.requirements, demand.worker);
        let need = self.needs.intern(need, &self.fleet);
        let order = demand.order;
        let queue = self.lanes.intern(demand.queue);
        let place = Place::Waiting { order, need };
        self.insert(
            id,
            Job {
                queue,
                slots,
                place,
            },
        );
        if let Some(at) = self.roomiest(need, slots, id) {
            self.assign(id, at, out);
        } else {
            self.needs.enqueue(need, slots, order, id);
        }
    }

    fn on_withdrawn(&mut self, id: JobId) {
        if let Some(Place::Waiting { .. }) = self.jobs.get(&id).map(|job| job.place) {
            self.forget(id);
        }
    }

    fn on_placed(&mut self, demand: JobDemand, worker: WorkerId, out: &mut Vec<Assignment>) {
        let vacated = self.forget(demand.job);
        let job = Job {
            queue: self.lanes.intern(demand.queue),
            slots: demand.slots.max(1),
            place: Place::On(worker),
        };
        self.insert(demand.job, job);
        if let Some(at) = vacated {
            self.fill(at, out);
        }
    }

    fn on_released(&mut self, id: JobId, out: &mut Vec<Assignment>) {
        if let Some(Place::On(_)) = self.jobs.get(&id).map(|job| job.place)
            && let Some(at) = self.forget(id)
        {
            self.fill(at, out);
        }
    }

    fn on_offer(&mut self, offer: WorkerOffer, out: &mut Vec<Assignment>) {
        let at = self.fleet.upsert(offer);
        self.needs.on_worker(at, self.fleet.worker(at));
        self.fill(at, out);
    }

    fn on_availability(
        &mut self,
        worker: WorkerId,
        availability: Availability,
        out: &mut Vec<Assignment>,
    ) {
        if let Some(at) = self.fleet.index(worker) {
            self.fleet.set_availability(at, availability);
            self.fill(at, out);
        }
    }

    fn on_left(&mut self, worker: WorkerId) {
        if let Some(at) = self.fleet.remove(worker) {
            self.needs.on_worker_left(at);
        }
    }

    /// Gives a worker with new room what waits for it, first come first served.
    ///
    /// Before the event that made the room nothing could be placed anywhere, so only this worker can take anything.
    fn fill(&mut self, at: usize, out: &mut Vec<Assignment>) {
        while let Some(job) = self.needs.first_for(at, self.fleet.room(at)) {
            self.assign(job, at, out);
        }
    }

    /// Where a job that has just been queued can go now.
    fn roomiest(&self, need: usize, slots: u32, job: JobId) -> Option<usize> {
        let entry = self.needs.entry(need);
        // What an equal or smaller job waits for, this one cannot have: nothing that could be placed is left waiting.
        if entry.waits_for(slots) {
            return None;
        }
        self.fleet.roomiest(entry.members(), slots, job)
    }

    /// Moves a waiting job, in line or not yet, onto a worker.
    fn assign(&mut self, id: JobId, at: usize, out: &mut Vec<Assignment>) {
        let worker = self.fleet.worker(at).id;
        if let Some(mut job) = self.detach(id) {
            job.place = Place::On(worker);
            self.insert(id, job);
            out.push(Assignment { job: id, worker });
        }
    }

    /// Counts a job where it stands. The line of its need is not touched.
    fn insert(&mut self, id: JobId, job: Job) {
        match job.place {
            Place::Waiting { order, .. } => {
                self.queued += 1;
                self.lanes.add_waiting(&job.queue, order, id);
            }
            Place::On(worker) => {
                self.lanes.add_placed(&job.queue);
                self.fleet.take(worker, job.slots);
            }
        }
        self.jobs.insert(id, job);
    }

    /// Takes a waiting job out of everything that counts it.
    fn detach(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        if let Place::Waiting { order, need } = job.place {
            self.queued -= 1;
            self.lanes.remove_waiting(&job.queue, order, id);
            self.needs.dequeue(need, job.slots, order, id);
        }
        Some(job)
    }

    /// Forgets a job, if it is known. Returns the index of the known worker that got slots back.
    fn forget(&mut self, id: JobId) -> Option<usize> {
        let job = self.detach(id)?;
        let Place::On(worker) = job.place else {
            return None;
        };
        self.lanes.remove_placed(&job.queue);
        self.fleet.give_back(worker, job.slots)
    }
}

impl fmt::Debug for Scheduler {
    /// Counts only: there may be a million jobs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("queued", &self.queued)
            .field("placed", &self.placed())
            .field("workers", &self.fleet.len())
            .field("fleet_known", &self.fleet_known)
            .finish_non_exhaustive()
    }
}
