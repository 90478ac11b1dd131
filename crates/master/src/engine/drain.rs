//! Workers that an operator empties: they get no more jobs, and finish those that they have.
//!
//! | what happens while a worker drains | what follows |
//! |---|---|
//! | every attempt that was on its way has begun, is over, or can no longer begin | whoever asked for the drain hears that it is done |
//! | its session ends | the same if nothing was on its way; else once its lease is over, by its own clock as well: from then on it starts nothing. What has not begun when it is back is stopped |
//! | it has no job and no output left | an event says so |
//! | its time is over | what it still has is stopped, and runs elsewhere on the infrastructure's budget |
//! | it is resumed, suspended or removed | whoever still waits hears that it was not drained |
//!
//! That a worker drains, and how much of its time is left, is in its record; who waits is not: after a restart of the
//! master they ask again, and a drain that is repeated is the same drain.

use std::time::Duration;

use jobyard_core::{
    AdminState, AttemptId, AuditEntry, Change, ControlError, FEATURE_DRAIN, Happening, JobId,
    MAX_DURATION, MasterMessage, Now, Steady, StopCause, WorkerId, mutated,
};

use super::Engine;
use super::input::ReplyTo;
use super::output::Answer;
use super::tables::{Stage, WorkerEntry};
use super::timers::Timer;
use crate::records::DrainRecord;

/// How many may wait for the drain of one worker: more than a tool that asks again and again has open at once.
const MAX_WAITING: usize = 256;

/// How often what is left of a drain's time is written down at most.
const WRITE_EVERY: Duration = Duration::from_mins(1);

impl Engine {
    /// From now on the worker gets nothing. The answer waits until no job can start there any more.
    pub(super) fn on_drain(
        &mut self,
        now: Now,
        reply: ReplyTo,
        by: &str,
        worker: WorkerId,
        deadline: Option<Duration>,
    ) {
        if let Err(error) = self.check_drain_request(worker, deadline) {
            return self.reply(reply, Answer::Refused(error));
        }
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        entry.drain_waiters.push(reply);
        if entry.record.admin == AdminState::Draining {
            self.shorten_drain(now, worker, deadline);
        } else {
            self.begin_drain(now, by, worker, deadline);
        }
        let subject = worker.to_string();
        self.audit(AuditEntry::new(now.wall, by, "worker.drain", subject, "ok"));
        self.check_drain(now, worker);
    }

    fn check_drain_request(
        &self,
        worker: WorkerId,
        deadline: Option<Duration>,
    ) -> Result<(), ControlError> {
        if deadline.is_some_and(|deadline| deadline > MAX_DURATION) {
            let problem = format!("at most {} s", MAX_DURATION.as_secs());
            return Err(ControlError::invalid("deadline", problem));
        }
        let entry = self.tables.workers.get(&worker);
        let entry = entry.ok_or_else(|| ControlError::no_worker(worker))?;
        if entry.drain_waiters.len() >= MAX_WAITING {
            let problem = format!("{MAX_WAITING} callers wait for the drain of this worker");
            return Err(ControlError::Exhausted { problem });
        }
        Ok(())
    }

    fn begin_drain(&mut self, now: Now, by: &str, worker: WorkerId, deadline: Option<Duration>) {
        let on_its_way = self.on_its_way(worker);
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        entry.record.admin = AdminState::Draining;
        entry.record.drain = Some(DrainRecord {
            left: deadline,
            over: false,
        });
        if entry.knows(FEATURE_DRAIN) && entry.session.is_some() {
            entry.told_to_decline = on_its_way.into_iter().collect();
        }
        self.write_worker(worker);
        let by = by.to_owned();
        self.happened(
            now,
            Happening::WorkerDraining {
                worker_id: worker,
                by,
            },
        );
        if !mutated("a draining worker stays available") {
            self.tell_availability(now, worker);
        }
        self.tell_draining(worker, true);
        self.count_drain_time(now, worker);
    }

