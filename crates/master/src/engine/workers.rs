//! What workers say, and what administrators decide about them.

use std::collections::BTreeSet;

use jobyard_core::{
    AdminState, AttemptId, AuditEntry, Change, ClosingReason, Complaint, ControlError,
    DeclineReason, Happening, InfraReason, MAX_COMPLAINTS, MasterMessage, Now, Outcome, SessionId,
    WorkerCommand, WorkerId, WorkerMessage, mutated,
};
use jobyard_scheduler::Event;

use super::Engine;
use super::input::ReplyTo;
use super::output::{Answer, Effect};
use super::settle::Ending;
use super::timers::Timer;

impl Engine {
    /// Messages of a session, in order. Those of a session that is over are nobody's.
    pub(super) fn on_said(&mut self, now: Now, session: SessionId, messages: Vec<WorkerMessage>) {
        let Some(worker) = self.tables.sessions.get(&session).copied() else {
            return;
        };
        let entry = self.tables.workers.get_mut(&worker);
        if let Some(live) = entry.and_then(|entry| entry.session.as_mut()) {
            live.heard = now.steady;
            live.heard_wall = now.wall;
        }
        self.on_confirmed(now, worker);
        for message in messages {
            self.on_message(now, worker, message);
        }
    }

    /// Whether a session lives, as far as is known.
    pub fn has_session(&self, session: SessionId) -> bool {
        self.tables.sessions.contains_key(&session)
    }

    /// Something was heard in a session, and nothing can be committed: its lease goes on, which needs no commit. `false`
    /// if it does: the worker has not answered its welcome before, and what it has said in its hello counts from now on.
    pub fn renew(&mut self, now: Now, session: SessionId) -> bool {
        let Some(worker) = self.tables.sessions.get(&session).copied() else {
            return false;
        };
        let entry = self.tables.workers.get_mut(&worker);
        let Some(entry) = entry.filter(|entry| entry.claims.is_none()) else {
            return false;
        };
        if let Some(live) = &mut entry.session {
            live.heard = now.steady;
            live.heard_wall = now.wall;
        }
        self.begin_later(worker);
        true
    }

    fn on_message(&mut self, now: Now, worker: WorkerId, message: WorkerMessage) {
        match message {
            WorkerMessage::Heartbeat => self.send(worker, MasterMessage::Heartbeat),
            WorkerMessage::Started { attempt, pid, at } => {
                self.begins_no_more(now, worker, attempt);
                let counts = self.on_started(now, worker, attempt, pid, at);
                // Whoever settled it has said so already, before this was said or after; once more does no harm.
                if !counts && !mutated("an attempt that does not count is not revoked") {
                    self.send(worker, MasterMessage::Forget { attempt });
                }
            }
            WorkerMessage::Finished(report) => {
                let attempt = report.attempt;
                self.begins_no_more(now, worker, attempt);
                if mutated("a later report replaces an earlier one") {
                    self.finish(now, attempt.job, report.outcome);
                }
                if self.holds(worker, attempt) {
                    self.settle(now, attempt, Ending::reported(report));
                } else if self.awaits_log(worker, attempt) {
                    self.note_lost_output(worker, &report);
                } else if !mutated("an attempt that does not count is not revoked") {
                    self.send(worker, MasterMessage::Forget { attempt });
                }
            }
            WorkerMessage::Declined { attempt, reason } => {
                self.on_declined(now, worker, attempt, reason);
            }
            WorkerMessage::Accepting(accepting) => self.set_accepting(now, worker, accepting),
            WorkerMessage::Complaints(complaints) => self.set_complaints(now, worker, complaints),
            // A message of a newer protocol that this version does not know asks for nothing.
            _ => {}
        }
    }

    fn awaits_log(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        let entry = self.tables.jobs.get(&attempt.job);
        entry.is_some_and(|entry| entry.awaits_log(attempt, worker))
    }

    /// Nothing of the attempt ran. The worker gets no more until it says so, or the job would come straight back; unless
    /// it declines since it was told that it drains: then it gets no more for that reason, until somebody resumes it.
    fn on_declined(
        &mut self,
        now: Now,
        worker: WorkerId,
        attempt: AttemptId,
        reason: DeclineReason,
    ) {
        self.begins_no_more(now, worker, attempt);
        if !self.holds(worker, attempt) {
            return;
        }
        let entry = self.tables.workers.get_mut(&worker);
        let was_told = entry.is_some_and(|entry| entry.told_to_decline.remove(&attempt));
        let has_enough = matches!(reason, DeclineReason::Stopping | DeclineReason::Full);
        if has_enough && !was_told {
            self.set_accepting(now, worker, false);
        }
        let reason = match reason {
            DeclineReason::JournalFailed => InfraReason::NoResources,
            DeclineReason::Stale => InfraReason::WorkerFault,
            _ => InfraReason::NeverStarted,
        };
        self.settle(now, attempt, Ending::nothing_ran(Outcome::Infra { reason }));
    }

