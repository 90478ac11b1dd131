//! A term begins: the engine is made from the records of the store.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{
    AdminState, Happening, JobState, LogEnd, LogState, Now, QueueSettings, Record, mutated,
};
use jobyard_pki::TokenRecord;
use jobyard_scheduler::{Event, Policy, Scheduler};

use super::events::Events;
use super::output::{Effect, Outbox};
use super::requests::Requests;
use super::tables::{JobEntry, OpenLog, Stage, Tables, WorkerEntry};
use super::timers::{Timer, Timers};
use super::{Engine, Timings};
use crate::records::{
    Counters, DamagedRecord, JOB, JobRecord, QUEUE, QueueRecord, TOKEN, WORKER, WorkerRecord, read,
};

/// An engine in the making: takes the live records in the order of
/// [`LIVE_KINDS`](crate::records::LIVE_KINDS), then becomes an engine.
#[derive(Debug)]
pub struct Restore {
    timings: Timings,
    policy: Policy,
    counters: Counters,
    tables: Tables,
}

impl Restore {
    /// Takes a record. Kinds that the engine does not know are left alone: a newer version may have written them.
    pub fn add(&mut self, record: &Record) -> Result<(), DamagedRecord> {
        if record.kind == TOKEN {
            let token: TokenRecord = read(record)?;
            self.tables
                .tokens
                .insert(token.id.as_str().to_owned(), token);
        } else if record.kind == WORKER {
            self.add_worker(read(record)?);
        } else if record.kind == QUEUE {
            let QueueRecord { name, settings } = read(record)?;
            self.tables.queues.insert(name, settings);
        } else if record.kind == JOB {
            self.add_job(read(record)?);
        }
        Ok(())
    }

    /// All records are in. Connections are not remembered: every worker is silent, and waited for from now on.
    pub fn finish(self, now: Now) -> Engine {
        let mut engine = Engine {
            timings: self.timings,
            counters: self.counters,
            scheduler: Scheduler::with_policy(self.policy),
            tables: self.tables,
            timers: Timers::default(),
            outbox: Outbox::default(),
            events: Events::default(),
            requests: Requests::default(),
            finished: 0,
            retired: 0,
        };
        let epoch = engine.counters.epoch;
        engine.happened(now, Happening::TermBegan { epoch });
        engine.announce_queues(now);
        engine.announce_workers(now);
        engine.announce_jobs(now);
        engine
            .timers
            .set(Timer::FleetKnown, now.steady + engine.timings.fleet_grace);
        engine
    }

    fn add_worker(&mut self, record: WorkerRecord) {
        if record.admin != AdminState::Removed {
            self.tables.names.insert(record.name.clone(), record.id);
        }
        if let Some(key) = record.key {
            self.tables.keys.insert(key, record.id);
        }
        self.tables
            .workers
            .insert(record.id, WorkerEntry::new(record));
    }

    fn add_job(&mut self, record: JobRecord) {
        let stage = stage_of(&record);
        let mut open_logs = BTreeMap::new();
        for attempt in &record.attempts {
            if attempt.outcome.is_some() && attempt.log == LogState::Uploading {
                let end = LogEnd {
                    bytes: attempt.log_bytes,
                    dropped: attempt.log_dropped,
                };
                let end = (end.bytes > 0).then_some(end);
                let mut open = OpenLog {
                    worker: attempt.worker,
                    end,
                    abandoned: true,
                };
                if let Some(worker) = self.tables.workers.get_mut(&attempt.worker) {
                    worker.logs.insert(attempt.id);
                    // Without a known end it was given up before this term; a removed worker sends nothing more.
                    open.abandoned = end.is_none() || worker.record.admin == AdminState::Removed;
                }
                open_logs.insert(attempt.id.number, open);
            }
        }
        if let Some(worker) = stage
            .worker()
            .and_then(|worker| self.tables.workers.get_mut(&worker))
        {
            worker.jobs.insert(record.id);
        }
        let entry = JobEntry {
            record,
            stage,
            open_logs,
            early_log: None,
            free_retries: 0,
        };
        self.tables.insert_job(entry);
    }
}

impl Engine {
    /// Begins to restore an engine for the term that the counters name. The policy's
    /// [`hash_seed`](Policy::hash_seed) also seasons the engine's own hash tables.
    pub fn restore(timings: Timings, policy: Policy, counters: Counters) -> Restore {
        let tables = Tables::new(policy.hash_seed);
        Restore {
            timings,
            policy,
            counters,
            tables,
        }
    }

