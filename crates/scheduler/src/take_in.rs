//! What events change, before anything is decided.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{JobId, WorkerId};

use crate::jobs::{Job, Place, Stay};
use crate::lines::{Change, Common, First, Key};
use crate::{Availability, Event, JobDemand, Scheduler, WorkerOffer};

impl Scheduler {
    pub(crate) fn take_in(&mut self, event: Event) {
        match event {
            Event::JobQueued(demand) => self.on_queued(&demand),
            Event::JobWithdrawn(job) => self.on_withdrawn(job),
            Event::JobPlaced { demand, worker } => self.on_placed(&demand, worker),
            Event::JobReleased(job) => self.on_released(job),
            Event::WorkerJoined(offer) | Event::WorkerChanged(offer) => self.on_offer(offer),
            Event::WorkerHolds { worker, holds } => self.on_holds(worker, holds),
            Event::WorkerAvailability {
                worker,
                availability,
            } => self.on_availability(worker, availability),
            Event::WorkerLeft(worker) => self.on_left(worker),
            Event::QueueSet { queue, settings } => {
                let was_open = self
                    .queues
                    .find(&queue)
                    .is_none_or(|at| self.queues.queue(at).is_open());
                let at = self.queues.set(self.now, &queue, settings);
                if !was_open && self.queues.queue(at).is_open() {
                    self.dirty.queues.insert(at);
                }
            }
            Event::FleetKnown => {
                self.fleet_known = true;
                self.judge_all();
            }
            Event::FleetMayGrow(may) => {
                self.fleet_may_grow = may;
                self.judge_all();
            }
            Event::TimePassed => {}
        }
    }

    fn on_queued(&mut self, demand: &JobDemand) {
        if let Some(at) = self.jobs.find(demand.job) {
            match self.jobs.job(at).place {
                Place::Placed(_) => return,
                Place::Waiting(_) => self.withdraw(at),
            }
        }
        let at = self.add_job(demand);
        let Job { common, key, .. } = *self.jobs.job(at);
        self.queues.add_waiting(self.now, common.queue);
        self.shapes.shape_mut(common.shape).waiting += 1;
        self.judge_queued(common.shape);
        self.push(
            common,
            First {
                key,
                job: at,
                since: self.now,
            },
        );
    }

    /// Puts a job that is known otherwise into its line.
    fn push(&mut self, common: Common, new: First) {
        let need = self.shapes.shape(common.shape).need;
        let (line, change) = self.lines.push(common, need, new);
        self.jobs.set_place(new.job, Place::Waiting(line));
        match change {
            // It cannot go where those before it cannot.
            Change::Behind => return,
            Change::First(old) => self.on_head_changed(line, old),
            Change::Whole => self.open_line(line),
        }
        self.dirty.lines.insert(line);
    }

    fn on_withdrawn(&mut self, id: JobId) {
        if let Some(at) = self.jobs.find(id)
            && let Place::Waiting(_) = self.jobs.job(at).place
        {
            self.withdraw(at);
        }
    }

    /// Forgets a waiting job.
    pub(crate) fn withdraw(&mut self, at: u32) {
        let Place::Waiting(line) = self.jobs.job(at).place else {
            return;
        };
        self.take_from_line(line, self.jobs.job(at).key);
        let job = self.jobs.remove(at);
        self.queues.remove_waiting(job.common.queue);
        self.queues.relist(self.now, job.common.queue);
        let shape = self.shapes.shape_mut(job.common.shape);
        shape.waiting -= 1;
        if shape.waiting == 0 {
            self.hopeless.forget(job.common.shape);
        }
        self.release_common(job.common);
    }

    fn on_placed(&mut self, demand: &JobDemand, worker: WorkerId) {
        if let Some(at) = self.jobs.find(demand.job) {
            match self.jobs.job(at).place {
                Place::Placed(_) => self.release(at),
                Place::Waiting(_) => self.withdraw(at),
            }
        }
        let at = self.add_job(demand);
        let worker = self.fleet.index_of(worker);
        self.place(at, worker, false);
        self.fleet.list(worker);
    }

    fn on_released(&mut self, id: JobId) {
        if let Some(at) = self.jobs.find(id)
            && let Place::Placed(_) = self.jobs.job(at).place
        {
            self.release(at);
        }
    }

    /// Adds a job that is in no line and on no worker yet.
    fn add_job(&mut self, demand: &JobDemand) -> u32 {
        let queue = self.queues.enter(&demand.queue);
        let shape = self
            .shapes
            .acquire(&demand.wants, &mut self.needs, &mut self.fleet);
        let gate = demand
            .group
            .as_ref()
            .map(|group| self.groups.acquire(group));
        self.jobs.arrivals += 1;
        self.jobs.add(Job {
            id: demand.job,
            common: Common { queue, shape, gate },
            key: Key {
                priority: std::cmp::Reverse(demand.priority),
                order: demand.order,
                arrival: self.jobs.arrivals,
            },
            since: self.now,
            expected_ms: demand.expected.map(whole_ms),
            place: Place::Waiting(u32::MAX),
        })
    }

