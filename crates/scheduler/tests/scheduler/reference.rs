//! The policy once more, slow and obvious: every decision looks at everything.

mod help;
mod matching;
mod queues;
mod reasons;

use std::cmp::Reverse;
use std::sync::Arc;

use jobyard_core::{Group, JobId, Steady, WorkerId};
use jobyard_scheduler::{
    Availability, Decision, Event, JobDemand, MAX_SCORED, Placement, Policy, Wants, WorkerOffer,
};

pub(crate) use matching::{distance, is_warm, may_hold, suits, warm_bytes};
pub(crate) use queues::{Queues, Stay};

use crate::points::points;

#[derive(Clone)]
pub(crate) struct Reference {
    pub(crate) policy: Policy,
    pub(crate) now: Steady,
    pub(crate) jobs: Vec<Job>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) queues: Queues,
    pub(crate) fleet_known: bool,
    pub(crate) fleet_may_grow: bool,
    arrivals: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) demand: JobDemand,
    /// Counts the jobs that were ever queued.
    pub(crate) arrival: u64,
    pub(crate) queued_at: Steady,
    pub(crate) impossible_since: Option<Steady>,
    /// `None` while it waits.
    pub(crate) stay: Option<Stay>,
}

impl Job {
    pub(crate) fn waits(&self) -> bool {
        self.stay.is_none()
    }

    /// Its place in its queue: lowest first.
    pub(crate) fn key(&self) -> (Reverse<i32>, u64, u64) {
        let demand = &self.demand;
        (Reverse(demand.priority), demand.order, self.arrival)
    }

    fn is_in_line_with(&self, other: &Self) -> bool {
        let (own, other) = (&self.demand, &other.demand);
        let same_group = match (&own.group, &other.group) {
            (None, None) => true,
            (Some(own), Some(other)) => {
                own.key == other.key && own.limit.max(1) == other.limit.max(1)
            }
            _ => false,
        };
        own.queue == other.queue && own.wants == other.wants && same_group
    }

    pub(crate) fn line(&self) -> LineKey {
        LineKey {
            queue: self.demand.queue.clone(),
            wants: self.demand.wants.clone(),
            group: self.demand.group.as_ref().map(|group| {
                let limit = group.limit.max(1);
                Group::new(group.key.clone(), limit)
            }),
        }
    }

    pub(crate) fn id(&self) -> JobId {
        self.demand.job
    }
}

/// What all jobs of a line have in common.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineKey {
    queue: Arc<str>,
    wants: Arc<Wants>,
    group: Option<Group>,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) offer: WorkerOffer,
    pub(crate) availability: Availability,
    pub(crate) kept_for: Option<LineKey>,
}

impl Worker {
    pub(crate) fn is_available(&self) -> bool {
        self.availability == Availability::Available
    }
}