    fn set_accepting(&mut self, now: Now, worker: WorkerId, accepting: bool) {
        let entry = self.tables.workers.get_mut(&worker);
        if let Some(live) = entry.and_then(|entry| entry.session.as_mut()) {
            live.accepting = accepting;
            self.tell_availability(now, worker);
        }
    }

    /// Replaces what it complained about. Once it has nothing to complain about, it is given what waits, unless it takes
    /// nothing for another reason.
    fn set_complaints(&mut self, now: Now, worker: WorkerId, mut complaints: Vec<Complaint>) {
        complaints.truncate(MAX_COMPLAINTS);
        if let Some(entry) = self.tables.workers.get_mut(&worker)
            && entry.session.is_some()
            && entry.complaints != complaints
        {
            entry.complaints.clone_from(&complaints);
            let worker_id = worker;
            let complained = Happening::WorkerComplained {
                worker_id,
                complaints,
            };
            self.happened(now, complained);
            if !mutated("complaints are not heeded") {
                self.tell_availability(now, worker);
            }
        }
    }

    /// Suspends, resumes, drains or removes a worker.
    pub(super) fn on_set_worker(
        &mut self,
        now: Now,
        reply: ReplyTo,
        by: String,
        worker: &str,
        to: WorkerCommand,
    ) {
        let Some(id) = self.tables.find_worker(worker) else {
            let id = worker.to_owned();
            let error = ControlError::NotFound { what: "worker", id };
            return self.reply(reply, Answer::Refused(error));
        };
        let action = match to {
            WorkerCommand::Suspend => {
                self.set_admin(now, id, AdminState::Suspended);
                let (worker_id, by) = (id, by.clone());
                self.happened(now, Happening::WorkerSuspended { worker_id, by });
                "worker.suspend"
            }
            WorkerCommand::Resume => {
                self.set_admin(now, id, AdminState::Active);
                let (worker_id, by) = (id, by.clone());
                self.happened(now, Happening::WorkerResumed { worker_id, by });
                "worker.resume"
            }
            WorkerCommand::Drain { deadline } => {
                return self.on_drain(now, reply, &by, id, deadline);
            }
            WorkerCommand::Remove => {
                let (worker_id, by) = (id, by.clone());
                self.happened(now, Happening::WorkerRemoved { worker_id, by });
                self.remove_worker(now, id);
                "worker.remove"
            }
            _ => {
                let problem = "this version does not know this command".to_owned();
                let error = ControlError::Invalid {
                    field: "command".to_owned(),
                    problem,
                };
                return self.reply(reply, Answer::Refused(error));
            }
        };
        self.audit(AuditEntry::new(now.wall, by, action, id.to_string(), "ok"));
        let answer = match self.worker(id) {
            Some(worker) => Answer::Worker(Box::new(worker)),
            None => Answer::Refused(ControlError::no_worker(id)),
        };
        self.reply(reply, answer);
    }

    fn set_admin(&mut self, now: Now, worker: WorkerId, admin: AdminState) {
        let done = match admin {
            AdminState::Suspended => "suspended",
            _ => "resumed",
        };
        self.end_drain(worker, done);
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        entry.record.admin = admin;
        self.outbox
            .changes
            .push(Change::Put(entry.record.to_record()));
        if !mutated("a suspended worker stays available") {
            self.tell_availability(now, worker);
        }
    }

    /// It is gone for good: no job goes there, its jobs run elsewhere, its certificate is refused.
    fn remove_worker(&mut self, now: Now, worker: WorkerId) {
        self.end_drain(worker, "removed");
        let Some(entry) = self.tables.workers.get_mut(&worker) else {
            return;
        };
        entry.record.admin = AdminState::Removed;
        self.outbox
            .changes
            .push(Change::Put(entry.record.to_record()));
        let (name, session) = (entry.record.name.clone(), entry.session);
        self.tables.names.remove(&name);
        if !mutated("a removed worker still gets jobs") {
            self.schedule(now, Event::WorkerLeft(worker));
        }
        self.no_longer_awaited(now, worker);
        self.give_up_attempts(now, worker, InfraReason::WorkerRemoved, None);
        self.abandon_logs(worker, &BTreeSet::new());
        self.timers.clear(Timer::LeaseOver(worker));
        self.timers.clear(Timer::ReconcileOver(worker));
        self.outbox.effects.push(Effect::Membership {
            worker,
            member: false,
        });
        if let Some(session) = session {
            self.send(worker, MasterMessage::Removed);
            let reason = Some(ClosingReason::Replaced);
            self.outbox.effects.push(Effect::Close {
                session: session.id,
                reason,
            });
            self.tables.sessions.remove(&session.id);
            if let Some(entry) = self.tables.workers.get_mut(&worker) {
                entry.session = None;
                entry.complaints.clear();
                entry.told_to_decline.clear();
            }
        }
    }
}
