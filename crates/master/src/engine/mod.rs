//! The engine: what becomes of jobs, attempts, workers and tokens.
//!
//! Pure: no IO, no clock, no randomness, no lock. The shell feeds [`Input`]s together with the time, and takes out an
//! [`Outbox`]: changes to commit, and effects that wait for the commit.
//!
//! ```text
//!   Control, sessions, timers          the shell                       the store, the workers, the callers
//!        |  Input                          |                                      |
//!        +---------------> Engine::handle  |                                      |
//!                          Engine::take_outbox --> Outbox::seal -> Batch -- commit +
//!                                          |       HeldEffects <-- Committed -----+
//!                                          +------ release ----------- Effects -->+
//! ```
//!
//! # The life of a job in the engine
//!
//! | stage \ event | worker chosen | `Started` | `Finished` | worker gone | stop | log settled, time for it over | queue time over | given up | retry due | its worker's drain over |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | `Queued` | `Sent` | stale | stale | - | finished | - | finished | finished | - | - |
//! | `Backoff` | - | stale | stale | - | finished | - | finished | - | `Queued` | - |
//! | `Sent` | - | `Running` | settled | settled | `Stopping` | noted | noted | - | - | told to stop |
//! | `Running` | - | no-op | settled | settled | `Stopping` | noted | - | - | - | told to stop |
//! | `Stopping` | - | no-op | settled | settled | grace shortened | noted | - | - | - | - |
//! | `Draining` | - | no-op | no-op | - | no-op | finished | - | - | - | - |
//!
//! *Settled*: the attempt has its outcome, its slots are free, and if a budget pays for another attempt, the job goes
//! back to `Queued`, at once or after a wait in `Backoff`; or else on to `Draining` until its output has arrived, and
//! from there to finished. *Stale*: the worker is told to forget the attempt. *Told to stop*: it stays where it is, and
//! when it ends by that, the infrastructure has failed it. *Worker gone*: after a wait that the job decides; see
//! `reconcile`.
//!
//! # Methods
//!
//! * **Make**: [`Engine::restore`] with the records of the store.
//! * **Tell**: [`Engine::handle`], in any order; then [`Engine::take_outbox`] at any time.
//! * **Wait**: [`Engine::next_deadline`], and [`Input::DeadlineReached`] when it has come.
//! * **Ask**: [`Engine::explain`], [`Engine::workers`], [`Engine::queues`], [`Engine::tally`], [`Engine::tokens`] and the like; they change
//!   nothing.

mod ask;
mod audit;
mod drain;
mod events;
mod given_up;
mod input;
mod joining;
mod output;
mod pool;
mod queue_time;
mod queues;
mod reconcile;
mod requests;
mod restore;
mod retention;
mod retries;
mod settle;
mod state_counts;
mod submit;
mod tables;
mod timers;
mod workers;

use std::time::Duration;

use jobyard_core::{
    AttemptId, AuditEntry, InfraReason, JobId, MAX_BATCH_CHANGES, Now, Outcome, Steady, WorkerId,
    mutated,
};
use jobyard_scheduler::{Decision, Event, Scheduler};

pub use ask::Tally;
pub use input::{Input, Joining, ReplyTo, Submission};
pub use output::{Answer, Committed, Effect, HeldEffects, Outbox, Sealed};
pub use retention::{FORGET_PORTION, Forgotten, Retention, TOMBSTONES_FOR};
pub(crate) use retention::{RETENTION_KEY, micros};

use crate::records::{Counters, audit_record};
use events::Events;
use requests::Requests;
use tables::Tables;
use timers::{Timer, Timers};

/// At how many pending changes timers wait for the outbox to be taken. A whole fleet may fall due at once; one timer
/// changes no more jobs than one worker has slots, so that what it adds still fits into a batch.
const MAX_PENDING_BY_TIMERS: usize = MAX_BATCH_CHANGES / 4;

