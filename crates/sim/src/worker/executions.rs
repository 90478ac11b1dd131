//! Processes that do nothing but take time, and the real supervisors that look after them.

use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    Assignment, AttemptId, Capabilities, Exit, Gone, InfraReason, Residue, StartError,
    StartFailure, Steady, Timestamp,
};
use jobyard_executor::supervisor::{Command, Input as SupervisorInput, Plan};
use jobyard_executor::{Ending, Supervisor, SupervisorEvent};
use jobyard_worker::agent::{AttemptEnd, Input};

use super::{Supervision, WorkerNode};
use crate::agenda::{AgentEvent, Event, MachineEvent};
use crate::env::Env;
use crate::fact::Fact;
use crate::fault::Fault;
use crate::rng::Rng;
use crate::scenario::Sabotage;

/// The numbers of the signals on every Unix.
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// How an attempt begins in a life of the agent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// It is started.
    Start,
    /// It was started in an earlier life.
    Adopt {
        /// When, if that was written down.
        started_at: Option<Timestamp>,
    },
}

/// A process of a machine. It outlives the agent that started it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pid: u32,
    /// How it ended; nobody has asked for that yet.
    pub(super) exit: Option<Exit>,
    ignores_term: bool,
    /// When the launcher ends it, by the machine's clock.
    until: Option<Steady>,
    /// How many bytes it has printed.
    printed: u64,
    /// It has printed what nobody read any more.
    pub(super) is_unread: bool,
}

impl Process {
    /// The next so many bytes that it prints: different for each attempt and at each place, and known without chance.
    pub(super) fn print(&mut self, attempt: AttemptId, count: u64) -> Bytes {
        let whose = attempt.job.as_uuid().as_u64_pair().1 ^ u64::from(attempt.number.get());
        let mut words = Rng::new(whose ^ self.printed.rotate_left(32));
        self.printed += count;
        let count = usize::try_from(count).unwrap_or(0);
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&words.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes.into()
    }
}

impl WorkerNode {
    /// Starts an attempt, or looks for one of an earlier life.
    pub(super) fn begin(&mut self, env: &mut Env, assignment: &Assignment, begin: Begin) {
        let attempt = assignment.attempt;
        let capabilities = Capabilities::NONE.with_signal();
        let supervisor = Supervisor::new(Plan::new(&assignment.spec, capabilities));
        let Some(life) = &mut self.running else {
            return;
        };
        let supervision = Supervision {
            supervisor,
            resources: assignment.spec.resources.clone(),
            repeatable: assignment.spec.repeatable,
            limit: assignment
                .spec
                .timeout
                .map(|timeout| timeout + assignment.spec.grace),
            start_by: life.agent.may_start_until(),
            has_begun: false,
            deadline: None,
        };
        life.supervisors.insert(attempt, supervision);
        self.spool.entry(attempt).or_default();
        let input = match begin {
            Begin::Adopt { started_at } if !env.is_sabotaged(Sabotage::AdoptByStarting) => {
                SupervisorInput::Adopt { started_at }
            }
            _ => SupervisorInput::Start,
        };
        self.supervise(env, attempt, input);
    }

    /// Tells an attempt's supervisor, and does what it says.
    pub(super) fn supervise(&mut self, env: &mut Env, attempt: AttemptId, input: SupervisorInput) {
        let now = self.clock.read(env.now);
        let Some(supervision) = self
            .running
            .as_mut()
            .and_then(|life| life.supervisors.get_mut(&attempt))
        else {
            return;
        };
        let mut commands = Vec::new();
        if let Err(error) = supervision.supervisor.handle(now, input, &mut commands) {
            panic!("the simulated shell tells a supervisor nonsense: {error}");
        }
        for command in commands {
            self.obey(env, attempt, command);
        }
        self.set_supervisor_deadline(env, attempt);
    }

    fn set_supervisor_deadline(&mut self, env: &mut Env, attempt: AttemptId) {
        let clock = self.clock;
        let Some(supervision) = self
            .running
            .as_mut()
            .and_then(|life| life.supervisors.get_mut(&attempt))
        else {
            return;
        };
        let wanted = supervision
            .supervisor
            .next_deadline()
            .map(|at| clock.true_time(at).max(env.now));
        if wanted != supervision.deadline {
            supervision.deadline = wanted;
            if let Some(at) = wanted {
                let delay = at.since(env.now);
                self.later(env, delay, AgentEvent::SupervisorDeadline { attempt, at });
            }
        }
    }

