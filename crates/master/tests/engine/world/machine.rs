//! What the machines of the world do: they read what their master sends, run what they were given, and keep to their
//! lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{
    AttemptId, DeclineReason, Exit, HeldState, InfraReason, Outcome, SessionId, StopCause,
    Timestamp, WorkerMessage,
};
use jobyard_master::engine::Input;

use super::{World, must_not_overlap, number};
use crate::cluster::TIMINGS;
use crate::vocabulary::{complete, infra, just_before, report, worker};

/// How long after what a machine counts its lease from it has ended what must not outlive that: its clock is as slow as
/// it may be.
const FENCED_AFTER: Duration = just_before(TIMINGS.lease.saturating_add(TIMINGS.grace));

/// A worker's machine, and what it holds.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) session: Option<SessionId>,
    pub(super) mail: Vec<Mail>,
    pub(super) held: BTreeMap<AttemptId, HeldState>,
    pub(super) seen: BTreeSet<AttemptId>,
    pub(super) boots: u128,
    pub(super) declines: Option<DeclineReason>,
    pub(super) removed: bool,
    /// Whether its master has told it that it drains.
    pub(super) drains: bool,
    /// The session in which a drain was acknowledged that nobody has undone.
    pub(super) drained_in: Option<SessionId>,
    /// When it sent its hello.
    pub(super) hello_at: Duration,
    /// What it counts its lease from: when it sent what was answered last.
    pub(super) lease_from: Option<Duration>,
}

impl Machine {
    /// When it ends what must not outlive its lease, if it has any of that.
    pub(super) fn fence(&self) -> Option<Duration> {
        let mut held = self.held.iter();
        let bound = |(attempt, state): (&AttemptId, &HeldState)| {
            must_not_overlap(attempt.job) && !matches!(state, HeldState::Finished(_))
        };
        let is_bound = held.any(bound);
        self.lease_from
            .filter(|_| is_bound)
            .map(|from| from + FENCED_AFTER)
    }
}

#[derive(Debug)]
pub(super) enum Mail {
    Welcome { draining: bool },
    Draining(bool),
    Assign(AttemptId),
    Stop(AttemptId, StopCause),
    Forget(AttemptId),
    Removed,
}

impl World {
    pub(super) fn read(&mut self, at: usize) {
        for mail in std::mem::take(&mut self.machines[at].mail) {
            match mail {
                Mail::Welcome { draining } => {
                    let machine = &mut self.machines[at];
                    machine.lease_from = machine.lease_from.max(Some(machine.hello_at));
                    self.answer(at);
                    self.be_drained(at, draining);
                }
                Mail::Draining(draining) => self.be_drained(at, draining),
                Mail::Assign(attempt) => self.take_on(at, attempt),
                Mail::Stop(attempt, cause) => self.obey(at, attempt, cause),
                Mail::Forget(attempt) => drop(self.machines[at].held.remove(&attempt)),
                Mail::Removed => self.machines[at].held.clear(),
            }
        }
    }

    /// Any frame answers the welcome.
    pub(super) fn answer(&mut self, at: usize) {
        if let Some(session) = self.machines[at].session {
            let messages = Vec::new();
            self.tell(Input::Said { session, messages });
        }
    }

    pub(super) fn take_on(&mut self, at: usize, attempt: AttemptId) {
        let machine = &mut self.machines[at];
        let fresh = machine.seen.insert(attempt);
        let drains = machine.drains.then_some(DeclineReason::Stopping);
        if let Some(reason) = machine.declines.or(drains) {
            self.say(at, WorkerMessage::Declined { attempt, reason });
        } else {
            assert!(fresh, "{attempt} is given to the same machine twice");
            machine.held.insert(attempt, HeldState::Accepted);
        }
    }

    /// It declines what it has accepted and not begun.
    pub(super) fn be_drained(&mut self, at: usize, drains: bool) {
        let machine = &mut self.machines[at];
        machine.drains = drains;
        let held = machine.held.iter();
        let waiting = held.filter(|(_, state)| drains && **state == HeldState::Accepted);
        let waiting: Vec<AttemptId> = waiting.map(|(attempt, _)| *attempt).collect();
        for attempt in waiting {
            self.machines[at].held.remove(&attempt);
            let reason = DeclineReason::Stopping;
            self.say(at, WorkerMessage::Declined { attempt, reason });
        }
    }

