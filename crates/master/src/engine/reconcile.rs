//! A worker comes, says what it holds, and is told what to do with it; a worker goes, and is waited for.

use std::collections::BTreeSet;

use jobyard_core::{
    AdminState, AttemptId, AttemptReport, Change, ClosingReason, Happening, Held, HeldState, Hello,
    InfraReason, JobState, MasterMessage, Now, OnDisconnect, Outcome, Protocol, Refusal,
    RefusalReason, SessionId, Steady, StopCause, Verdict, Welcome, WorkerId, mutated,
};
use jobyard_scheduler::{Availability, Event};

use super::output::Effect;
use super::settle::Ending;
use super::tables::{Claims, JobEntry, LiveSession, Stage, WorkerEntry};
use super::timers::Timer;
use super::{Engine, Timings};
use crate::records::WorkerRecord;

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
        if mutated("an unknown worker is welcomed") {
            let stranger = || WorkerRecord::new(worker, 0, worker.to_string(), now.wall);
            let known = self.tables.workers.entry(worker);
            known.or_insert_with(|| WorkerEntry::new(stranger()));
        }
        if let Err(refusal) = self.check_hello(worker, &hello) {
            self.outbox
                .effects
                .push(Effect::Refuse { session, refusal });
            return;
        }
        self.replace_session(now, worker);
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
        entry.address.clone_from(&address);
        let before = entry.record.clone();
        entry.record.facts = hello.facts;
        entry.record.tags = hello.tags;
        entry.record.exclusive = hello.exclusive;
        entry.record.capacity = hello.capacity;
        let ours = Protocol::current().features;
        entry.record.features = hello
            .protocol
            .features
            .intersection(&ours)
            .cloned()
            .collect();
        if mutated("abilities are not negotiated") {
            entry.record.features = ours;
        }
        // The longest counts.
        entry.record.lease = entry.record.lease.max(Some(self.timings.lease));
        let draining = entry.record.admin == AdminState::Draining;
        if before != entry.record {
            entry.record.last_contact = Some(now.wall);
            self.outbox
                .changes
                .push(Change::Put(entry.record.to_record()));
        }
        let changed = entry.offers_other_than(&before).then(|| entry.offer());
        let name = entry.record.name.clone();
        let worker_id = worker;
        self.happened(now, Happening::WorkerConnected { worker_id, address });
        self.tables.sessions.insert(session, worker);
        if !mutated("a worker that is back is given up") {
            self.timers.clear(Timer::ReconcileOver(worker));
            self.timers.clear(Timer::LeaseOver(worker));
        }
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
        welcome.margin = self.timings.margin.min(self.timings.lease / 2);
        welcome.draining = draining;
        welcome.verdicts = hello
            .inventory
            .iter()
            .map(|held| (held.attempt, self.judge(worker, held)))
            .collect();
        self.note_drained(worker, &welcome.verdicts);
        self.note_unbegun(worker, &hello.inventory, &welcome.verdicts);
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
        if mutated("a hello counts before its worker answers") {
            self.on_confirmed(now, worker);
        }
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
        entry.not_before = Steady::default();
        if entry.record.boot != Some(claims.boot) {
            entry.record.boot = Some(claims.boot);
            // Nothing is left of what went by the lease that the machine was promised before. Until it boots, something
            // may: what holds an attempt to its time may not have heard of a shorter one.
            entry.record.lease = Some(self.timings.lease);
            let record = entry.record.to_record();
            self.outbox.changes.push(Change::Put(record));
        }
        if !mutated("an attempt that its worker does not have is waited for") {
            self.settle_missing(now, worker, &claims, same_boot);
        }
        self.keep_listed(worker, &claims, same_boot);
        self.abandon_logs(worker, &claims.listed);
        self.no_longer_awaited(now, worker);
        self.tell_availability(now, worker);
        self.check_drain(now, worker);
    }

    fn check_hello(&self, worker: WorkerId, hello: &Hello) -> Result<(), Refusal> {
        // First: a master on older data may not know the worker yet, and must not send it away.
        if hello.max_epoch > self.counters.epoch && !mutated("a worker of a newer term is taken") {
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
        if entry.record.admin == AdminState::Removed && !mutated("a removed worker is welcomed") {
            let message = "the worker was removed: join again with a new token and a new identity";
            return Err(Refusal::new(RefusalReason::Removed, message));
        }
        if let Err(problem) = hello.capacity.check()
            && !mutated("an impossible capacity is taken")
        {
            let message = format!("the capacity of the worker: {problem}");
            return Err(Refusal::new(RefusalReason::Invalid, message));
        }
        let ours = Protocol::current();
        if !ours.speaks_with(&hello.protocol) && !mutated("a foreign protocol is taken") {
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

    fn replace_session(&mut self, now: Now, worker: WorkerId) {
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        let Some(old) = entry.session.take() else {
            return;
        };
        entry.told_to_decline.clear();
        if !mutated("a replaced session is still heard") {
            self.tables.sessions.remove(&old.id);
        }
        self.timers.clear(Timer::SessionSilent(old.id));
        let worker_id = worker;
        self.happened(now, Happening::WorkerDisconnected { worker_id });
        if mutated("a replaced session is not closed") {
            return;
        }
        let reason = Some(ClosingReason::Replaced);
        self.outbox.effects.push(Effect::Close {
            session: old.id,
            reason,
        });
    }

    /// What a worker shall do with an attempt that it holds.
    fn judge(&self, worker: WorkerId, held: &Held) -> Verdict {
        let attempt = held.attempt;
        if mutated("reconciliation forgets every attempt") {
            return Verdict::Forget;
        }
        let Some(entry) = self.tables.jobs.get(&attempt.job) else {
            if mutated("reconciliation keeps an unknown attempt") {
                return Verdict::Keep;
            }
            return Verdict::Forget;
        };
        if entry.awaits_log(attempt, worker) {
            return Verdict::Keep;
        }
        if !entry.is_current(attempt, worker) && !mutated("reconciliation keeps a revoked attempt")
        {
            return Verdict::Forget;
        }
        if !matches!(held.state, HeldState::Accepted | HeldState::Running { .. }) {
            return Verdict::Keep;
        }
        if let Some(grace) = entry.record.stop_grace
            && !mutated("a stop is not repeated to a worker that is back")
        {
            let cause = StopCause::Cancelled;
            return Verdict::Stop { cause, grace };
        }
        if self.is_drained_away(worker, entry, &held.state)
            && !mutated("a drain is not repeated to a worker that is back")
        {
            let (cause, grace) = (self.drain_cause(worker), entry.record.demand.grace);
            return Verdict::Stop { cause, grace };
        }
        Verdict::Keep
    }

    /// Whether a drain stops the current attempt of this job: it was told so before, or it has not begun. One that has
    /// done so before the drain was acknowledged, however late that is heard, goes on.
    fn is_drained_away(&self, worker: WorkerId, entry: &JobEntry, held: &HeldState) -> bool {
        let drains = self.tables.workers.get(&worker);
        let drains = drains.is_some_and(|worker| worker.record.drain.is_some());
        entry.record.drained || drains && matches!(held, HeldState::Accepted)
    }

    /// Remembers which attempts were told to stop because their worker drains.
    fn note_drained(&mut self, worker: WorkerId, verdicts: &[(AttemptId, Verdict)]) {
        for (attempt, verdict) in verdicts {
            let entry = self.tables.jobs.get(&attempt.job);
            let by_drain = entry.is_some_and(|entry| entry.record.stop_grace.is_none());
            if matches!(verdict, Verdict::Stop { .. }) && by_drain {
                self.mark_drained(attempt.job);
                if let Some(entry) = self.tables.workers.get_mut(&worker) {
                    entry.told_to_decline.insert(*attempt);
                }
            }
        }
    }

    /// What the worker says of its attempts counts at once.
    fn take_over_inventory(&mut self, now: Now, worker: WorkerId, inventory: Vec<Held>) {
        for held in inventory {
            if !matches!(held.state, HeldState::Accepted) {
                self.begins_no_more(now, worker, held.attempt);
            }
            match held.state {
                HeldState::Running { pid, started_at } => {
                    self.on_started(now, worker, held.attempt, pid, started_at);
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
        let same_boot = same_boot && !mutated("the same boot is not believed");
        for job in self.jobs_of(worker) {
            let current = self.tables.jobs.get(&job).and_then(|entry| entry.current());
            let Some(current) = current.filter(|now| !claims.listed.contains(&now.id)) else {
                continue;
            };
            let (attempt, began) = (current.id, current.started_at.is_some());
            let over = self.lease_over(worker).filter(|_| same_boot);
            let ending = if (same_boot || mutated("another boot counts as the same")) && !began {
                let reason = InfraReason::NeverStarted;
                Ending::nothing_ran(Outcome::Infra { reason })
            } else {
                let reason = InfraReason::WorkerRestarted;
                Ending::unconfirmed(Outcome::Infra { reason }).leased_until(over)
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
        now: Now,
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
            let started = Happening::AttemptStarted {
                job_id: attempt.job,
                attempt: attempt.number,
                worker_id: worker,
            };
            self.happened(now, started);
            self.stop_queue_time(attempt.job);
            self.check_drain(now, worker);
        }
        true
    }

    /// The worker is waited for, for as long as its jobs allow.
    pub(super) fn on_session_ended(&mut self, now: Now, session: SessionId) {
        let Some(worker) = self.tables.sessions.remove(&session) else {
            return;
        };
        if mutated("a session that is over is still heard") {
            self.tables.sessions.insert(session, worker);
        }
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
        entry.told_to_decline.clear();
        let lease_over = self.timings.lease_over(entry, live.heard);
        self.timers.set(Timer::LeaseOver(worker), lease_over);
        let mut deadline = live.heard + self.timings.reconcile_for;
        if mutated("a session that is over costs its attempts") {
            deadline = now.steady;
        }
        self.timers.set(Timer::ReconcileOver(worker), deadline);
        let worker_id = worker;
        self.happened(now, Happening::WorkerDisconnected { worker_id });
        self.tell_availability(now, worker);
        self.check_drain(now, worker);
    }

    /// A session that says nothing for a lease is dead.
    pub(super) fn on_session_silent(&mut self, now: Now, session: SessionId) {
        let worker = self.tables.sessions.get(&session);
        let entry = worker.and_then(|worker| self.tables.workers.get(worker));
        let Some(live) = entry.and_then(|entry| entry.session) else {
            return;
        };
        let heard = if mutated("a lease goes on without contact") {
            now.steady
        } else {
            live.heard
        };
        let deadline = heard + self.timings.lease;
        if deadline > now.steady {
            return self.timers.set(Timer::SessionSilent(session), deadline);
        }
        self.outbox.effects.push(Effect::Close {
            session,
            reason: None,
        });
        self.on_session_ended(now, session);
    }

    /// The worker was waited for long enough: what goes on without a lease may go on there, and is begun elsewhere too.
    pub(super) fn on_reconcile_over(&mut self, now: Now, worker: WorkerId) {
        if self.is_silent(worker) && !mutated("a silent worker is waited for without end") {
            let policy = Some(OnDisconnect::Finish);
            self.give_up_attempts(now, worker, InfraReason::WorkerLost, policy);
            self.abandon_logs(worker, &BTreeSet::new());
        }
    }

    /// The worker's lease is over, by its own clock as well: what must not outlive that has ended.
    pub(super) fn on_lease_over(&mut self, now: Now, worker: WorkerId) {
        if self.is_silent(worker) {
            let policy = Some(OnDisconnect::Stop);
            self.give_up_attempts(now, worker, InfraReason::WorkerLost, policy);
            self.check_drain(now, worker);
        }
    }

    fn is_silent(&self, worker: WorkerId) -> bool {
        let entry = self.tables.workers.get(&worker);
        entry.is_some_and(|entry| entry.session.is_none())
            || mutated("a worker that is back is given up")
    }

    /// Ends every attempt that a worker has, or those of this policy, without knowing what is left of it. What does not
    /// outlive its lease is not begun elsewhere before that is over.
    pub(super) fn give_up_attempts(
        &mut self,
        now: Now,
        worker: WorkerId,
        reason: InfraReason,
        policy: Option<OnDisconnect>,
    ) {
        let over = self.lease_over(worker);
        for job in self.jobs_of(worker) {
            let entry = self.tables.jobs.get(&job);
            let entry = entry.filter(|entry| {
                policy.is_none_or(|policy| entry.record.demand.on_disconnect == policy)
            });
            if let Some(attempt) = entry.and_then(|entry| entry.current()).map(|now| now.id) {
                let ending = Ending::unheard(Outcome::Infra { reason });
                self.settle(now, attempt, ending.leased_until(over));
            }
        }
    }

    /// When the lease of a worker is over as the master counts it, if it is not heard from now on. `None`: it is over.
    pub(super) fn lease_over(&self, worker: WorkerId) -> Option<Steady> {
        let entry = self.tables.workers.get(&worker)?;
        match entry.session {
            Some(live) => Some(self.timings.lease_over(entry, live.heard)),
            None => self.timers.due(Timer::LeaseOver(worker)),
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

impl Timings {
    /// When the lease of a worker is over as the master counts it, if this was the last that was heard of it. A grace
    /// later than that: clocks do not go alike.
    fn lease_over(&self, entry: &WorkerEntry, heard: Steady) -> Steady {
        let lease = entry.record.lease.unwrap_or(self.lease);
        if mutated("a lease is over before its end") {
            return heard;
        }
        (heard + lease + self.grace).max(entry.not_before)
    }
}
