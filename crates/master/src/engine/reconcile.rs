//! A worker comes, says what it holds, and is told what to do with it; a worker goes, and is waited for.

use std::collections::BTreeSet;

use jobyard_core::{
    AdminState, AttemptId, AttemptReport, Change, ClosingReason, Held, HeldState, Hello,
    InfraReason, JobState, MasterMessage, Now, Outcome, Refusal, RefusalReason, SessionId,
    StopCause, Verdict, Welcome, WorkerId,
};
use jobyard_scheduler::{Availability, Event};

use super::Engine;
use super::output::Effect;
use super::settle::Ending;
use super::tables::{Claims, LiveSession, Stage};
use super::timers::Timer;

impl Engine {
    /// Replaces an older session, and answers for each attempt that the worker holds.
    pub(super) fn on_session_opened(
        &mut self,
        now: Now,
        worker: WorkerId,
        session: SessionId,
        address: String,
        hello: Hello,
    ) {
        if let Err(refusal) = self.check_hello(worker, &hello) {
            self.outbox
                .effects
                .push(Effect::Refuse { session, refusal });
            return;
        }
        self.replace_session(worker);
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        entry.session = Some(LiveSession {
            id: session,
            accepting: hello.accepting,
            heard: now.steady,
            heard_wall: now.wall,
        });
        entry.claims = Some(Claims {
            boot: hello.boot,
            listed: hello.inventory.iter().map(|held| held.attempt).collect(),
        });
        entry.complaints.clear();
        entry.address = address;
        let before = entry.record.clone();
        entry.record.facts = hello.facts;
        entry.record.tags = hello.tags;
        entry.record.exclusive = hello.exclusive;
        entry.record.capacity = hello.capacity;
        if before != entry.record {
            entry.record.last_contact = Some(now.wall);
            self.outbox
                .changes
                .push(Change::Put(entry.record.to_record()));
        }
        let changed = entry.offers_other_than(&before).then(|| entry.offer());
        let name = entry.record.name.clone();
        self.tables.sessions.insert(session, worker);
        self.timers.clear(Timer::ReconcileOver(worker));
        self.timers.set(
            Timer::SessionSilent(session),
            now.steady + self.timings.lease,
        );

        let mut welcome = Welcome::new(
            session,
            self.counters.epoch,
            worker,
            name,
            self.timings.heartbeat,
            self.timings.lease,
        );
        welcome.verdicts = hello
            .inventory
            .iter()
            .map(|held| (held.attempt, self.judge(worker, held)))
            .collect();
        let message = Box::new(MasterMessage::Welcome(welcome));
        self.outbox.effects.push(Effect::Send { session, message });

        // What the worker says that it holds is true even if it is old. What it does not say counts only once it has
        // answered the welcome; until then nothing is assigned.
        self.schedule(
            now,
            Event::WorkerAvailability {
                worker,
                availability: Availability::Silent,
            },
        );
        if let Some(offer) = changed {
            self.schedule(now, Event::WorkerChanged(offer));
        }
        self.take_over_inventory(now, worker, hello.inventory);
    }

    /// The worker has answered the welcome, so its hello was no late one of a connection that it has given up: what it
    /// did not list it does not have. Now the books agree, and it gets jobs.
    pub(super) fn on_confirmed(&mut self, now: Now, worker: WorkerId) {
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        let Some(claims) = entry.claims.take() else {
            return;
        };
        let same_boot = entry.record.boot.is_none_or(|boot| boot == claims.boot);
        if entry.record.boot != Some(claims.boot) {
            entry.record.boot = Some(claims.boot);
            let record = entry.record.to_record();
            self.outbox.changes.push(Change::Put(record));
        }
        self.settle_missing(now, worker, &claims, same_boot);
        self.abandon_logs(worker, &claims.listed);
        self.no_longer_awaited(now, worker);
        self.tell_availability(now, worker);
    }

