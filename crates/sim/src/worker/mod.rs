//! The simulated worker: a machine with processes and a disk, and on it the real agent and the real supervisors in a
//! simulated shell.

mod complaints;
mod executions;
mod outputs;
mod slowness;
mod temptation;
mod uploads;

use std::collections::BTreeMap;

use jobyard_core::{
    AttemptId, BootId, ConnectError, LinkError, MasterMessage, Resources, Steady, TagSet,
    WorkerFacts, WorkerId,
};
use jobyard_executor::Supervisor;
use jobyard_master::records::WorkerRecord;
use jobyard_worker::agent::{Agent, AgentConfig, Input, JournalEntry, ShutdownMode};

use crate::agenda::{AgentEvent, Event, MachineEvent};
use crate::clients::{EXECUTOR, GPU, RESERVED};
use crate::env::{Env, MachineClock};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::network::{Frame, LinkId, Side, lost};
use crate::scenario::Sabotage;
use complaints::Troubles;
use executions::Process;
use slowness::Stuck;
use uploads::{Spool, Upload};

/// One worker: its machine, its disk, and, while it is up, its agent.
#[derive(Debug)]
pub(crate) struct WorkerNode {
    index: usize,
    pub(crate) id: WorkerId,
    capacity: Resources,
    tags: TagSet,
    exclusive: TagSet,
    /// Whether its executor finds attempts again after a restart of the agent.
    adopts: bool,
    clock: MachineClock,
    boots: u64,
    boot: BootId,
    life: u64,
    journal: Vec<JournalEntry>,
    spool: BTreeMap<AttemptId, Spool>,
    processes: BTreeMap<AttemptId, Process>,
    last_pid: u32,
    troubles: Troubles,
    /// Until when its agent does not run, and how often that happens again at once.
    stuck: Option<Stuck>,
    /// It has deleted its identity.
    is_gone: bool,
    running: Option<Life>,
}

/// What a crash of the agent takes.
#[derive(Debug)]
struct Life {
    agent: Agent,
    deadline: Option<Steady>,
    session: Option<LinkId>,
    /// Whether the session exists, and not only the wish for it.
    connected: bool,
    uploads: BTreeMap<AttemptId, Upload>,
    supervisors: BTreeMap<AttemptId, Supervision>,
}

#[derive(Debug)]
struct Supervision {
    supervisor: Supervisor,
    resources: Resources,
    repeatable: bool,
    /// How long it may run at most, its grace included.
    limit: Option<std::time::Duration>,
    /// When it is too late to start it.
    start_by: Steady,
    /// The executor has answered that it runs.
    has_begun: bool,
    deadline: Option<Steady>,
}

impl WorkerNode {
    pub(crate) fn new(env: &mut Env, index: usize) -> Self {
        let executor = format!("executor={EXECUTOR}");
        // The first one can run every job.
        let (zones, exclusive): (&[&str], &[&str]) = match index {
            0 => (&["zone=a", "zone=b", RESERVED], &[]),
            2 => (&["zone=b", RESERVED], &[RESERVED]),
            odd if odd % 2 == 1 => (&["zone=a"], &[]),
            _ => (&["zone=b"], &[]),
        };
        let tags: Vec<_> = zones.iter().copied().chain([executor.as_str()]).collect();
        let mut capacity = Resources::of_slots(2 + u32::from(env.rng.chance(500)));
        capacity.cpu_millis = 2_000;
        if index.is_multiple_of(2) {
            capacity = capacity.with(GPU, 1);
        }
        Self {
            index,
            id: WorkerId::from_uuid(env.rng.uuid()),
            capacity,
            tags: tag_set(&tags),
            exclusive: tag_set(exclusive),
            adopts: env.rng.chance(500),
            clock: MachineClock::new(env),
            boots: 0,
            boot: BootId::from_uuid(env.rng.uuid()),
            life: 0,
            journal: Vec::new(),
            spool: BTreeMap::new(),
            processes: BTreeMap::new(),
            last_pid: 0,
            troubles: Troubles::default(),
            stuck: None,
            is_gone: false,
            running: None,
        }
    }