    fn obey(&mut self, env: &mut Env, attempt: AttemptId, command: Command) {
        match command {
            Command::Start => {
                let delay = env.rng.millis(0, 20);
                match random_failure(env) {
                    None => self.later(env, delay, AgentEvent::Spawn { attempt }),
                    failure => {
                        self.later(env, delay, AgentEvent::StartAnswered { attempt, failure });
                    }
                }
            }
            Command::Adopt => {
                let delay = env.rng.millis(0, 50);
                self.later(env, delay, AgentEvent::AdoptAnswered { attempt });
            }
            Command::Signal(_) => {
                if env.mishap(30, Fault::SignalFailed) {
                    let delay = env.rng.millis(0, 2);
                    return self.later(env, delay, AgentEvent::SignalFailed { attempt });
                }
                let ignores = self
                    .processes
                    .get(&attempt)
                    .is_some_and(|process| process.ignores_term);
                if ignores {
                    env.fault(Fault::TermIgnored);
                } else {
                    self.end_process(env, attempt, Exit::Signaled(SIGTERM), 200);
                }
            }
            Command::Kill => self.end_process(env, attempt, Exit::Signaled(SIGKILL), 30),
            Command::CleanUp => {
                let mut residue = Residue::default();
                residue.killed = u32::from(env.rng.chance(50));
                // Without complaints, worlds in which something was found once stay as they were.
                residue.unconfirmed = env.scenario.complain_every.is_some()
                    && env.mishap(20, Fault::ProcessUnkillable);
                let delay = env.rng.millis(0, 20);
                self.later(env, delay, AgentEvent::CleanedUp { attempt, residue });
            }
            Command::Report(SupervisorEvent::Started { pid, trace, at }) => {
                self.feed(
                    env,
                    Input::AttemptStarted {
                        attempt,
                        pid,
                        trace,
                        at,
                    },
                );
            }
            Command::Report(SupervisorEvent::Finished(ending)) => {
                self.on_finished(env, attempt, ending);
            }
            _ => {}
        }
    }

    fn on_finished(&mut self, env: &mut Env, attempt: AttemptId, ending: Ending) {
        let mut end = AttemptEnd::new(attempt, ending.outcome, ending.finished_at);
        end.started_at = ending.started_at;
        end.residue = ending.residue;
        let spool = self.spool.entry(attempt).or_default();
        if env.is_sabotaged(Sabotage::DropRest) {
            spool.forget();
        }
        end.log = spool.end();
        env.summary.transition("supervised to the end");
        env.facts.push(Fact::EndTold { attempt });
        self.feed(env, Input::AttemptEnded(end));
        self.push_output(env, attempt);
    }

    /// In a life of the agent, about an execution.
    pub(super) fn on_execution_event(&mut self, env: &mut Env, event: AgentEvent) {
        match event {
            AgentEvent::Spawn { attempt } => self.spawn(env, attempt),
            AgentEvent::StartAnswered { attempt, failure } => {
                self.note_begun(attempt);
                let input = match failure {
                    Some(failure) => SupervisorInput::StartFailed(failure),
                    None => self.started(attempt),
                };
                self.supervise(env, attempt, input);
                // It may have ended before anybody was told that it runs.
                self.tell_exit(env, attempt);
            }
            AgentEvent::AdoptAnswered { attempt } => self.answer_adoption(env, attempt),
            AgentEvent::CleanedUp { attempt, residue } => {
                env.facts.push(Fact::CleanedUp { attempt });
                self.supervise(env, attempt, SupervisorInput::CleanedUp(residue));
                if env.calm {
                    // What could not be killed was found when the others were cleaned.
                    self.be_clean(env);
                }
            }
            AgentEvent::SignalFailed { attempt } => {
                env.facts.push(Fact::SignalFailed { attempt });
                self.supervise(env, attempt, SupervisorInput::SignalFailed);
            }
            AgentEvent::SupervisorDeadline { attempt, at } => {
                let due = self
                    .running
                    .as_mut()
                    .and_then(|life| life.supervisors.get_mut(&attempt))
                    .is_some_and(|found| found.deadline.take_if(|set| *set == at).is_some());
                if due {
                    self.supervise(env, attempt, SupervisorInput::DeadlineReached);
                }
            }
            _ => {}
        }
    }