    /// A second drain can only bring the end nearer, as a second stop can only shorten the grace.
    fn shorten_drain(&mut self, now: Now, worker: WorkerId, deadline: Option<Duration>) {
        let due = self.timers.due(Timer::DrainOver(worker));
        let Some(asked) = deadline.filter(|asked| due.is_none_or(|due| now.steady + *asked < due))
        else {
            return;
        };
        if let Some(drain) = self.drain_mut(worker)
            && !drain.over
            && drain.left != Some(Duration::ZERO)
        {
            drain.left = Some(asked);
            self.write_worker(worker);
            self.count_drain_time(now, worker);
        }
    }

    /// Begins to count a drain's time, or goes on with what was left of it at the last write.
    pub(super) fn count_drain_time(&mut self, now: Now, worker: WorkerId) {
        let drain = self.drain_mut(worker).filter(|drain| !drain.over);
        if let Some(left) = drain.and_then(|drain| drain.left) {
            let due = now.steady + left;
            self.timers.set(Timer::DrainOver(worker), due);
            self.plan_drain_write(now, worker, due);
        }
    }

    fn plan_drain_write(&mut self, now: Now, worker: WorkerId, due: Steady) {
        let pause = WRITE_EVERY.max((due - now.steady) / 4);
        if now.steady + pause < due {
            self.timers
                .set(Timer::DrainPasses(worker), now.steady + pause);
        }
    }

    /// Writes down what is left of a drain's time.
    pub(super) fn on_drain_passes(&mut self, now: Now, worker: WorkerId) {
        let Some(due) = self.timers.due(Timer::DrainOver(worker)) else {
            return;
        };
        if let Some(drain) = self.drain_mut(worker) {
            drain.left = Some(due - now.steady);
            self.write_worker(worker);
            self.plan_drain_write(now, worker, due);
        }
    }

    /// The time of a drain is over: what still runs is stopped, now or when its worker is back.
    pub(super) fn on_drain_over(&mut self, now: Now, worker: WorkerId) {
        self.timers.clear(Timer::DrainPasses(worker));
        if mutated("the end of a drain's time is forgotten") {
            return;
        }
        let Some(drain) = self.drain_mut(worker) else {
            return;
        };
        if drain.left != Some(Duration::ZERO) {
            drain.left = Some(Duration::ZERO);
            self.write_worker(worker);
        }
        let cause = self.drain_cause(worker);
        for job in self.jobs_of(worker) {
            let Some(entry) = self.tables.jobs.get(&job) else {
                continue;
            };
            let runs = matches!(entry.stage, Stage::Sent { .. } | Stage::Running { .. });
            let (Some(attempt), grace) = (
                entry.current().map(|current| current.id),
                entry.record.demand.grace,
            ) else {
                continue;
            };
            if runs && !entry.record.drained {
                self.mark_drained(job);
                self.send(
                    worker,
                    MasterMessage::Stop {
                        attempt,
                        cause,
                        grace,
                    },
                );
            }
        }
        self.check_drain(now, worker);
    }

    /// Ends the drain of a worker, if it drains, since this was done to it instead. The caller writes its record.
    pub(super) fn end_drain(&mut self, worker: WorkerId, done: &str) {
        self.timers.clear(Timer::DrainOver(worker));
        self.timers.clear(Timer::DrainPasses(worker));
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        if entry.record.drain.take().is_none() {
            return;
        }
        for reply in std::mem::take(&mut entry.drain_waiters) {
            let problem = format!("the worker was {done} before its drain was done");
            self.reply(reply, Answer::Refused(ControlError::Conflict { problem }));
        }
        self.tell_draining(worker, false);
    }

    /// Answers those who wait, once no job can start on the worker any more, and says when nothing is left there.
    pub(super) fn check_drain(&mut self, now: Now, worker: WorkerId) {
        let Some(entry) = self.tables.workers.get(&worker) else {
            return;
        };
        let Some(drain) = entry.record.drain else {
            return;
        };
        let is_empty = entry.jobs.is_empty() && entry.logs.is_empty();
        if is_empty && !drain.over {
            self.timers.clear(Timer::DrainOver(worker));
            self.timers.clear(Timer::DrainPasses(worker));
            if let Some(drain) = self.drain_mut(worker) {
                drain.over = true;
            }
            self.write_worker(worker);
            let worker_id = worker;
            self.happened(now, Happening::WorkerDrained { worker_id });
        }
        self.answer_drain_waiters(worker);
    }