    /// Its record, as enrolment would have made it.
    pub(crate) fn record(&self) -> WorkerRecord {
        let sequence = self.index as u64 + 1;
        WorkerRecord::new(
            self.id,
            sequence,
            format!("worker-{}", self.index),
            jobyard_core::Timestamp::default(),
        )
    }

    pub(crate) fn announce(&self, env: &mut Env) {
        env.facts.push(Fact::WorkerExists {
            worker: self.id,
            capacity: self.capacity.clone(),
            tags: self.tags.clone(),
            exclusive: self.exclusive.clone(),
        });
    }

    pub(crate) const fn life(&self) -> u64 {
        self.life
    }

    pub(crate) const fn boots(&self) -> u64 {
        self.boots
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// What is left of attempts here: held by the agent, running, or on the disk.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(life) = &self.running {
            left.extend(
                life.agent
                    .held()
                    .map(|held| format!("held {}", held.attempt)),
            );
        } else if !self.is_gone {
            left.push("its agent is not up".to_owned());
        }
        let running = self
            .processes
            .iter()
            .filter(|(_, process)| process.exit.is_none());
        left.extend(running.map(|(attempt, _)| format!("runs {attempt}")));
        left
    }

    /// The agent begins a life.
    pub(crate) fn start(&mut self, env: &mut Env) {
        self.life += 1;
        if env.is_sabotaged(Sabotage::ForgetJournal) {
            self.journal.clear();
        }
        let agent = BootId::from_uuid(env.rng.uuid());
        let mut config = AgentConfig::new(self.id, self.boot, agent);
        config.facts = WorkerFacts::default();
        config.tags = self.tags.clone();
        config.exclusive = self.exclusive.clone();
        config.capacity = self.capacity.clone();
        config.backoff.cap = std::time::Duration::from_secs(2);
        self.running = Some(Life {
            agent: Agent::new(config, self.journal.clone()),
            deadline: None,
            session: None,
            connected: false,
            uploads: BTreeMap::new(),
            supervisors: BTreeMap::new(),
        });
        self.feed(env, Input::Start);
        self.offer_ends();
        self.look_around(env);
    }

    /// The agent dies. What it started runs on.
    pub(crate) fn crash_agent(&mut self, env: &mut Env) {
        if self.running.is_none() {
            return;
        }
        env.fault(Fault::AgentCrash);
        env.note("agent dies", Some(self.index), None);
        self.held_up(env, std::time::Duration::from_secs(5));
        self.end_life(env);
        let down = env.rng.millis(20, 4_000);
        self.schedule_start(env, down);
    }

    /// The machine is started anew: nothing runs, and what was not yet on the disk is lost.
    pub(crate) fn reboot(&mut self, env: &mut Env) {
        if self.is_gone {
            return;
        }
        env.fault(Fault::MachineReboot);
        env.note("machine reboots", Some(self.index), None);
        self.held_up(env, std::time::Duration::from_secs(9));
        self.running = None;
        self.stuck = None;
        self.session_over(env);
        self.life += 1;
        for link in env.network.ends(Side::Worker, Some(self.index)) {
            env.shut(link, Side::Worker);
        }
        for (attempt, process) in std::mem::take(&mut self.processes) {
            if process.exit.is_none() {
                env.facts.push(Fact::ProcessEnded {
                    worker: self.id,
                    attempt,
                    exit: None,
                });
            }
        }
        self.tear(env);
        self.boots += 1;
        self.boot = BootId::from_uuid(env.rng.uuid());
        self.clock = MachineClock::new(env);
        let down = env.rng.millis(500, 8_000);
        self.schedule_start(env, down);
    }

    /// Plain writes of the last moments are lost with the power.
    fn tear(&mut self, env: &mut Env) {
        let lost = usize::try_from(env.rng.below(6)).unwrap_or(0);
        let kept = self.journal.len().saturating_sub(lost);
        if kept < self.journal.len() {
            env.fault(Fault::JournalTorn);
            for entry in self.journal.drain(kept..) {
                if let Some(attempt) = entry.attempt() {
                    env.facts.push(Fact::DiskTorn { attempt });
                }
                if let JournalEntry::Finished(report) = entry {
                    let attempt = report.attempt;
                    env.facts.push(Fact::EndTorn { attempt });
                }
            }
        }
        for (&attempt, spool) in &mut self.spool {
            if spool.tear(&mut env.rng) {
                env.summary.fault(Fault::OutputTorn);
                env.facts.push(Fact::DiskTorn { attempt });
            }
        }
    }

    /// Somebody tells the worker to end; a service manager starts it again later.
    pub(crate) fn shut_down(&mut self, env: &mut Env) {
        if !self.is_up() || self.stuck.is_some() {
            return;
        }
        let mode = if env.rng.chance(500) {
            env.fault(Fault::WorkerDrained);
            let timeout = env.rng.millis(500, 5_000);
            ShutdownMode::Drain { timeout }
        } else {
            env.fault(Fault::WorkerStopped);
            ShutdownMode::Stop
        };
        env.note("worker told to end", Some(self.index), None);
        self.feed(env, Input::Shutdown(mode));
        self.tempt(env, "was told to end");
    }

    fn schedule_start(&self, env: &mut Env, after: std::time::Duration) {
        let (worker, life) = (self.index, self.life);
        env.after(after, Event::AgentUp { worker, life });
    }

    /// The agent's memory is gone; its kernel closes what it had open.
    fn end_life(&mut self, env: &mut Env) {
        self.drop_session(env);
        self.running = None;
        self.stuck = None;
        self.life += 1;
        for link in env.network.ends(Side::Worker, Some(self.index)) {
            env.close(link, Side::Worker, lost());
        }
    }

    /// In a life of the agent; see [`Event::Agent`].
    pub(crate) fn on_agent_event(&mut self, env: &mut Env, event: AgentEvent) {
        let Some(life) = &mut self.running else {
            return;
        };
        match event {
            AgentEvent::Deadline(at) => {
                if life.deadline.take_if(|set| *set == at).is_some() {
                    self.feed(env, Input::DeadlineReached);
                }
            }
            AgentEvent::Journaled { attempt, written } => {
                if written {
                    self.feed(env, Input::Journaled { attempt });
                } else {
                    self.feed(env, Input::JournalFailed { attempt });
                }
            }
            AgentEvent::OldMaster { link, epoch } => self.hear_old_master(env, link, epoch),
            AgentEvent::Thaws => self.thaw(env),
            AgentEvent::Unreachable { link } => {
                if life.session == Some(link) {
                    env.shut(link, Side::Worker);
                    self.on_session_over(env, lost());
                }
            }
            AgentEvent::Dies => self.crash_agent(env),
            AgentEvent::UploadDue { attempt } => self.open_upload(env, attempt),
            other => self.on_execution_event(env, other),
        }
    }

    /// In a boot of the machine; see [`Event::Machine`].
    pub(crate) fn on_machine_event(&mut self, env: &mut Env, event: MachineEvent) {
        match event {
            MachineEvent::Prints { attempt, bytes } => self.on_printed(env, attempt, bytes),
            MachineEvent::LeaseOver { attempt, pid } => self.enforce_lease(env, attempt, pid),
            MachineEvent::Exits { attempt, pid, exit } => self.on_exit(env, attempt, pid, exit),
        }
    }

    /// A frame of a connection whose worker's side is open.
    pub(crate) fn on_frame(&mut self, env: &mut Env, link: LinkId, frame: Frame) {
        let Some(life) = &mut self.running else {
            return;
        };
        if life.session != Some(link) {
            return self.on_upload_frame(env, link, frame);
        }
        match frame {
            Frame::Accepted => {
                life.connected = true;
                self.heard(env);
                self.feed(env, Input::Connected);
            }
            Frame::Told(message) => {
                self.heard(env);
                let drains = matches!(*message, MasterMessage::Draining(true));
                self.feed(env, Input::Received(*message));
                if drains {
                    self.tempt(env, "is drained");
                }
            }
            Frame::Closed(error) => self.on_session_over(env, error),
            _ => {}
        }
    }

    /// A connection is broken as far as this worker can tell.
    pub(crate) fn on_link_lost(&mut self, env: &mut Env, link: LinkId) {
        let session = self.running.as_ref().and_then(|life| life.session);
        if session == Some(link) {
            self.on_session_over(env, lost());
        } else {
            self.on_upload_lost(env, link, &lost());
        }
    }

    /// The session is over, or did not come about.
    fn on_session_over(&mut self, env: &mut Env, error: LinkError) {
        let Some(life) = &mut self.running else {
            return;
        };
        let was_connected = life.connected;
        self.drop_session(env);
        if was_connected {
            return self.feed(env, Input::SessionLost(error));
        }
        let error = match error {
            LinkError::Refused(refusal) => ConnectError::Refused(refusal),
            other => ConnectError::Unreachable {
                problem: other.to_string(),
            },
        };
        self.feed(env, Input::ConnectFailed(error));
    }

    /// Tells the agent, and does what it says.
    fn feed(&mut self, env: &mut Env, input: Input) {
        let now = self.clock.read(env.now);
        let Some(life) = &mut self.running else {
            return;
        };
        if let Some((attempt, event)) = describe(&input) {
            let stage = life.agent.stage_of(attempt);
            env.summary.step("agent", stage, event);
        } else if let Some(event) = describe_session(&input) {
            env.summary.step("session", life.agent.phase(), event);
        }
        let mut outputs = Vec::new();
        life.agent.handle(now, input, &mut outputs);
        for output in outputs {
            self.carry_out(env, output);
        }
        self.set_deadline(env);
    }

    fn set_deadline(&mut self, env: &mut Env) {
        let (clock, worker, number) = (self.clock, self.index, self.life);
        let Some(life) = &mut self.running else {
            return;
        };
        let wanted = life
            .agent
            .next_deadline()
            .map(|at| clock.true_time(at).max(env.now));
        if wanted != life.deadline {
            life.deadline = wanted;
            if let Some(at) = wanted {
                let event = AgentEvent::Deadline(at);
                let life = number;
                env.agenda.set(
                    at,
                    Event::Agent {
                        worker,
                        life,
                        event,
                    },
                );
            }
        }
    }

    /// Something in this life of the agent, later.
    fn later(&self, env: &mut Env, delay: std::time::Duration, event: AgentEvent) {
        let (worker, life) = (self.index, self.life);
        env.after(
            delay,
            Event::Agent {
                worker,
                life,
                event,
            },
        );
    }
}