    fn check_hello(&self, worker: WorkerId, hello: &Hello) -> Result<(), Refusal> {
        // First: a master on older data may not know the worker yet, and must not send it away.
        if hello.max_epoch > self.counters.epoch {
            let message = format!(
                "the worker has served term {} and this master is of term {}: it runs on older data",
                hello.max_epoch, self.counters.epoch
            );
            return Err(Refusal::new(RefusalReason::Stale, message));
        }
        let Some(entry) = self.tables.workers.get(&worker) else {
            let message = "this master does not know the worker: join again with a new token";
            return Err(Refusal::new(RefusalReason::Unauthenticated, message));
        };
        if entry.record.admin == AdminState::Removed {
            let message = "the worker was removed: join again with a new token and a new identity";
            return Err(Refusal::new(RefusalReason::Removed, message));
        }
        if let Err(problem) = hello.capacity.check() {
            let message = format!("the capacity of the worker: {problem}");
            return Err(Refusal::new(RefusalReason::Invalid, message));
        }
        let ours = jobyard_core::Protocol::current();
        if !ours.speaks_with(&hello.protocol) {
            let message = format!(
                "the worker speaks protocol {} and the master {}: upgrade the older one",
                hello.protocol.version, ours.version
            );
            return Err(Refusal::new(RefusalReason::Incompatible, message));
        }
        Ok(())
    }

    /// Once nobody is missing who was there before, the fleet is known.
    pub(super) fn no_longer_awaited(&mut self, now: Now, worker: WorkerId) {
        self.tables.awaited.remove(&worker);
        if self.tables.awaited.is_empty() && self.timers.clear(Timer::FleetKnown) {
            self.schedule(now, Event::FleetKnown);
        }
    }

    fn replace_session(&mut self, worker: WorkerId) {
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        let Some(old) = entry.session.take() else {
            return;
        };
        self.tables.sessions.remove(&old.id);
        self.timers.clear(Timer::SessionSilent(old.id));
        let reason = Some(ClosingReason::Replaced);
        self.outbox.effects.push(Effect::Close {
            session: old.id,
            reason,
        });
    }

    /// What a worker shall do with an attempt that it holds.
    fn judge(&self, worker: WorkerId, held: &Held) -> Verdict {
        let attempt = held.attempt;
        let Some(entry) = self.tables.jobs.get(&attempt.job) else {
            return Verdict::Forget;
        };
        if entry.awaits_log(attempt, worker) {
            return Verdict::Keep;
        }
        if !entry.is_current(attempt, worker) {
            return Verdict::Forget;
        }
        match (entry.record.stop_grace, &held.state) {
            (Some(grace), HeldState::Accepted | HeldState::Running { .. }) => Verdict::Stop {
                cause: StopCause::Cancelled,
                grace,
            },
            _ => Verdict::Keep,
        }
    }

    /// What the worker says of its attempts counts at once.
    fn take_over_inventory(&mut self, now: Now, worker: WorkerId, inventory: Vec<Held>) {
        for held in inventory {
            match held.state {
                HeldState::Running { pid, started_at } => {
                    self.on_started(worker, held.attempt, pid, started_at);
                }
                // A verdict was given already: an attempt that does not count is not answered again.
                HeldState::Finished(report) if self.holds(worker, held.attempt) => {
                    self.settle(now, held.attempt, Ending::reported(report));
                }
                HeldState::Finished(report) => self.note_lost_output(worker, &report),
                _ => {}
            }
        }
    }

    /// A worker whose machine lost its power may have less output than it said before it. What is left is uploaded with
    /// its end, but of nothing there is no upload.
    pub(super) fn note_lost_output(&mut self, worker: WorkerId, report: &AttemptReport) {
        let entry = self.tables.jobs.get(&report.attempt.job);
        if report.log.bytes == 0
            && entry.is_some_and(|entry| entry.awaits_log(report.attempt, worker))
        {
            self.abandon_log(report.attempt);
        }
    }

    /// An attempt that the worker did not list never began, if that is certain, and is lost otherwise.
    fn settle_missing(&mut self, now: Now, worker: WorkerId, claims: &Claims, same_boot: bool) {
        for job in self.jobs_of(worker) {
            let current = self.tables.jobs.get(&job).and_then(|entry| entry.current());
            let Some(current) = current.filter(|now| !claims.listed.contains(&now.id)) else {
                continue;
            };
            let (attempt, began) = (current.id, current.started_at.is_some());
            let ending = if same_boot && !began {
                let reason = InfraReason::NeverStarted;
                Ending::nothing_ran(Outcome::Infra { reason })
            } else {
                Ending::unconfirmed(Outcome::Infra {
                    reason: InfraReason::WorkerRestarted,
                })
            };
            self.settle(now, attempt, ending);
        }
    }