    fn answer_drain_waiters(&mut self, worker: WorkerId) {
        let Some(entry) = self.tables.workers.get(&worker) else {
            return;
        };
        let is_early = mutated("a drain is acknowledged early");
        if entry.drain_waiters.is_empty() || self.may_begin_something(worker) && !is_early {
            return;
        }
        let waiters = self.tables.workers.get_mut(&worker);
        let waiters = waiters.map(|entry| std::mem::take(&mut entry.drain_waiters));
        for reply in waiters.unwrap_or_default() {
            let answer = match self.worker(worker) {
                Some(worker) => Answer::Worker(Box::new(worker)),
                None => Answer::Refused(ControlError::no_worker(worker)),
            };
            self.reply(reply, answer);
        }
    }

    /// Whether something may begin on a worker that gets nothing more. One that is not heard may hear what was sent before,
    /// and begins it as long as it trusts its lease. What an earlier term gave up on a worker is known once that has
    /// answered a welcome of this one.
    pub(super) fn may_begin_something(&self, worker: WorkerId) -> bool {
        let Some(entry) = self.tables.workers.get(&worker) else {
            return false;
        };
        let is_unheard = entry.not_before != Steady::default()
            && !mutated("what an earlier term gave up is not asked for");
        let unknown = is_unheard || !entry.given_up.is_empty();
        self.lease_over(worker).is_some() && (unknown || !self.on_its_way(worker).is_empty())
    }

    /// Attempts that a worker has and that are not known to have begun.
    fn on_its_way(&self, worker: WorkerId) -> Vec<AttemptId> {
        let Some(entry) = self.tables.workers.get(&worker) else {
            return Vec::new();
        };
        let jobs = entry.jobs.iter();
        let current = jobs.filter_map(|job| self.tables.jobs.get(job)?.current());
        current
            .filter(|current| current.started_at.is_none())
            .map(|current| current.id)
            .collect()
    }

    /// The current attempt of a job is stopped for the sake of a drain: remembered, so that a worker that did not hear
    /// it is told again.
    pub(super) fn mark_drained(&mut self, job: JobId) {
        if let Some(entry) = self.tables.jobs.get_mut(&job) {
            entry.record.drained = true;
            self.tables.dirty.insert(job);
        }
    }

    /// What a worker is told to be the cause: one that does not know of drains knows stops. Its report counts as what it
    /// is either way.
    pub(super) fn drain_cause(&self, worker: WorkerId) -> StopCause {
        let entry = self.tables.workers.get(&worker);
        if entry.is_some_and(|entry| entry.knows(FEATURE_DRAIN)) {
            StopCause::Drained
        } else {
            StopCause::Cancelled
        }
    }

    fn tell_draining(&mut self, worker: WorkerId, draining: bool) {
        let entry = self.tables.workers.get(&worker);
        if entry.is_some_and(|entry| entry.knows(FEATURE_DRAIN)) {
            self.send(worker, MasterMessage::Draining(draining));
        }
    }

    fn drain_mut(&mut self, worker: WorkerId) -> Option<&mut DrainRecord> {
        self.tables.workers.get_mut(&worker)?.record.drain.as_mut()
    }

    /// Writes the record of a worker.
    pub(super) fn write_worker(&mut self, worker: WorkerId) {
        if let Some(entry) = self.tables.workers.get(&worker) {
            let record = entry.record.to_record();
            self.outbox.changes.push(Change::Put(record));
        }
    }
}

impl WorkerEntry {
    /// Whether its program has this ability, as it said last.
    pub(super) fn knows(&self, feature: &str) -> bool {
        self.record.features.contains(feature)
    }
}
