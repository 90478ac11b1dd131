//! Attempts that count no more, and that their worker may begin all the same.
//!
//! An attempt can be given up before it is known to have begun: it is ended by force, or its worker is silent for too long,
//! or an earlier term gave it up. It may still be on its way then. Its worker begins it until it hears that nobody wants it, or
//! until it trusts its lease no more. What the master says in a session arrives in order, so what makes that lease longer
//! later comes after the word that the attempt is forgotten: a lease and a grace after it was given up, it cannot begin.
//!
//! Only whoever drains a worker has to know: see [`drain`](super::drain).

use jobyard_core::{AttemptId, Held, HeldState, Now, Steady, Verdict, WorkerId, mutated};

use super::Engine;
use super::tables::Claims;
use super::timers::Timer;

impl Engine {
    /// An attempt that is not known to have begun counts no more, and nobody knows whether its worker has heard.
    pub(super) fn may_still_begin(&mut self, worker: WorkerId, attempt: AttemptId) {
        let Some(until) = self.lease_over(worker) else {
            return;
        };
        if mutated("what is given up counts as never begun") {
            return;
        }
        if let Some(entry) = self.tables.workers.get_mut(&worker) {
            entry.given_up.insert(attempt, until);
            self.await_given_up(worker);
        }
    }

    /// A worker that is back lists what it has not begun and is to forget: it has not heard that yet.
    pub(super) fn note_unbegun(
        &mut self,
        worker: WorkerId,
        inventory: &[Held],
        verdicts: &[(AttemptId, Verdict)],
    ) {
        for (held, (_, verdict)) in inventory.iter().zip(verdicts) {
            if matches!(
                (&held.state, verdict),
                (HeldState::Accepted, Verdict::Forget)
            ) {
                self.may_still_begin(worker, held.attempt);
            }
        }
    }

    /// A worker has said that an attempt has begun, or that it will not.
    pub(super) fn begins_no_more(&mut self, now: Now, worker: WorkerId, attempt: AttemptId) {
        let entry = self.tables.workers.get_mut(&worker);
        if entry.is_some_and(|entry| entry.given_up.remove(&attempt).is_some()) {
            self.check_drain(now, worker);
        }
    }

    /// A worker has answered its welcome: what it did not list it does not have.
    pub(super) fn keep_listed(&mut self, worker: WorkerId, claims: &Claims, same_boot: bool) {
        if let Some(entry) = self.tables.workers.get_mut(&worker) {
            let is_there = |attempt: &AttemptId| same_boot && claims.listed.contains(attempt);
            entry.given_up.retain(|attempt, _| is_there(attempt));
        }
    }

    /// A worker was answered before it could be told to forget anything.
    pub(super) fn begin_later(&mut self, worker: WorkerId) {
        let until = self.lease_over(worker);
        let entry = self.tables.workers.get_mut(&worker);
        if let (Some(entry), Some(until)) = (entry, until) {
            for latest in entry.given_up.values_mut() {
                *latest = until.max(*latest);
            }
        }
    }

    /// The time of some is over in which they could begin.
    pub(super) fn on_given_up_over(&mut self, now: Now, worker: WorkerId) {
        if let Some(entry) = self.tables.workers.get_mut(&worker) {
            entry.given_up.retain(|_, until| *until > now.steady);
            self.await_given_up(worker);
            self.check_drain(now, worker);
        }
    }

    fn await_given_up(&mut self, worker: WorkerId) {
        let entry = self.tables.workers.get(&worker);
        let next: Option<Steady> = entry.and_then(|entry| entry.given_up.values().min().copied());
        if let Some(next) = next {
            self.timers.set(Timer::GivenUpOver(worker), next);
        }
    }
}
