//! What the engine wants, carried out.

use jobyard_core::{Assignment, AttemptId, LinkError, MasterMessage, SessionId};
use jobyard_master::engine::{Answer, Effect, Input};

use super::{MasterNode, Waiter};
use crate::agenda::{Event, MasterEvent};
use crate::env::Env;
use crate::fact::Fact;
use crate::fault::Fault;
use crate::network::{Frame, LinkId, Side};
use crate::scenario::Sabotage;

impl MasterNode {
    pub(super) fn carry_out_one(&mut self, env: &mut Env, effect: Effect) {
        let Some(term) = &mut self.term else { return };
        match effect {
            Effect::Reply { to, answer } => {
                let (ask, drained) = match term.replies.remove(&to) {
                    Some(Waiter::Client(ask)) => (Some(ask), None),
                    Some(Waiter::Drain(ask, worker)) => (Some(ask), Some(worker)),
                    Some(Waiter::Shell) | None => (None, None),
                };
                if let (Some(worker), Answer::Worker(_)) = (drained, &answer) {
                    env.summary.transition("drain acknowledged");
                    env.facts.push(Fact::DrainAcknowledged { worker });
                }
                if let Some(ask) = ask {
                    if env.mishap(40, Fault::AnswerLost) {
                        return;
                    }
                    let delay = env.rng.millis(0, 3);
                    let answer = Some(answer);
                    env.after(delay, Event::AnswerArrives { ask, answer });
                }
            }
            Effect::Send { session, message } => self.say(env, session, *message),
            Effect::Assign {
                session,
                attempt,
                env: variables,
                ..
            } => {
                let Some(spec) = self.disk.spec(attempt.job) else {
                    // As the real shell does; reconciliation gives the job back.
                    self.end_session(env, session, LinkError::Closed);
                    return self.tell(env, Input::SessionEnded { session });
                };
                let mut assignment = Assignment::new(attempt, spec);
                assignment.env = variables;
                env.summary.transition("assign");
                if env.mishap(10, Fault::AssignmentRepeated) {
                    let assignment = Box::new(assignment.clone());
                    let event = MasterEvent::AssignAgain {
                        session,
                        assignment,
                    };
                    let delay = env.rng.millis(1, 5_000);
                    let life = self.life;
                    env.after(delay, Event::Master { life, event });
                }
                self.say(env, session, MasterMessage::Assign(assignment));
            }
            Effect::Close { session, reason } => {
                if let Some(reason) = reason {
                    self.say(env, session, MasterMessage::Closing(reason));
                }
                self.end_session(env, session, LinkError::Closed);
            }
            Effect::Refuse { session, refusal } => {
                env.summary.transition("session refused");
                self.end_session(env, session, LinkError::Refused(refusal));
            }
            Effect::Grant { attempt, worker } => drop(term.grants.insert(attempt, worker)),
            Effect::Revoke { attempt } => drop(term.grants.remove(&attempt)),
            Effect::AbandonLog { attempt, end } => {
                let delay = env.rng.millis(0, 20);
                let event = MasterEvent::Seal { attempt, end };
                let life = self.life;
                env.after(delay, Event::Master { life, event });
            }
            Effect::Membership { worker, member } => {
                if member {
                    term.removed.remove(&worker);
                } else {
                    term.removed.insert(worker);
                }
            }
            Effect::Changed { .. } => {}
        }
    }

    pub(super) fn assign_again(&self, env: &mut Env, session: SessionId, what: Assignment) {
        self.say(env, session, MasterMessage::Assign(what));
    }

    fn say(&self, env: &mut Env, session: SessionId, message: MasterMessage) {
        let Some(link) = self
            .term
            .as_ref()
            .and_then(|term| term.sessions.get(&session))
        else {
            return;
        };
        let term = self.term.as_ref();
        if let (Some(term), MasterMessage::Welcome(welcome)) = (term, &message) {
            let worker = welcome.worker;
            let unfit = term.unfit.get(&session).copied();
            env.facts.push(Fact::Welcomed { worker, unfit });
        }
        let Some(worker) = env.network.purpose(*link).map(|purpose| purpose.worker) else {
            return;
        };
        let (what, attempt) = describe(&message);
        if let Some(attempt) = attempt {
            env.note(what, Some(worker), Some(attempt));
        }
        if what == "forget" && env.is_sabotaged(Sabotage::DropForgets) {
            return;
        }
        env.summary.transition(what);
        if let MasterMessage::Welcome(welcome) = &message {
            for (_, verdict) in &welcome.verdicts {
                env.summary.transition(match verdict {
                    jobyard_core::Verdict::Keep => "verdict keep",
                    jobyard_core::Verdict::Stop { .. } => "verdict stop",
                    _ => "verdict forget",
                });
            }
        }
        env.send(*link, Side::Worker, Frame::Told(Box::new(message)));
    }

    fn link_of(&self, session: SessionId) -> Option<LinkId> {
        let term = self.term.as_ref()?;
        term.sessions.get(&session).copied()
    }

    fn end_session(&mut self, env: &mut Env, session: SessionId, error: LinkError) {
        if let Some(link) = self.link_of(session) {
            self.hear_late(env, link);
        }
        let Some(term) = &mut self.term else { return };
        if let Some(link) = term.sessions.remove(&session) {
            if let Some((_, worker)) = term.peers.remove(&link) {
                let by_master = true;
                env.facts.push(Fact::SessionOver { worker, by_master });
            }
            env.close(link, Side::Master, error);
        }
    }
}

const fn describe(message: &MasterMessage) -> (&'static str, Option<AttemptId>) {
    match message {
        MasterMessage::Welcome(_) => ("welcome", None),
        MasterMessage::Heartbeat => ("master heartbeat", None),
        MasterMessage::Assign(assignment) => ("assign sent", Some(assignment.attempt)),
        MasterMessage::Stop { attempt, .. } => ("stop", Some(*attempt)),
        MasterMessage::Forget { attempt } => ("forget", Some(*attempt)),
        MasterMessage::Removed => ("removed", None),
        MasterMessage::Draining(true) => ("told to drain", None),
        MasterMessage::Draining(false) => ("told to drain no more", None),
        _ => ("closing", None),
    }
}