    /// Output that the worker no longer has will never come.
    pub(super) fn abandon_logs(&mut self, worker: WorkerId, still_held: &BTreeSet<AttemptId>) {
        let Some(entry) = self.tables.workers.get(&worker) else {
            return;
        };
        let gone: Vec<AttemptId> = entry.logs.difference(still_held).copied().collect();
        for attempt in gone {
            self.abandon_log(attempt);
        }
    }

    /// Whether this is a current attempt of this worker.
    pub(super) fn holds(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        self.tables
            .jobs
            .get(&attempt.job)
            .is_some_and(|entry| entry.is_current(attempt, worker))
    }

    /// An attempt runs. Says whether it is one that counts.
    pub(super) fn on_started(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        pid: Option<u32>,
        at: jobyard_core::Timestamp,
    ) -> bool {
        let Some(entry) = self.tables.jobs.get_mut(&attempt.job) else {
            return false;
        };
        if !entry.is_current(attempt, worker) {
            return entry.awaits_log(attempt, worker);
        }
        if entry.stage == (Stage::Sent { worker }) {
            entry.stage = Stage::Running { worker };
            entry.set_state(JobState::Running, &mut self.tables.states);
        }
        if let Some(current) = entry
            .current_mut()
            .filter(|current| current.started_at.is_none())
        {
            current.started_at = Some(at);
            current.pid = pid;
            self.tables.dirty.insert(attempt.job);
            self.stop_queue_time(attempt.job);
        }
        true
    }

    /// The worker is waited for, for as long as its jobs allow.
    pub(super) fn on_session_ended(&mut self, now: Now, session: SessionId) {
        let Some(worker) = self.tables.sessions.remove(&session) else {
            return;
        };
        self.timers.clear(Timer::SessionSilent(session));
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        let Some(live) = entry.session.take_if(|live| live.id == session) else {
            return;
        };
        entry.complaints.clear();
        entry.record.last_contact = Some(live.heard_wall);
        self.outbox
            .changes
            .push(Change::Put(entry.record.to_record()));
        let deadline = live.heard + self.timings.reconcile_for;
        self.timers.set(Timer::ReconcileOver(worker), deadline);
        self.tell_availability(now, worker);
    }

    /// A session that says nothing for a lease is dead.
    pub(super) fn on_session_silent(&mut self, now: Now, session: SessionId) {
        let worker = self.tables.sessions.get(&session);
        let entry = worker.and_then(|worker| self.tables.workers.get(worker));
        let Some(live) = entry.and_then(|entry| entry.session) else {
            return;
        };
        let deadline = live.heard + self.timings.lease;
        if deadline > now.steady {
            return self.timers.set(Timer::SessionSilent(session), deadline);
        }
        self.outbox.effects.push(Effect::Close {
            session,
            reason: None,
        });
        self.on_session_ended(now, session);
    }

    /// The worker was waited for long enough.
    pub(super) fn on_reconcile_over(&mut self, now: Now, worker: WorkerId) {
        if self
            .tables
            .workers
            .get(&worker)
            .is_none_or(|entry| entry.session.is_some())
        {
            return;
        }
        self.give_up_attempts(now, worker, InfraReason::WorkerLost);
        self.abandon_logs(worker, &BTreeSet::new());
    }

    /// Ends every attempt that a worker has, without knowing what is left of it.
    pub(super) fn give_up_attempts(&mut self, now: Now, worker: WorkerId, reason: InfraReason) {
        for job in self.jobs_of(worker) {
            let current = self.tables.jobs.get(&job).and_then(|entry| entry.current());
            if let Some(attempt) = current.map(|current| current.id) {
                self.settle(now, attempt, Ending::unconfirmed(Outcome::Infra { reason }));
            }
        }
    }

    /// Tells the scheduler whether a worker gets jobs.
    pub(super) fn tell_availability(&mut self, now: Now, worker: WorkerId) {
        if let Some(entry) = self.tables.workers.get(&worker) {
            let availability = entry.availability();
            self.schedule(
                now,
                Event::WorkerAvailability {
                    worker,
                    availability,
                },
            );
        }
    }
}
