//! What the agent wants, carried out.

use std::time::Duration;

use jobyard_core::{AttemptId, Hello, LinkError, Outcome, WorkerMessage};
use jobyard_worker::agent::{ExitReason, JournalEntry, Output};

use super::WorkerNode;
use super::executions::Begin;
use crate::agenda::AgentEvent;
use crate::env::Env;
use crate::fact::Fact;
use crate::fault::Fault;
use crate::network::{Frame, Purpose, Side};

impl WorkerNode {
    pub(super) fn carry_out(&mut self, env: &mut Env, output: Output) {
        match output {
            Output::Connect(hello) => self.connect(env, hello),
            Output::Disconnect => self.drop_session(env),
            Output::Send(message) => self.say(env, message),
            Output::Journal(entry) => self.write_journal(env, entry),
            Output::Start(assignment) => self.begin(env, &assignment, Begin::Start),
            Output::Adopt {
                assignment,
                started_at,
                ..
            } => self.begin(env, &assignment, Begin::Adopt { started_at }),
            Output::Stop {
                attempt,
                cause,
                grace,
            } => {
                env.note("told to stop", Some(self.index), Some(attempt));
                self.supervise(
                    env,
                    attempt,
                    jobyard_executor::supervisor::Input::Stop { cause, grace },
                );
            }
            Output::Kill { attempt } => {
                env.note("told to kill", Some(self.index), Some(attempt));
                self.supervise(env, attempt, jobyard_executor::supervisor::Input::KillNow);
            }
            Output::Extend { attempt, until } => self.extend(env, attempt, until),
            Output::Opened { epoch, .. } => {
                let worker = self.id;
                env.facts.push(Fact::Served { worker, epoch });
            }
            Output::Upload { attempt } => self.open_upload(env, attempt),
            Output::Discard { attempt } => self.discard(env, attempt),
            Output::WipeIdentity => self.is_gone = true,
            Output::Exit(reason) => self.exit(env, &reason),
            _ => {}
        }
    }

    fn connect(&mut self, env: &mut Env, hello: Box<Hello>) {
        self.drop_session(env);
        let purpose = Purpose {
            worker: self.index,
            upload: None,
        };
        let link = env.open_link(purpose);
        let Some(life) = &mut self.running else {
            return;
        };
        life.session = Some(link);
        env.note("connect", Some(self.index), None);
        if env.network.is_stalled(self.index, env.now) && env.rng.chance(500) {
            let delay = env.rng.millis(50, 2_000);
            return self.later(env, delay, AgentEvent::Unreachable { link });
        }
        if self.meet_old_master(env, link) {
            return;
        }
        self.repeat_hello(env, &hello);
        env.send(link, Side::Master, Frame::Hello(hello));
        if env.scenario.late_hellos && env.rng.chance(100) {
            let delay = env.rng.millis(50, 500);
            self.later(env, delay, AgentEvent::Unreachable { link });
        }
    }

    /// Closes the session and what depends on it.
    pub(super) fn drop_session(&mut self, env: &mut Env) {
        let Some(life) = &mut self.running else {
            return;
        };
        let connected = std::mem::take(&mut life.connected);
        if connected {
            self.session_over(env);
        }
        let Some(life) = &mut self.running else {
            return;
        };
        if let (Some(link), false) = (life.session, connected) {
            env.abort(link);
        }
        let session = life.session.take();
        let uploads = std::mem::take(&mut life.uploads);
        let links = uploads.into_values().map(|upload| upload.link);
        for link in links.chain(session) {
            env.close(link, Side::Worker, LinkError::Closed);
        }
    }

    fn say(&self, env: &mut Env, message: WorkerMessage) {
        let Some(link) = self.running.as_ref().and_then(|life| life.session) else {
            return;
        };
        let (what, attempt): (_, Option<AttemptId>) = match &message {
            WorkerMessage::Started { attempt, .. } => ("says started", Some(*attempt)),
            WorkerMessage::Finished(report) => ("says finished", Some(report.attempt)),
            WorkerMessage::Declined { attempt, .. } => ("says declined", Some(*attempt)),
            WorkerMessage::Accepting(_) => ("says accepting", None),
            WorkerMessage::Complaints(_) => ("says complaints", None),
            _ => ("worker heartbeat", None),
        };
        if attempt.is_some() {
            env.note(what, Some(self.index), attempt);
        }
        env.summary.transition(what);
        env.send(link, Side::Master, Frame::Said(message));
    }

    /// A plain write: it survives the agent, and not always the machine.
    fn write_journal(&mut self, env: &mut Env, entry: JournalEntry) {
        if let JournalEntry::Accepted { attempt, .. } = &entry {
            let attempt = *attempt;
            let written = !env.mishap(env.scenario.unwritten_per_mille, Fault::JournalFailed);
            // A failure while the session is renewed is a moment that chance alone seldom meets.
            let renewed = !written && env.rng.chance(300);
            let delay =
                if renewed || env.mishap(env.scenario.slow_journal_per_mille, Fault::JournalSlow) {
                    env.rng.millis(100, 2_000)
                } else {
                    env.rng.millis(0, 30)
                };
            self.later(env, delay, AgentEvent::Journaled { attempt, written });
            let session = self.running.as_ref().and_then(|life| life.session);
            if let (Some(link), true) = (session, renewed) {
                env.cut(link);
            }
            if !written {
                return;
            }
        }
        if let JournalEntry::Finished(report) = &entry
            && matches!(report.outcome, Outcome::Succeeded | Outcome::Failed { .. })
        {
            let attempt = report.attempt;
            env.facts.push(Fact::EndWritten { attempt });
        }
        self.journal.push(entry);
    }

    fn discard(&mut self, env: &mut Env, attempt: AttemptId) {
        env.note("discard", Some(self.index), Some(attempt));
        self.spool.remove(&attempt);
        if let Some(life) = &mut self.running {
            life.supervisors.remove(&attempt);
            if let Some(upload) = life.uploads.remove(&attempt) {
                env.close(upload.link, Side::Worker, LinkError::Closed);
            }
        }
    }

    /// The program ends. A service manager starts it anew, unless it is no longer a member.
    fn exit(&mut self, env: &mut Env, reason: &ExitReason) {
        env.note("agent exits", Some(self.index), None);
        self.held_up(env, Duration::from_secs(5));
        env.summary.transition(match reason {
            ExitReason::Finished => "agent exit finished",
            ExitReason::Unfinished { .. } => "agent exit unfinished",
            ExitReason::Removed => "agent exit removed",
            _ => "agent exit refused",
        });
        self.end_life(env);
        if self.is_gone {
            for (attempt, process) in std::mem::take(&mut self.processes) {
                if process.exit.is_none() {
                    env.facts.push(Fact::ProcessEnded {
                        worker: self.id,
                        attempt,
                        exit: None,
                    });
                }
            }
        } else {
            let delay = env.rng.millis(100, 3_000);
            self.schedule_start(env, delay);
        }
    }
}