    /// Before the jobs, so that caps hold from the first one on.
    fn announce_queues(&mut self, now: Now) {
        let known = self.tables.queues.iter();
        let known: Vec<(String, QueueSettings)> = known
            .map(|(name, settings)| (name.clone(), *settings))
            .collect();
        for (name, settings) in known {
            let queue = name.into();
            self.schedule(now, Event::QueueSet { queue, settings });
        }
    }

    fn announce_workers(&mut self, now: Now) {
        let (mut offers, mut draining) = (Vec::new(), Vec::new());
        if mutated("a term begins with its leases over") {
            self.timings.reconcile_for = Duration::ZERO;
            self.timings.failover_grace = Duration::ZERO;
        }
        for (id, entry) in &mut self.tables.workers {
            let member = entry.record.admin != AdminState::Removed;
            self.outbox.effects.push(Effect::Membership {
                worker: *id,
                member,
            });
            if !member {
                continue;
            }
            self.tables.awaited.insert(*id);
            offers.push(entry.offer());
            draining.extend(entry.record.drain.map(|_| *id));
            let deadline = now.steady + self.timings.reconcile_for;
            self.timers.set(Timer::ReconcileOver(*id), deadline);
            // What the earlier term answered last is not known: it counts as answered now.
            let lease = entry.record.lease.unwrap_or(self.timings.lease);
            let mut patience = (lease + self.timings.grace).max(self.timings.failover_grace);
            if mutated("a new term does not wait for the leases of the one before") {
                patience = Duration::ZERO;
            }
            entry.not_before = now.steady + patience;
            if mutated("a term begins with its leases over") {
                entry.not_before = now.steady;
            }
            self.timers.set(Timer::LeaseOver(*id), entry.not_before);
        }
        for worker in draining {
            self.count_drain_time(now, worker);
        }
        for offer in offers {
            self.schedule(now, Event::WorkerJoined(offer));
        }
    }

    /// Placed jobs first, so that nothing is given away twice; then the queue, in the order of submission.
    fn announce_jobs(&mut self, now: Now) {
        let mut placed = Vec::new();
        // A list that is sorted once: a map of a million jobs costs several times as much.
        let mut queued = Vec::new();
        let (mut timed, mut waiting) = (Vec::new(), Vec::new());
        for (id, entry) in &self.tables.jobs {
            if entry.record.queue_left.is_some() {
                timed.push(*id);
            }
            match entry.stage {
                Stage::Queued => queued.push((entry.record.sequence, *id)),
                Stage::Backoff => waiting.push(*id),
                Stage::Draining => {
                    if let Some(current) = entry.current() {
                        let deadline = now.steady + self.timings.log_drain;
                        self.timers.set(Timer::LogDrain(current.id), deadline);
                    }
                }
                Stage::Finished => {}
                Stage::Sent { worker } | Stage::Running { worker } | Stage::Stopping { worker } => {
                    placed.push((*id, worker));
                    if let Some(current) = entry.current() {
                        self.outbox.effects.push(Effect::Grant {
                            attempt: current.id,
                            worker,
                        });
                    }
                }
            }
            for (number, open) in &entry.open_logs {
                let attempt = jobyard_core::AttemptId::new(*id, *number);
                let effect = if open.abandoned {
                    let end = open.end;
                    Effect::AbandonLog { attempt, end }
                } else {
                    let worker = open.worker;
                    Effect::Grant { attempt, worker }
                };
                self.outbox.effects.push(effect);
            }
        }
        if mutated("what ran before a restart is not counted") {
            placed.clear();
        }
        for (job, worker) in placed {
            if let Some(demand) = self.tables.demand(job) {
                self.schedule(now, Event::JobPlaced { demand, worker });
            }
        }
        queued.sort_unstable();
        for (_, job) in queued {
            self.enqueue(now, job);
        }
        for job in timed {
            self.count_queue_time(now, job);
        }
        for job in waiting {
            self.count_backoff(now, job);
        }
    }
}

/// Where a job stood, from its record.
fn stage_of(record: &JobRecord) -> Stage {
    let current = record.attempts.last();
    match (record.state, current) {
        (JobState::Finished, _) => Stage::Finished,
        (JobState::Assigned | JobState::Running | JobState::Stopping, Some(current)) => {
            let worker = current.worker;
            match record.state {
                _ if current.outcome.is_some() => Stage::Draining,
                JobState::Assigned => Stage::Sent { worker },
                JobState::Running => Stage::Running { worker },
                _ => Stage::Stopping { worker },
            }
        }
        _ if record.retry_left.is_some() => Stage::Backoff,
        _ => Stage::Queued,
    }
}