/// How patient a master is. All of it is shorter in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How often each side of a session says something.
    pub heartbeat: Duration,
    /// How long each side of a session waits for the other.
    pub lease: Duration,
    /// How long before the end of its lease a worker begins to stop attempts that must not outlive it. At most half of
    /// the lease counts.
    pub margin: Duration,
    /// How long after the end of a lease such an attempt is run again: room for clocks that do not go alike.
    pub grace: Duration,
    /// How long after the start of a term at least: a master that starts does not know what was promised last.
    pub failover_grace: Duration,
    /// How long the attempts of a silent worker are waited for.
    pub reconcile_for: Duration,
    /// How long a job that has ended waits for its output before it counts as finished.
    pub log_drain: Duration,
    /// How long after a start the fleet counts as not yet known.
    pub fleet_grace: Duration,
    /// How long a job waits at most before its first retry that a budget pays for, and at least half of that; twice as
    /// long before each further one. Zero: not at all.
    pub retry_first: Duration,
    /// The most that this grows to.
    pub retry_most: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            lease: Duration::from_mins(1),
            margin: Duration::from_secs(15),
            grace: Duration::from_secs(20),
            failover_grace: Duration::from_mins(1),
            reconcile_for: Duration::from_mins(5),
            log_drain: Duration::from_secs(10),
            fleet_grace: Duration::from_mins(1),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_mins(5),
        }
    }
}

/// The master's brain. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    timings: Timings,
    counters: Counters,
    scheduler: Scheduler,
    tables: Tables,
    timers: Timers,
    outbox: Outbox,
    events: Events,
    requests: Requests,
    finished: u64,
    retired: u64,
}

