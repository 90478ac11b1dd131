//! Carries out what the engine wants.

use std::collections::HashMap;
use std::sync::Arc;

use jobyard_core::{Assignment, JobId, MasterMessage, ValidSpec};
use tracing::{debug, warn};

use super::ports::Order;
use super::sealing;
use super::shared::Shared;
use crate::engine::{Effect, Input};
use crate::records::SPEC;

/// Carries out effects in their order. What comes back at once is for the engine.
pub(super) async fn carry_out(shared: &Arc<Shared>, effects: Vec<Effect>) -> Vec<Input> {
    let specs = load_specs(shared, &effects).await;
    let mut back = Vec::new();
    for effect in effects {
        match effect {
            Effect::Reply { to, answer } => shared.replies.answer(to, answer),
            Effect::Send { session, message } => {
                shared.ports.order(session, Order::Say(*message));
            }
            Effect::Assign {
                session,
                attempt,
                env,
                ..
            } => {
                if let Some(spec) = specs.get(&attempt.job) {
                    debug!(%attempt, %session, "assigning");
                    let mut assignment = Assignment::new(attempt, spec.clone());
                    assignment.env = env;
                    let message = MasterMessage::Assign(assignment);
                    shared.ports.order(session, Order::Say(message));
                } else {
                    // Without its spec it cannot be sent: the session ends, and reconciliation gives the job back.
                    warn!(%attempt, "the spec cannot be read; the worker has to reconnect");
                    shared.ports.order(session, Order::Close(None));
                    back.push(Input::SessionEnded { session });
                }
            }
            Effect::Close { session, reason } => {
                shared.ports.order(session, Order::Close(reason));
            }
            Effect::Refuse { session, refusal } => {
                shared.ports.order(session, Order::Refuse(refusal));
            }
            Effect::Grant { attempt, worker } => shared.gate.grant(attempt, worker),
            Effect::Revoke { attempt } => shared.gate.revoke(attempt),
            Effect::AbandonLog { attempt, end } => sealing::abandon(shared, attempt, end),
            Effect::Membership { worker, member } => shared.gate.set_member(worker, member),
            Effect::Changed { job, finished } => {
                if finished {
                    debug!(%job, "finished");
                }
                shared.hub.notify(job);
            }
        }
    }
    back
}

/// The specs of all assignments among the effects.
async fn load_specs(shared: &Shared, effects: &[Effect]) -> HashMap<JobId, ValidSpec> {
    let mut specs = HashMap::new();
    let mut missing = Vec::new();
    for effect in effects {
        if let Effect::Assign {
            attempt, digest, ..
        } = effect
        {
            match shared.specs.get(digest) {
                Some(spec) => drop(specs.insert(attempt.job, spec)),
                None => missing.push(attempt.job),
            }
        }
    }
    if missing.is_empty() {
        return specs;
    }
    let keys: Vec<String> = missing.iter().map(ToString::to_string).collect();
    match shared.config.store.get_many(SPEC, &keys).await {
        Ok(records) => {
            for (job, record) in missing.into_iter().zip(records) {
                let spec = record.as_ref().map(crate::records::read::<ValidSpec>);
                match spec {
                    Some(Ok(spec)) => drop(specs.insert(job, spec)),
                    Some(Err(problem)) => warn!(%job, %problem, "unreadable spec"),
                    None => warn!(%job, "the job has no spec"),
                }
            }
        }
        Err(problem) => warn!(%problem, "specs cannot be read"),
    }
    specs
}