/// What happens to which attempt.
const fn describe(input: &Input) -> Option<(AttemptId, &'static str)> {
    Some(match input {
        Input::Journaled { attempt } => (*attempt, "journaled"),
        Input::JournalFailed { attempt } => (*attempt, "journal failed"),
        Input::AttemptStarted { attempt, .. } => (*attempt, "started"),
        Input::AttemptEnded(end) => (end.attempt, "ended"),
        Input::LogConfirmed { attempt } => (*attempt, "log confirmed"),
        Input::Received(MasterMessage::Assign(what)) => (what.attempt, "assigned"),
        Input::Received(MasterMessage::Stop { attempt, .. }) => (*attempt, "stop"),
        Input::Received(MasterMessage::Forget { attempt }) => (*attempt, "forget"),
        _ => return None,
    })
}

/// What happens to the session.
const fn describe_session(input: &Input) -> Option<&'static str> {
    Some(match input {
        Input::Connected => "connected",
        Input::ConnectFailed(_) => "connect failed",
        Input::SessionLost(_) => "lost",
        Input::DeadlineReached => "deadline",
        Input::Shutdown(_) => "shutdown",
        Input::Received(MasterMessage::Welcome(_)) => "welcome",
        Input::Received(MasterMessage::Heartbeat) => "heartbeat",
        Input::Received(MasterMessage::Closing(_)) => "closing",
        Input::Received(MasterMessage::Removed) => "removed",
        Input::Received(MasterMessage::Draining(_)) => "draining",
        _ => return None,
    })
}

fn tag_set(texts: &[&str]) -> TagSet {
    let tags: Result<Vec<_>, _> = texts.iter().map(|text| text.parse()).collect();
    TagSet::try_from(tags.expect("tags are well-formed")).expect("few tags")
}