impl Reference {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            now: Steady::default(),
            jobs: Vec::new(),
            workers: Vec::new(),
            queues: Queues::default(),
            fleet_known: false,
            fleet_may_grow: false,
            arrivals: 0,
        }
    }

    pub(crate) fn handle(&mut self, now: Steady, event: &Event) -> Vec<Decision> {
        self.now = self.now.max(now);
        self.take_in(event);
        let mut out = Vec::new();
        self.end_reservations();
        while let Some((candidate, worker)) = self.candidate() {
            if let Some(line) = self.overtaken(candidate, worker) {
                self.workers[worker].kept_for = Some(line);
                continue;
            }
            out.push(self.assign(candidate, worker));
            self.end_reservations();
        }
        self.give_up(&mut out);
        self.forget_queues();
        out
    }

    fn take_in(&mut self, event: &Event) {
        match event {
            Event::JobQueued(demand) => self.queue(demand),
            Event::JobWithdrawn(job) => {
                if self.job(*job).is_some_and(Job::waits) {
                    self.remove(*job);
                }
            }
            Event::JobPlaced { demand, worker } => {
                self.remove(demand.job);
                let mut job = self.enter(demand);
                job.stay = Some(self.charge(demand, *worker, false));
                self.jobs.push(job);
            }
            Event::JobReleased(job) => {
                if self.job(*job).is_some_and(|job| !job.waits()) {
                    self.remove(*job);
                }
            }
            Event::WorkerJoined(offer) | Event::WorkerChanged(offer) => {
                match self.worker_mut(offer.worker) {
                    Some(worker) => worker.offer = offer.clone(),
                    None => self.workers.push(Worker {
                        offer: offer.clone(),
                        availability: Availability::Silent,
                        kept_for: None,
                    }),
                }
            }
            Event::WorkerHolds { worker, holds } => {
                if let Some(worker) = self.worker_mut(*worker) {
                    worker.offer.holds = holds.clone();
                }
            }
            Event::WorkerAvailability {
                worker,
                availability,
            } => {
                if let Some(worker) = self.worker_mut(*worker) {
                    worker.availability = *availability;
                }
            }
            Event::WorkerLeft(id) => self.workers.retain(|worker| worker.offer.worker != *id),
            Event::QueueSet { queue, settings } => self.queues.set(self.now, queue, *settings),
            Event::FleetKnown => self.fleet_known = true,
            Event::FleetMayGrow(may) => self.fleet_may_grow = *may,
            Event::TimePassed => {}
            other => panic!("an event that the reference does not know: {other:?}"),
        }
    }

    fn queue(&mut self, demand: &JobDemand) {
        if self.job(demand.job).is_some_and(|job| !job.waits()) {
            return;
        }
        self.remove(demand.job);
        let is_first = self.waiting().all(|job| job.demand.queue != demand.queue);
        let job = self.enter(demand);
        if is_first {
            self.queues.queue_mut(&demand.queue).passed_since = self.now;
        }
        self.jobs.push(job);
    }

    /// A job is new to its queue.
    fn enter(&mut self, demand: &JobDemand) -> Job {
        let has_jobs = self.jobs.iter().any(|job| job.demand.queue == demand.queue);
        self.queues.enter(&demand.queue, has_jobs);
        self.arrivals += 1;
        Job {
            demand: demand.clone(),
            arrival: self.arrivals,
            queued_at: self.now,
            impossible_since: None,
            stay: None,
        }
    }

    /// A job is no longer known; one that was placed is charged for what it used.
    fn remove(&mut self, id: JobId) {
        let Some(at) = self.jobs.iter().position(|job| job.id() == id) else {
            return;
        };
        let job = self.jobs.remove(at);
        if let Some(stay) = &job.stay {
            self.queues.release(&job.demand.queue, stay, self.now);
        }
        let line = job.line();
        if self.waiting().all(|job| job.line() != line) {
            self.end_reservation_of(&line);
        }
    }

    /// The first job in order that some worker has room for, and the worker that placement chooses.
    fn candidate(&self) -> Option<(usize, usize)> {
        self.heads().into_iter().find_map(|at| {
            let job = &self.jobs[at];
            let only_warm = self.holds_out(job);
            let roomy = (0..self.workers.len()).filter(|&at| {
                let worker = &self.workers[at];
                self.has_room(worker, job) && (!only_warm || is_warm(&worker.offer, &job.demand))
            });
            Some((at, self.place(job, roomy.collect())?))
        })
    }

    /// The heads that may go, as far as queues and groups decide, in order.
    pub(crate) fn heads(&self) -> Vec<usize> {
        let is_head = |job: &Job| {
            let mut waiting = self.waiting();
            waiting.all(|other| job.key() <= other.key() || !other.is_in_line_with(job))
        };
        let mut heads: Vec<_> = (0..self.jobs.len())
            .filter(|&at| {
                let job = &self.jobs[at];
                job.waits()
                    && self.is_queue_open(&job.demand.queue)
                    && self.is_group_open(job)
                    && is_head(job)
            })
            .collect();
        heads.sort_by_key(|&at| {
            let job = &self.jobs[at];
            (self.turn(&job.demand.queue), job.key())
        });
        heads
    }

    /// The place of a queue in the order: lowest first.
    pub(crate) fn turn(&self, queue: &Arc<str>) -> (Reverse<i64>, u128, Arc<str>) {
        let class = self
            .queues
            .effective_class(queue, self.now, self.policy.ageing);
        (
            Reverse(class),
            self.queues.queue(queue).charge,
            queue.clone(),
        )
    }

    pub(crate) fn is_queue_open(&self, queue: &str) -> bool {
        let running = self.placed_of(queue) as u64;
        let limit = self.queues.queue(queue).settings.max_running;
        limit.is_none_or(|limit| running < limit)
    }

    pub(crate) fn is_group_open(&self, job: &Job) -> bool {
        let Some(group) = &job.demand.group else {
            return true;
        };
        self.running_of_group(&group.key) < u64::from(group.limit.max(1))
    }

    pub(crate) fn running_of_group(&self, key: &str) -> u64 {
        let groups = self.placed().filter_map(|job| job.demand.group.as_ref());
        groups.filter(|group| group.key == key).count() as u64
    }

    /// Whether it waits for a warm worker although others may have room.
    pub(crate) fn holds_out(&self, job: &Job) -> bool {
        let Placement::Warm { patience } = self.policy.placement else {
            return false;
        };
        self.now - job.queued_at < patience
            && self.workers.iter().any(|worker| {
                worker.is_available()
                    && may_hold(&worker.offer, &job.demand)
                    && is_warm(&worker.offer, &job.demand)
            })
    }

    pub(crate) fn has_room(&self, worker: &Worker, job: &Job) -> bool {
        let kept = worker.kept_for.as_ref();
        let kept = kept.filter(|line| **line != job.line());
        self.has_bare_room(worker, job)
            && kept.is_none_or(|line| {
                let wants = &job.demand.wants.draft().resources;
                let kept = &line.wants.draft().resources;
                let used = self.used(worker.offer.worker);
                wants.iter().all(|(kind, takes)| {
                    let there_is = worker.offer.capacity.amount(kind);
                    used.amount(kind) + takes + kept.amount(kind) <= there_is
                })
            })
    }

    /// The same without regard to what is kept.
    pub(crate) fn has_bare_room(&self, worker: &Worker, job: &Job) -> bool {
        let used = self.used(worker.offer.worker);
        let wants = &job.demand.wants.draft().resources;
        worker.is_available()
            && suits(&worker.offer, &job.demand)
            && wants.iter().all(|(kind, takes)| {
                used.amount(kind) + takes <= worker.offer.capacity.amount(kind)
            })
    }

    /// The best of these workers.
    fn place(&self, job: &Job, mut workers: Vec<usize>) -> Option<usize> {
        let offer = |at: usize| &self.workers[at].offer;
        let preference = |at: usize| matching::preference(offer(at), &job.demand);
        let best = workers.iter().map(|&at| preference(at)).max()?;
        workers.retain(|&at| preference(at) == best);
        let load = |at: usize| self.load(&self.workers[at]);
        let warmth = |at: usize| warm_bytes(offer(at), &job.demand);
        workers.sort_by_key(|&at| (load(at), distance(job.id(), offer(at).worker)));
        match &self.policy.placement {
            Placement::Pack => workers.sort_by_key(|&at| Reverse(load(at))),
            Placement::Warm { .. } => workers.sort_by_key(|&at| Reverse(warmth(at))),
            Placement::Scored(_) => {
                workers.truncate(MAX_SCORED);
                workers.sort_by_key(|&at| {
                    Reverse(points(job.id(), offer(at).worker, load(at), warmth(at)))
                });
            }
            _ => {}
        }
        workers.first().copied()
    }

    /// The line for which room has to be kept on this worker before the candidate may have it.
    fn overtaken(&self, candidate: usize, worker: usize) -> Option<LineKey> {
        let reserve_after = self.policy.reserve_after?;
        let is_kept = |worker: &&Worker| worker.kept_for.is_some();
        let kept = self.workers.iter().filter(is_kept).count();
        if is_kept(&&self.workers[worker]) || kept >= self.policy.max_reservations {
            return None;
        }
        let before = self.heads().into_iter().take_while(|&at| at != candidate);
        before
            .map(|at| &self.jobs[at])
            .find(|job| {
                !self.holds_out(job)
                    && may_hold(&self.workers[worker].offer, &job.demand)
                    && self.now - job.queued_at >= reserve_after
                    && self.kept_on(job).is_none()
            })
            .map(Job::line)
    }

    /// The worker on which room is kept for the line of this job.
    pub(crate) fn kept_on(&self, job: &Job) -> Option<&Worker> {
        let line = job.line();
        let mut workers = self.workers.iter();
        workers.find(|worker| worker.kept_for.as_ref() == Some(&line))
    }

    fn assign(&mut self, at: usize, worker: usize) -> Decision {
        let demand = self.jobs[at].demand.clone();
        let worker = self.workers[worker].offer.worker;
        self.jobs[at].stay = Some(self.charge(&demand, worker, true));
        let line = self.jobs[at].line();
        self.end_reservation_of(&line);
        let job = demand.job;
        Decision::Assigned { job, worker }
    }

    fn charge(&mut self, demand: &JobDemand, worker: WorkerId, assigned: bool) -> Stay {
        let capacities = self.workers.iter().map(|worker| &worker.offer.capacity);
        let share = matching::share(&demand.wants.draft().resources, &capacities);
        self.queues
            .charge(self.now, demand, share, worker, assigned)
    }

    fn end_reservation_of(&mut self, line: &LineKey) {
        for worker in &mut self.workers {
            if worker.kept_for.as_ref() == Some(line) {
                worker.kept_for = None;
            }
        }
    }

    fn end_reservations(&mut self) {
        for at in 0..self.workers.len() {
            let worker = &self.workers[at];
            let holds = worker.kept_for.as_ref().is_some_and(|line| {
                let head = self.waiting().find(|job| job.line() == *line);
                worker.is_available()
                    && head.is_some_and(|job| may_hold(&worker.offer, &job.demand))
            });
            if !holds {
                self.workers[at].kept_for = None;
            }
        }
    }

    pub(crate) fn is_impossible(&self, job: &Job) -> bool {
        let mut workers = self.workers.iter();
        self.fleet_known
            && !self.fleet_may_grow
            && !workers.any(|worker| may_hold(&worker.offer, &job.demand))
    }

    fn give_up(&mut self, out: &mut Vec<Decision>) {
        let mut given_up = Vec::new();
        for at in 0..self.jobs.len() {
            if !self.jobs[at].waits() {
                continue;
            }
            let is_impossible = self.is_impossible(&self.jobs[at]);
            let job = &mut self.jobs[at];
            let since = job.impossible_since.unwrap_or(self.now);
            job.impossible_since = is_impossible.then_some(since);
            let patience = self.policy.give_up_after;
            if is_impossible && patience.is_some_and(|patience| self.now - since >= patience) {
                given_up.push((job.arrival, job.id()));
            }
        }
        given_up.sort();
        for (_, job) in given_up {
            self.remove(job);
            out.push(Decision::GaveUp { job });
        }
    }

    fn forget_queues(&mut self) {
        let jobs = &self.jobs;
        self.queues
            .forget(|queue| jobs.iter().any(|job| *job.demand.queue == *queue));
    }

    pub(crate) fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id() == id)
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.waits())
    }

    pub(crate) fn placed(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| !job.waits())
    }

    pub(crate) fn placed_of(&self, queue: &str) -> usize {
        self.placed()
            .filter(|job| *job.demand.queue == *queue)
            .count()
    }

    pub(crate) fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.iter().find(|worker| worker.offer.worker == id)
    }

    fn worker_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        let mut workers = self.workers.iter_mut();
        workers.find(|worker| worker.offer.worker == id)
    }
}
