//! A load that is kept up.

use std::mem;
use std::time::Duration;

use fastrand::Rng;
use jobyard_core::{JobId, Now, Resources, WorkerId};
use jobyard_scheduler::{Availability, Decision, Event};

use super::limits::Limits;
use super::workload::worker_id;
use super::{Kind, Matcher, Workload, room};

/// A fleet with jobs that run and jobs that wait, driven by hand. Time passes with each decision, by as much as the jobs
/// that run take on average until one of them ends.
#[derive(Debug)]
pub struct Yard<M> {
    matcher: M,
    workload: Workload,
    running: Vec<Placed>,
    /// What is queued, as far as it was queued last: to take some of it back.
    recent: Vec<JobId>,
    /// The worker that fell silent last.
    silent: Option<WorkerId>,
    now: Now,
    serial: u64,
    rng: Rng,
    out: Vec<Decision>,
    twins: Vec<Kind>,
    assigned: u64,
}

/// A job that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which.
    pub job: JobId,
    /// Where.
    pub worker: WorkerId,
}

impl<M: Matcher> Yard<M> {
    /// With the workers of this load, as many jobs running as it says, and none waiting.
    pub fn new(matcher: M, workload: Workload) -> Self {
        let mut yard = Self {
            matcher,
            workload,
            running: Vec::new(),
            recent: Vec::with_capacity(RECENT),
            silent: None,
            now: Now::default(),
            serial: 0,
            rng: Rng::with_seed(42),
            out: Vec::new(),
            twins: Vec::new(),
            assigned: 0,
        };
        yard.handle(Event::FleetKnown);
        let queues: Vec<_> = yard.workload.queues().collect();
        for (queue, settings) in queues {
            yard.handle(Event::QueueSet { queue, settings });
        }
        for worker in 0..yard.workload.shape().workers {
            yard.handle(Event::WorkerJoined(yard.workload.offer(worker)));
        }
        yard.occupy();
        for worker in 0..yard.workload.shape().workers {
            yard.available(worker_id(worker), Availability::Available);
        }
        yard.settle();
        yard
    }

    /// Queues this many jobs, and lets pass the time in which the oldest of them have waited long.
    pub fn fill(&mut self, jobs: usize) {
        let step = LONG / u32::try_from(jobs.max(1)).unwrap_or(u32::MAX);
        for _ in 0..jobs {
            self.pass(step);
            let kind = self.workload.waiting(&mut self.rng);
            self.queue_blocked(kind);
        }
        if self.workload.shape().lonely {
            self.queue_blocked(self.workload.lonely());
        }
        self.settle();
    }

    /// Queues this many jobs more, at once.
    pub fn restock(&mut self, jobs: usize) {
        for _ in 0..jobs {
            let kind = self.workload.waiting(&mut self.rng);
            self.submit(kind);
        }
        self.settle();
    }

    /// One decision: a job ends, what follows is assigned, and for each job that was, one like it is queued. If there was
    /// none, one like that which ended is queued. So the load stays what it is.
    #[inline]
    pub fn decide(&mut self) {
        let Some(ended) = self.end_one() else { return };
        let mut twins = mem::take(&mut self.twins);
        for decision in &self.out {
            if let Decision::Assigned { job, .. } = decision {
                twins.push(Kind::of(*job));
            }
        }
        if twins.is_empty() {
            twins.push(Kind::of(ended.job));
        }
        for kind in twins.drain(..) {
            self.submit(kind);
        }
        self.twins = twins;
        self.settle();
    }

    /// One decision of a fleet that is idle in part: a job is queued and assigned at once, and another one ends.
    #[inline]
    pub fn place(&mut self) {
        let worker = self.rng.usize(..self.workload.shape().workers);
        let kind = self.workload.running(worker, &mut self.rng);
        self.submit(kind);
        self.settle();
        self.end_one();
        self.settle();
    }

    /// A job is queued, and one that waits is taken back.
    #[inline]
    pub fn replace_waiting(&mut self) {
        let kind = self.workload.waiting(&mut self.rng);
        let job = self.submit(kind);
        self.recent.push(job);
        let at = self.rng.usize(..self.recent.len());
        let job = self.recent.swap_remove(at);
        self.handle(Event::JobWithdrawn(job));
        self.settle();
    }