    /// The process exists from now on; the supervisor hears of it a moment later, if its agent lives so long.
    fn spawn(&mut self, env: &mut Env, attempt: AttemptId) {
        let Some(supervision) = self
            .running
            .as_ref()
            .and_then(|life| life.supervisors.get(&attempt))
        else {
            return;
        };
        let agent = self.running.as_ref().map(|life| &life.agent);
        let now = self.clock.read(env.now).steady;
        if supervision.start_by <= now {
            // As the executor: it was held up for too long.
            let failure = Some(too_late());
            return self.later(
                env,
                Duration::ZERO,
                AgentEvent::StartAnswered { attempt, failure },
            );
        }
        let until = agent.and_then(|agent| agent.runs_until(attempt));
        let until = until.filter(|_| !env.is_sabotaged(Sabotage::ForgetLeases));
        env.facts.push(Fact::ProcessStarted {
            worker: self.id,
            attempt,
            resources: supervision.resources.clone(),
            repeatable: supervision.repeatable,
            limit: supervision.limit,
        });
        env.note("process starts", Some(self.index), Some(attempt));
        self.last_pid += 1;
        let process = Process {
            pid: self.last_pid,
            exit: None,
            ignores_term: env.rng.chance(200),
            until,
            printed: 0,
            is_unread: false,
        };
        self.processes.insert(attempt, process);
        self.watch_lease(env, attempt);
        self.plan_life(env, attempt, process.pid);
        let delay = env.rng.millis(0, 10);
        let failure = None;
        self.later(env, delay, AgentEvent::StartAnswered { attempt, failure });
        // Crashes at any time seldom meet the moments that matter.
        if env.rng.chance(10) && !env.calm {
            let delay = env.rng.millis(0, 15);
            self.later(env, delay, AgentEvent::Dies);
        }
    }

    /// From now on the launcher ends an attempt at this time.
    pub(super) fn extend(&mut self, env: &mut Env, attempt: AttemptId, until: Steady) {
        let forgets = env.is_sabotaged(Sabotage::ForgetLeases);
        if let Some(process) = self.processes.get_mut(&attempt).filter(|_| !forgets) {
            process.until = Some(until);
            self.watch_lease(env, attempt);
        }
    }

    fn watch_lease(&self, env: &mut Env, attempt: AttemptId) {
        let Some(process) = self.processes.get(&attempt) else {
            return;
        };
        if let Some(until) = process.until {
            let pid = process.pid;
            let delay = self.clock.true_time(until).since(env.now);
            self.on_machine(env, delay, MachineEvent::LeaseOver { attempt, pid });
        }
    }

    /// The launcher ends what has outlived its lease.
    pub(super) fn enforce_lease(&mut self, env: &mut Env, attempt: AttemptId, pid: u32) {
        let now = self.clock.read(env.now).steady;
        let process = self.processes.get(&attempt);
        let is_due = process.is_some_and(|process| {
            process.pid == pid
                && process.exit.is_none()
                && process.until.is_some_and(|until| until <= now)
        });
        if is_due {
            env.fault(Fault::LeaseEnforced);
            env.note("launcher kills", Some(self.index), Some(attempt));
            self.on_exit(env, attempt, pid, Exit::Signaled(SIGKILL));
        }
    }

    /// What the process will do by itself.
    fn plan_life(&self, env: &mut Env, attempt: AttemptId, pid: u32) {
        let longest = u64::try_from(env.scenario.longest_run.as_millis()).unwrap_or(u64::MAX);
        let runs_for = if env.rng.chance(500) {
            env.rng.millis(0, 300)
        } else {
            env.rng.millis(300, longest)
        };
        let exit = Exit::Exited(i32::from(env.rng.chance(200)));
        let exits = MachineEvent::Exits { attempt, pid, exit };
        self.on_machine(env, runs_for, exits);
        for _ in 0..env.rng.below(4) {
            let bytes = 1 + env.rng.below(5_000);
            let at = runs_for
                .mul_f64(0.001 * f64::from(u16::try_from(env.rng.below(1_000)).unwrap_or(0)));
            self.on_machine(env, at, MachineEvent::Prints { attempt, bytes });
        }
    }