    /// Told to stop, it does.
    pub(super) fn obey(&mut self, at: usize, attempt: AttemptId, cause: StopCause) {
        let exit = match self.machines[at].held.get(&attempt) {
            Some(HeldState::Accepted) => None,
            Some(HeldState::Running { .. }) => Some(Exit::Signaled(15)),
            _ => return,
        };
        let outcome = match (cause, exit) {
            (StopCause::Drained, None) => infra(InfraReason::NeverStarted),
            (StopCause::Drained, Some(_)) => infra(InfraReason::WorkerDrained),
            _ => Outcome::Cancelled { exit },
        };
        self.is_over(at, attempt, outcome, 0);
    }

    /// Machines whose lease is over end what must not outlive it, and give up their session.
    pub(super) fn fence(&mut self) {
        for at in 0..self.machines.len() {
            let machine = &self.machines[at];
            if machine.fence().is_none_or(|fence| fence > self.clock) {
                continue;
            }
            let held = machine.held.iter();
            let bound = held.filter(|(attempt, _)| must_not_overlap(attempt.job));
            let bound: Vec<(AttemptId, bool)> = bound
                .filter(|(_, state)| !matches!(state, HeldState::Finished(_)))
                .map(|(attempt, state)| (*attempt, *state == HeldState::Accepted))
                .collect();
            for (attempt, not_begun) in bound {
                let reason = if not_begun {
                    InfraReason::NeverStarted
                } else {
                    InfraReason::LeaseExpired
                };
                let report = report(attempt, infra(reason), 0);
                let state = HeldState::Finished(report);
                self.machines[at].held.insert(attempt, state);
            }
            self.disconnect(at);
        }
    }

    pub(super) fn start(&mut self, at: usize) {
        let machine = &self.machines[at];
        let starts = machine
            .held
            .values()
            .any(|state| *state == HeldState::Accepted);
        let is_drained = machine.session.is_some() && machine.session == machine.drained_in;
        assert!(
            !starts || !is_drained,
            "a job starts after the drain: {machine:?}"
        );
        let mut held = self.machines[at].held.iter_mut();
        let Some((&attempt, state)) = held.find(|(_, state)| **state == HeldState::Accepted) else {
            return;
        };
        let (pid, started_at) = (Some(4), Timestamp::from_micros(5));
        *state = HeldState::Running { pid, started_at };
        self.ran.insert(attempt);
        let at_wall = started_at;
        self.say(
            at,
            WorkerMessage::Started {
                attempt,
                pid,
                at: at_wall,
            },
        );
    }

    pub(super) fn end(&mut self, at: usize, outcome: Outcome, bytes: u64) {
        let mut held = self.machines[at].held.iter();
        let running = held.find(|(_, state)| matches!(state, HeldState::Running { .. }));
        if let Some((&attempt, _)) = running {
            self.is_over(at, attempt, outcome, bytes);
        }
    }

    pub(super) fn is_over(&mut self, at: usize, attempt: AttemptId, outcome: Outcome, bytes: u64) {
        let report = report(attempt, outcome, bytes);
        let state = HeldState::Finished(report.clone());
        self.machines[at].held.insert(attempt, state);
        self.say(at, WorkerMessage::Finished(report));
    }

    pub(super) fn ended(&self, at: usize) -> Vec<AttemptId> {
        let held = self.machines[at].held.iter();
        let ended = held.filter(|(_, state)| matches!(state, HeldState::Finished(_)));
        ended.map(|(attempt, _)| *attempt).collect()
    }

    pub(super) fn upload(&mut self, at: usize) {
        if let Some(attempt) = self.ended(at).first() {
            self.upload_of(at, *attempt);
        }
    }

    /// Uploads go over links of their own, with or without a session.
    pub(super) fn upload_of(&mut self, at: usize, attempt: AttemptId) {
        let Some(HeldState::Finished(report)) = self.machines[at].held.get(&attempt) else {
            return;
        };
        let bytes = report.log.bytes;
        if bytes > 0 && self.gate.get(&attempt) == Some(&worker(number(at))) {
            let status = complete(bytes);
            self.tell(Input::LogSettled { attempt, status });
        }
    }

    pub(super) fn say(&mut self, at: usize, message: WorkerMessage) {
        if let Some(session) = self.machines[at].session {
            let messages = vec![message];
            self.tell(Input::Said { session, messages });
        }
    }
}