impl Engine {
    /// Takes an event. What follows from it is in the outbox.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Submit { reply, by, jobs } => self.on_submit(now, reply, &by, jobs),
            Input::Stop {
                reply,
                by,
                job,
                options,
            } => self.on_stop(now, reply, &by, job, options),
            Input::SessionOpened {
                worker,
                session,
                address,
                hello,
            } => {
                self.on_session_opened(now, worker, session, address, *hello);
            }
            Input::Said { session, messages } => self.on_said(now, session, messages),
            Input::SessionEnded { session } => self.on_session_ended(now, session),
            Input::LogSettled { attempt, status } => self.on_log_settled(now, attempt, status),
            Input::SetWorker {
                reply,
                by,
                worker,
                to,
            } => {
                self.on_set_worker(now, reply, by, &worker, to);
            }
            Input::SetQueue {
                reply,
                by,
                queue,
                change,
            } => {
                self.on_set_queue(now, reply, by, &queue, change);
            }
            Input::CreateToken {
                reply,
                by,
                record,
                terms,
            } => {
                self.on_create_token(now, reply, by, *record, &terms);
            }
            Input::RevokeToken { reply, by, token } => {
                self.on_revoke_token(now, reply, by, &token);
            }
            Input::Once { request, call } => self.on_once(now, request, *call),
            Input::Forget { reply, jobs } => self.on_forget(now, reply, jobs),
            Input::ForgetOutput { reply, jobs, logs } => self.on_forget_output(reply, jobs, logs),
            Input::Enrol(joining) => self.on_enrol(now, *joining),
            Input::Refused {
                who,
                action,
                subject,
                cause,
            } => {
                self.audit(AuditEntry::new(now.wall, who, action, subject, cause));
            }
            Input::AdmitLocal { reply, name, fresh } => {
                self.on_admit_local(now, reply, name, fresh);
            }
            Input::DeadlineReached => self.on_deadline(now),
        }
    }

    /// When to call [`handle`](Self::handle) with [`Input::DeadlineReached`]. `None` while so much is pending that the
    /// outbox has to be taken first; ask again after that.
    pub fn next_deadline(&self) -> Option<Steady> {
        if self.pending_changes() >= MAX_PENDING_BY_TIMERS {
            return None;
        }
        [self.timers.next(), self.scheduler.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes out what has come together since the last call: all of it, unless it is more than a batch holds. One event
    /// may change any number of jobs, as when a queue is opened on a large fleet. Then there are several outboxes, and
    /// the effects of all come with the last one: nobody hears of anything before all of it is durable.
    pub fn take_outbox(&mut self) -> Outbox {
        let room = MAX_BATCH_CHANGES
            .saturating_sub(self.outbox.changes.len())
            .saturating_sub(self.events.records());
        let is_all = self.tables.dirty.len() <= room;
        let portion = if is_all {
            std::mem::take(&mut self.tables.dirty)
        } else {
            self.tables.take_newest_dirty(room)
        };
        for job in portion {
            let finished = self.write_job(job);
            self.outbox.effects.push(Effect::Changed { job, finished });
        }
        self.write_events();
        if mutated("a reply goes before its commit") && !self.outbox.effects.is_empty() {
            let effects = std::mem::take(&mut self.outbox.effects);
            let changes = Vec::new();
            return Outbox { changes, effects };
        }
        if is_all {
            return std::mem::take(&mut self.outbox);
        }
        Outbox {
            changes: std::mem::take(&mut self.outbox.changes),
            effects: Vec::new(),
        }
    }

    /// Whether there is nothing to take out.
    pub fn is_quiet(&self) -> bool {
        self.outbox.is_empty() && self.tables.dirty.is_empty() && self.events.is_empty()
    }

    /// How many changes are pending: to stop feeding before a batch grows too large.
    pub fn pending_changes(&self) -> usize {
        self.outbox.changes.len() + self.tables.dirty.len() + self.events.records()
    }

    fn on_deadline(&mut self, now: Now) {
        while self.pending_changes() < MAX_PENDING_BY_TIMERS {
            let Some(timer) = self.timers.take_due(now.steady) else {
                break;
            };
            match timer {
                Timer::SessionSilent(session) => self.on_session_silent(now, session),
                Timer::ReconcileOver(worker) => self.on_reconcile_over(now, worker),
                Timer::LeaseOver(worker) => self.on_lease_over(now, worker),
                Timer::GivenUpOver(worker) => self.on_given_up_over(now, worker),
                Timer::DrainOver(worker) => self.on_drain_over(now, worker),
                Timer::DrainPasses(worker) => self.on_drain_passes(now, worker),
                Timer::RetryDue(job) => self.on_retry_due(now, job),
                Timer::RetryPasses(job) => self.on_backoff_passes(now, job),
                Timer::QueueTimeOver(job) => self.on_queue_time_over(now, job),
                Timer::QueueTimePasses(job) => self.on_queue_time_passes(now, job),
                Timer::LogDrain(attempt) => self.on_log_drain_over(now, attempt.job),
                Timer::FleetKnown => self.schedule(now, Event::FleetKnown),
            }
        }
        let is_due = |at: Steady| at <= now.steady;
        if self.scheduler.next_deadline().is_some_and(is_due) {
            self.schedule(now, Event::TimePassed);
        }
    }

    /// Tells the scheduler, and does what it decides.
    fn schedule(&mut self, now: Now, event: Event) {
        let mut decisions = Vec::new();
        self.scheduler.handle(now, event, &mut decisions);
        for decision in decisions {
            match decision {
                Decision::Assigned { job, worker } => self.assign(now, job, worker),
                Decision::GaveUp { job } => {
                    let reason = InfraReason::NoWorker;
                    self.finish(now, job, Outcome::Infra { reason });
                }
                decision => debug_assert!(false, "the engine does not know this: {decision:?}"),
            }
        }
    }

    fn reply(&mut self, to: ReplyTo, answer: Answer) {
        for to in self.requests.answered(to, &answer) {
            let answer = answer.clone();
            self.outbox.effects.push(Effect::Reply { to, answer });
        }
        self.outbox.effects.push(Effect::Reply { to, answer });
    }

    fn audit(&mut self, mut entry: AuditEntry) {
        self.counters.audit_seq += 1;
        entry.seq = self.counters.audit_seq;
        self.outbox
            .changes
            .push(jobyard_core::Change::Put(audit_record(&entry)));
    }

    /// Writes the record of a job, and drops the job once nothing is left to wait for. Says whether it is finished.
    fn write_job(&mut self, job: JobId) -> bool {
        let Some(entry) = self.tables.jobs.get(&job) else {
            return true;
        };
        let finished = entry.record.state.is_finished();
        let settled = finished && entry.open_logs.is_empty();
        self.outbox
            .changes
            .push(jobyard_core::Change::Put(entry.record.to_record(!settled)));
        if settled {
            self.tables.retire(job);
            self.retired += 1;
        }
        finished
    }

    fn grant(&mut self, attempt: AttemptId, worker: WorkerId) {
        self.outbox.effects.push(Effect::Grant { attempt, worker });
    }
}