    /// A job takes its part of a worker.
    pub(crate) fn place(&mut self, at: u32, worker: u32, assigned: bool) {
        let Job {
            common,
            expected_ms,
            ..
        } = *self.jobs.job(at);
        let share = self.shapes.share(common.shape, &self.fleet);
        let expected_ms = expected_ms.map(u64::from);
        let cost = self
            .queues
            .place(self.now, common.queue, share, expected_ms, assigned);
        self.fleet
            .take(worker, &self.shapes.shape(common.shape).asks);
        let since = self.now;
        let stay = self.jobs.begin_stay(Stay {
            worker,
            since,
            cost,
        });
        self.jobs.set_place(at, Place::Placed(stay));
        if let Some(closed) = common.gate.and_then(|gate| self.groups.place(gate)) {
            for line in self.groups.gate_mut(closed).lines.clone() {
                self.unlist_line(line);
            }
        }
    }

    /// Forgets a placed job; what it took is free again.
    fn release(&mut self, at: u32) {
        let Place::Placed(stay) = self.jobs.job(at).place else {
            return;
        };
        let Stay {
            worker,
            since,
            cost,
        } = self.jobs.end_stay(stay);
        let common = self.jobs.remove(at).common;
        let was_open = self.queues.queue(common.queue).is_open();
        self.queues
            .unplace(self.now, common.queue, cost, self.now - since);
        if !was_open && self.queues.queue(common.queue).is_open() {
            self.dirty.queues.insert(common.queue);
        }
        if let Some(opened) = common.gate.and_then(|gate| self.groups.unplace(gate)) {
            self.dirty.gates.insert(opened);
        }
        let is_known = self.fleet.worker(worker).offer.is_some();
        self.fleet
            .give_back(worker, &self.shapes.shape(common.shape).asks);
        if is_known {
            self.on_room(worker);
        }
        self.release_common(common);
    }

    fn release_common(&mut self, common: Common) {
        self.shapes
            .release(common.shape, &mut self.needs, &mut self.fleet);
        if let Some(gate) = common.gate {
            self.groups.release(gate);
        }
    }

    fn on_offer(&mut self, offer: WorkerOffer) {
        let at = self.fleet.index_of(offer.worker);
        let before = self.before_change(at);
        self.fleet.set_offer(at, offer, &self.needs);
        self.after_change(at, before);
    }

    fn on_holds(&mut self, worker: WorkerId, holds: BTreeMap<String, u64>) {
        if let Some(at) = self.fleet.known(worker) {
            let before = self.before_change(at);
            self.fleet.set_holds(at, holds);
            self.after_change(at, before);
        }
    }

    fn on_availability(&mut self, worker: WorkerId, availability: Availability) {
        if let Some(at) = self.fleet.known(worker) {
            let before = self.before_change(at);
            self.fleet.set_availability(at, availability);
            self.after_change(at, before);
        }
    }

    fn on_left(&mut self, worker: WorkerId) {
        if let Some(at) = self.fleet.known(worker) {
            let before = self.before_change(at);
            self.fleet.set_availability(at, Availability::Silent);
            self.keep_no_room(at);
            self.fleet.leave(at);
            self.after_leaving(before);
        }
    }

    /// What has to be looked at again once a worker is different.
    fn before_change(&mut self, at: u32) -> Before {
        let offer = self.fleet.worker(at).offer.as_ref();
        let is_warm = offer.is_some_and(|offer| !offer.holds.is_empty());
        let suited = match offer {
            Some(_) => self.judged_by(at),
            None => Vec::new(),
        };
        Before { is_warm, suited }
    }

    fn after_change(&mut self, at: u32, before: Before) {
        let worker = self.fleet.worker(at);
        let still_kept = |line| worker.is_available() && self.could_hold(at, line);
        if worker.kept_for.is_some_and(|line| !still_kept(line)) {
            self.keep_no_room(at);
        }
        if !self.fleet.offer(at).holds.is_empty() || before.is_warm {
            self.dirty.lines.extend(&self.warm_lines);
        }
        self.on_room(at);
        self.judge_lost(before.suited);
        self.judge_gained(at);
    }

    fn after_leaving(&mut self, before: Before) {
        if before.is_warm {
            self.dirty.lines.extend(&self.warm_lines);
        }
        self.judge_lost(before.suited);
    }

    /// A worker has or may have more room than before, or suits more jobs.
    pub(crate) fn on_room(&mut self, at: u32) {
        if self.fleet.worker(at).is_available() {
            self.needs.unsettle(&self.fleet.kind_of(at).meets);
            self.dirty.add_worker(at);
        }
    }
}

/// What was true of a worker before it changed.
struct Before {
    /// It held something.
    is_warm: bool,
    /// Shapes with waiting jobs that it could hold.
    suited: Vec<u32>,
}

fn whole_ms(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
