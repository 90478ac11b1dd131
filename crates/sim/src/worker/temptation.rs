//! Somebody assigns what a worker must not take.

use jobyard_core::{Assignment, AttemptId, AttemptNumber, JobId, MasterMessage};
use jobyard_worker::agent::Input;

use super::WorkerNode;
use crate::clients::some_spec;
use crate::env::Env;
use crate::fact::Fact;

impl WorkerNode {
    /// A worker has just heard why it takes nothing, and is assigned something all the same.
    pub(super) fn tempt(&mut self, env: &mut Env, unwilling: &'static str) {
        let is_connected = |node: &Self| {
            let life = node.running.as_ref();
            life.is_some_and(|life| life.agent.is_connected())
        };
        if !env.scenario.intruders || !is_connected(self) || !env.rng.chance(300) {
            return;
        }
        let attempt = AttemptId::new(JobId::from_uuid(env.rng.uuid()), AttemptNumber::FIRST);
        let assignment = Assignment::new(attempt, some_spec(env));
        self.heard(env);
        self.feed(env, Input::Received(MasterMessage::Assign(assignment)));
        let held = self.running.iter().flat_map(|life| life.agent.held());
        if held.map(|held| held.attempt).any(|held| held == attempt) {
            let worker = self.id;
            env.facts.push(Fact::TakenAmiss { worker, unwilling });
        }
    }
}
