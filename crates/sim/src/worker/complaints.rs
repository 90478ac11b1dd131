//! Workers that take nothing for a while by their own judgement.

use jobyard_core::{AttemptId, Complaint, ComplaintKind};
use jobyard_worker::agent::Input;

use super::WorkerNode;
use crate::env::Env;
use crate::fault::Fault;

/// What is wrong with a machine. It outlives the agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    complaints: Vec<Complaint>,
    /// Not even what comes all the same can be run.
    exhausted: bool,
}

/// What a machine can be short of.
const KINDS: [ComplaintKind; 3] = [
    ComplaintKind::Disk,
    ComplaintKind::Memory,
    ComplaintKind::Load,
];

impl WorkerNode {
    /// Something about the machine changes: there is more to complain about, something else, or nothing any more.
    pub(crate) fn change_complaints(&mut self, env: &mut Env) {
        if !self.troubles.complaints.is_empty() && env.rng.chance(600) {
            return self.be_content(env);
        }
        if env.rng.chance(300) {
            self.troubles.complaints.clear();
        }
        if let Some(kind) = env.rng.pick(&KINDS) {
            env.fault(Fault::WorkerComplained);
            let complaint = Complaint::new(*kind, "as simulated");
            self.troubles.complaints.push(complaint);
            self.troubles.exhausted = env.rng.chance(300);
            self.tell_complaints(env);
        }
    }

    /// It has nothing to complain about any more.
    pub(crate) fn be_content(&mut self, env: &mut Env) {
        if !self.troubles.complaints.is_empty() {
            env.fault(Fault::WorkerRelieved);
            self.troubles = Troubles::default();
            self.tell_complaints(env);
        }
        self.be_clean(env);
    }

    /// An agent begins a life: it is told what is wrong, and it may be seen that nothing is left of what could not be
    /// killed.
    pub(super) fn look_around(&mut self, env: &mut Env) {
        if !self.troubles.complaints.is_empty() {
            self.tell_complaints(env);
        }
        if env.calm || env.rng.chance(500) {
            self.be_clean(env);
        }
    }

    pub(super) fn be_clean(&mut self, env: &mut Env) {
        let Some(life) = self.running.as_ref().filter(|_| self.stuck.is_none()) else {
            return;
        };
        let taints: Vec<AttemptId> = life.agent.taints().map(|(attempt, _)| attempt).collect();
        for attempt in taints {
            self.feed(env, Input::TaintGone { attempt });
        }
    }

    pub(super) fn tell_complaints(&mut self, env: &mut Env) {
        if self.stuck.is_some() {
            return;
        }
        let Troubles {
            complaints,
            exhausted,
        } = self.troubles.clone();
        self.feed(
            env,
            Input::Complaints {
                complaints,
                exhausted,
            },
        );
        if exhausted {
            self.tempt(env, "can run nothing");
        }
    }
}