    /// A worker falls silent, and the one that did before comes back.
    #[inline]
    pub fn flap(&mut self) {
        let worker = worker_id(self.rng.usize(..self.workload.shape().workers));
        if let Some(before) = self.silent.replace(worker) {
            self.available(before, Availability::Available);
        }
        self.available(worker, Availability::Silent);
        self.settle();
    }

    /// A worker takes jobs from now on, or does not.
    pub fn available(&mut self, worker: WorkerId, availability: Availability) {
        self.handle(Event::WorkerAvailability {
            worker,
            availability,
        });
    }

    /// Something happens. What follows is counted by [`Self::settle`].
    #[inline]
    pub fn handle(&mut self, event: Event) {
        self.matcher.handle(self.now, event, &mut self.out);
    }

    /// Notes what was assigned since the last time; answers how many jobs.
    pub fn settle(&mut self) -> usize {
        for decision in &self.out {
            if let Decision::Assigned { job, worker } = *decision {
                self.running.push(Placed { job, worker });
                self.assigned += 1;
            }
        }
        let assigned = self.out.len();
        self.out.clear();
        assigned
    }

    /// Queues a job of this kind.
    #[inline]
    pub fn submit(&mut self, kind: Kind) -> JobId {
        let job = self.mint(kind);
        let demand = self.workload.demand(job, self.serial);
        self.handle(Event::JobQueued(demand));
        job
    }

    /// Takes out what runs on these workers, without ending it.
    pub fn take_running_on(&mut self, workers: &[WorkerId]) -> Vec<Placed> {
        let on = |placed: &mut Placed| workers.contains(&placed.worker);
        self.running.extract_if(.., on).collect()
    }

    /// So many different workers, by number.
    pub fn some_workers(&mut self, count: usize) -> Vec<usize> {
        let workers = self.workload.shape().workers;
        self.rng.choose_multiple(0..workers, count.min(workers))
    }

    /// How many jobs have been assigned so far.
    pub fn assigned(&self) -> u64 {
        self.assigned
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// What is measured.
    pub fn matcher(&self) -> &M {
        &self.matcher
    }

    /// The load.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    fn end_one(&mut self) -> Option<Placed> {
        if self.running.is_empty() {
            return None;
        }
        let at = self.rng.usize(..self.running.len());
        let running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.pass(self.workload.shape().run_time / running);
        let ended = self.running.swap_remove(at);
        self.handle(Event::JobReleased(ended.job));
        Some(ended)
    }

    fn queue_blocked(&mut self, kind: Kind) {
        let job = self.mint(kind);
        let demand = self.workload.demand(job, self.serial);
        self.matcher.queue_blocked(self.now, demand, &mut self.out);
        if self.recent.len() < RECENT {
            self.recent.push(job);
        }
    }

    /// Puts jobs onto the workers until they are full, or as full as the load says, within all limits.
    fn occupy(&mut self) {
        let mut limits = Limits::default();
        for (queue, settings) in self.workload.queues() {
            limits.set(queue, settings.max_running);
        }
        for worker in 0..self.workload.shape().workers {
            let mut room = self.workload.capacity(worker);
            for _ in 0..room.slots {
                if self.rng.u8(..100) < self.workload.shape().taken {
                    self.occupy_one(worker, &mut room, &mut limits);
                }
            }
        }
    }

    /// Puts one job onto a worker. Not every kind finds room and an open queue: a few are tried.
    fn occupy_one(&mut self, worker: usize, room: &mut Resources, limits: &mut Limits) {
        for _ in 0..TRIES {
            let kind = self.workload.running(worker, &mut self.rng);
            let job = self.mint(kind);
            let demand = self.workload.demand(job, self.serial);
            let takes = &demand.wants.draft().resources;
            if room.covers(takes) && limits.open(&demand) {
                room::take(room, takes);
                limits.add(&demand);
                let worker = worker_id(worker);
                self.handle(Event::JobPlaced { demand, worker });
                self.running.push(Placed { job, worker });
                return;
            }
        }
    }

    fn mint(&mut self, kind: Kind) -> JobId {
        self.serial += 1;
        kind.id(self.serial, self.rng.u64(..))
    }

    fn pass(&mut self, time: Duration) {
        self.now.steady = self.now.steady + time.max(Duration::from_micros(1));
    }
}

/// How long the oldest jobs of a load have waited at its start: long enough for all that the policy does about waiting.
const LONG: Duration = Duration::from_mins(2);

/// How many of the waiting jobs are remembered.
const RECENT: usize = 100_000;

/// How many kinds of jobs are tried for a place on a worker.
const TRIES: usize = 8;
