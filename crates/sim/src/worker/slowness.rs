//! Workers that do not run for a while, and what the network keeps for them.

use std::time::Duration;

use jobyard_core::{AttemptId, Epoch, Hello, MasterMessage, SessionId, Steady, Verdict, Welcome};
use jobyard_worker::agent::{Input, JournalEntry};

use super::WorkerNode;
use crate::agenda::{AgentEvent, Event};
use crate::env::Env;
use crate::fact::Fact;
use crate::fault::Fault;
use crate::network::{Frame, LinkId, Purpose, Side};

/// An agent that does not run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck {
    until: Steady,
    /// How often it is stuck again after a moment.
    again: u64,
}

impl WorkerNode {
    /// When its agent takes what happens now.
    pub(crate) fn stuck_until(&self) -> Option<Steady> {
        self.stuck.map(|stuck| stuck.until)
    }

    /// Its agent does not run for a while; its machine and its jobs do.
    pub(crate) fn freeze(&mut self, env: &mut Env) {
        if !self.is_up() || self.stuck.is_some() {
            return;
        }
        let (length, again) = if env.rng.chance(500) {
            env.fault(Fault::WorkerStuck);
            (env.rng.millis(200, 20_000), 0)
        } else {
            env.fault(Fault::WorkerStarved);
            (env.rng.millis(20, 900), 5 + env.rng.below(20))
        };
        self.be_stuck(env, length, again);
    }

    fn be_stuck(&mut self, env: &mut Env, length: Duration, again: u64) {
        env.note("stuck", Some(self.index), None);
        let until = env.now + length;
        self.stuck = Some(Stuck { until, again });
        self.held_up(env, length);
        self.later(env, length, AgentEvent::Thaws);
    }

    /// It runs again, and finds what has happened meanwhile.
    pub(super) fn thaw(&mut self, env: &mut Env) {
        let Some(Stuck { again, .. }) = self.stuck.take() else {
            return;
        };
        self.tell_complaints(env);
        if env.calm {
            // It was stuck when the others were cleaned.
            self.be_clean(env);
        }
        let all: Vec<AttemptId> = self.processes.keys().copied().collect();
        for attempt in all {
            self.tell_exit(env, attempt);
            self.push_output(env, attempt);
        }
        // What it found may have been its end.
        if again > 0 && !env.calm && self.is_up() {
            let length = env.rng.millis(20, 900);
            self.be_stuck(env, length, again - 1);
        }
    }

    /// Nothing can be expected of it in time for so long.
    pub(super) fn held_up(&self, env: &mut Env, length: Duration) {
        let (worker, until) = (self.id, env.now + length);
        env.facts.push(Fact::HeldUp { worker, until });
    }

    /// The master was heard.
    pub(super) fn heard(&self, env: &mut Env) {
        let (worker, by_master) = (self.id, false);
        env.facts.push(Fact::Heard { worker, by_master });
    }

    /// The session is over for the worker.
    pub(super) fn session_over(&self, env: &mut Env) {
        let (worker, by_master) = (self.id, false);
        env.facts.push(Fact::SessionOver { worker, by_master });
    }

    /// Now and then a hello arrives a second time, when nobody waits for its answer any more.
    pub(super) fn repeat_hello(&self, env: &mut Env, hello: &Hello) {
        let often = env.scenario.ghosts_per_mille;
        if !env.scenario.late_hellos || !env.mishap(often, Fault::HelloRepeated) {
            return;
        }
        let purpose = Purpose {
            worker: self.index,
            upload: None,
        };
        let ghost = env.open_link(purpose);
        let late = env.rng.chance(300);
        let delay = env.rng.millis(0, if late { 60_000 } else { 2_000 });
        let frame = Frame::Hello(Box::new(hello.clone()));
        env.send_after(ghost, Side::Master, frame, delay);
        env.shut(ghost, Side::Worker);
    }

    /// Now and then a master answers that should lead no more: of a term before the one that the journal knows.
    pub(super) fn meet_old_master(&self, env: &mut Env, link: LinkId) -> bool {
        let known = self.journal.iter().rev().find_map(|entry| match entry {
            JournalEntry::MaxEpoch(epoch) => Some(*epoch),
            _ => None,
        });
        let older = known.and_then(|known| known.0.checked_sub(1));
        let Some(older) = older.filter(|older| *older > 0) else {
            return false;
        };
        if !env.mishap(15, Fault::OldMasterAnswers) {
            return false;
        }
        let delay = env.rng.millis(1, 20);
        let epoch = Epoch(older);
        self.later(env, delay, AgentEvent::OldMaster { link, epoch });
        true
    }

    /// It knows nothing of what the worker holds.
    pub(super) fn hear_old_master(&mut self, env: &mut Env, link: LinkId, epoch: Epoch) {
        let Some(life) = &mut self.running else {
            return;
        };
        if life.session != Some(link) {
            return;
        }
        life.connected = true;
        let attempts: Vec<_> = life.agent.held().map(|held| held.attempt).collect();
        self.feed(env, Input::Connected);
        self.hear_orders_of_old_master(env, epoch);
        let is_foreign = env.scenario.intruders && env.rng.chance(500);
        // One that leads, and speaks otherwise.
        let epoch = if is_foreign { epoch.next() } else { epoch };
        let timings = env.scenario.timings;
        let mut welcome = Welcome::new(
            SessionId::from_uuid(env.rng.uuid()),
            epoch,
            self.id,
            "somebody".to_owned(),
            timings.heartbeat,
            timings.lease,
        );
        if is_foreign {
            welcome.protocol.version += 2;
        }
        let verdicts = attempts.into_iter();
        welcome.verdicts = verdicts.map(|attempt| (attempt, Verdict::Forget)).collect();
        self.feed(env, Input::Received(MasterMessage::Welcome(welcome)));
        let life = self.running.as_ref();
        if is_foreign && life.is_some_and(|life| life.agent.is_connected()) {
            let (worker, unfit) = (self.id, Some("takes a master that speaks otherwise"));
            env.facts.push(Fact::Welcomed { worker, unfit });
        }
    }

    /// It may forget to welcome the worker first.
    fn hear_orders_of_old_master(&mut self, env: &mut Env, epoch: Epoch) {
        if !env.scenario.intruders {
            return;
        }
        let held = |node: &Self| -> Vec<AttemptId> {
            let life = node.running.iter();
            let held = life.flat_map(|life| life.agent.held());
            held.map(|held| held.attempt).collect()
        };
        let before = held(self);
        for attempt in before.iter().copied() {
            self.feed(env, Input::Received(MasterMessage::Forget { attempt }));
        }
        if held(self) != before {
            let worker = self.id;
            env.facts.push(Fact::Served { worker, epoch });
        }
    }

    /// Somebody sets the wall clock.
    pub(crate) const fn set_wall_clock(&mut self, back: bool) {
        self.clock.jump(back);
    }

    /// Whatever cannot be taken now is taken when its agent runs again.
    pub(crate) fn postpone(&self, env: &mut Env, event: Event) -> Option<Event> {
        let Some(until) = self.stuck_until().filter(|until| *until > env.now) else {
            return Some(event);
        };
        let is_thaw = matches!(
            event,
            Event::Agent {
                event: AgentEvent::Thaws | AgentEvent::Dies,
                ..
            }
        );
        if is_thaw {
            return Some(event);
        }
        env.agenda.set(until, event);
        None
    }
}