    fn on_machine(&self, env: &mut Env, delay: Duration, event: MachineEvent) {
        let (worker, boot) = (self.index, self.boots);
        env.after(
            delay,
            Event::Machine {
                worker,
                boot,
                event,
            },
        );
    }

    /// From now on the supervisor may be told of an exit.
    fn note_begun(&mut self, attempt: AttemptId) {
        let life = self.running.as_mut();
        if let Some(found) = life.and_then(|life| life.supervisors.get_mut(&attempt)) {
            found.has_begun = true;
        }
    }

    fn started(&self, attempt: AttemptId) -> SupervisorInput {
        let pid = self.processes.get(&attempt).map(|process| process.pid);
        SupervisorInput::Started { pid, trace: None }
    }

    /// Finds what runs, or makes sure that nothing does.
    fn answer_adoption(&mut self, env: &mut Env, attempt: AttemptId) {
        let runs = self
            .processes
            .get(&attempt)
            .is_some_and(|process| process.exit.is_none());
        if runs && self.adopts {
            env.summary.transition("adopted");
            self.note_begun(attempt);
            let input = self.started(attempt);
            return self.supervise(env, attempt, input);
        }
        if runs {
            env.facts.push(Fact::ProcessEnded {
                worker: self.id,
                attempt,
                exit: None,
            });
        }
        self.processes.remove(&attempt);
        self.spool.entry(attempt).or_default().cut_short();
        env.facts.push(Fact::CleanedUp { attempt });
        env.summary.transition("adoption finds nothing");
        let gone = Gone::new(u32::from(runs));
        self.supervise(env, attempt, SupervisorInput::Gone(gone));
    }

    fn end_process(&self, env: &mut Env, attempt: AttemptId, exit: Exit, within_ms: u64) {
        if let Some(process) = self.processes.get(&attempt) {
            let pid = process.pid;
            let delay = env.rng.millis(0, within_ms);
            self.on_machine(env, delay, MachineEvent::Exits { attempt, pid, exit });
        }
    }

    /// A process ends, unless it has ended before.
    pub(super) fn on_exit(&mut self, env: &mut Env, attempt: AttemptId, pid: u32, exit: Exit) {
        let Some(process) = self.processes.get_mut(&attempt) else {
            return;
        };
        if process.pid != pid || process.exit.is_some() {
            return;
        }
        process.exit = Some(exit);
        env.facts.push(Fact::ProcessEnded {
            worker: self.id,
            attempt,
            exit: Some(exit),
        });
        self.tell_exit(env, attempt);
    }

    /// Tells the supervisor of an exit, if there is one and it waits for it.
    pub(super) fn tell_exit(&mut self, env: &mut Env, attempt: AttemptId) {
        let exit = self
            .processes
            .get(&attempt)
            .and_then(|process| process.exit);
        let waits = self
            .running
            .as_ref()
            .and_then(|life| life.supervisors.get(&attempt))
            .is_some_and(|found| found.has_begun && !found.supervisor.is_done());
        if let (Some(exit), true, true) = (exit, waits, self.stuck.is_none()) {
            self.processes.remove(&attempt);
            self.supervise(env, attempt, SupervisorInput::Exited(exit));
            // Two may have waited for it.
            self.supervise(env, attempt, SupervisorInput::Exited(exit));
        }
    }
}

fn too_late() -> StartError {
    StartError::Worker {
        reason: InfraReason::NeverStarted,
        problem: "simulated: too late".to_owned(),
    }
}

fn random_failure(env: &mut Env) -> Option<StartError> {
    let problem = "simulated".to_owned();
    if env.mishap(20, Fault::StartFailedByJob) {
        let cause = StartFailure::NotFound;
        return Some(StartError::Job { cause, problem });
    }
    if env.mishap(20, Fault::StartFailedByWorker) {
        let reason = InfraReason::NoResources;
        return Some(StartError::Worker { reason, problem });
    }
    None
}
