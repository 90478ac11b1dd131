//! One world: its programs, what happens to them, and whoever watches.

use std::time::Duration;

use jobyard_core::{AdminState, JobState, WorkerCommand};
use jobyard_master::engine::Timings;

use crate::agenda::Event;
use crate::clients::{Clients, What};
use crate::env::Env;
use crate::fact::Fact;
use crate::failure::Failure;
use crate::fault::Fault;
use crate::invariants::{self, Invariant, Rest};
use crate::master::MasterNode;
use crate::network::{Side, Span};
use crate::scenario::Scenario;
use crate::summary::Summary;
use crate::trouble::Trouble;
use crate::worker::WorkerNode;

/// How often somebody looks whether all is done, once faults have stopped.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long it takes until finished jobs are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(20);

/// How often a wall clock is set.
const WALL_JUMP_EVERY: Duration = Duration::from_secs(7);

/// How long requests that are under way may take to arrive.
const SETTLING: Duration = Duration::from_secs(1);

/// Runs one world from its beginning to its end.
///
/// # Errors
///
/// The first invariant that does not hold.
pub fn simulate(seed: u64, scenario: &Scenario) -> Result<Summary, Box<Failure>> {
    World::new(seed, scenario.clone()).run_to_end(seed).1
}

/// Runs one world like [`simulate`], and tells its whole history, a line for each thing that happened.
pub fn trace(seed: u64, scenario: &Scenario) -> (Vec<String>, Result<Summary, Box<Failure>>) {
    let mut world = World::new(seed, scenario.clone());
    world.env.trace.is_whole = true;
    world.run_to_end(seed)
}

#[derive(Debug)]
struct World {
    env: Env,
    master: MasterNode,
    workers: Vec<WorkerNode>,
    clients: Clients,
    invariants: Vec<Box<dyn Invariant>>,
    events: u64,
    removed: usize,
    /// When the world must have come to rest.
    end: jobyard_core::Steady,
    is_over: bool,
}

#[derive(Debug)]
struct Violation {
    invariant: &'static str,
    problem: String,
}

impl World {
    fn new(seed: u64, scenario: Scenario) -> Self {
        let mut env = Env::new(seed, scenario);
        let workers: Vec<_> = (0..env.scenario.workers.max(1))
            .map(|index| WorkerNode::new(&mut env, index))
            .collect();
        let mut master = MasterNode::new(&mut env);
        for worker in &workers {
            worker.announce(&mut env);
            master.disk.put(worker.record().to_record(), &mut env.facts);
        }
        let end = env.now + env.scenario.horizon + env.scenario.drain;
        Self {
            env,
            master,
            workers,
            clients: Clients::default(),
            invariants: invariants::all(),
            events: 0,
            removed: 0,
            end,
            is_over: false,
        }
    }

    fn run_to_end(mut self, seed: u64) -> (Vec<String>, Result<Summary, Box<Failure>>) {
        let result = self.run();
        let trace = &self.env.trace;
        let history = if trace.is_whole {
            trace.last_notes()
        } else {
            Vec::new()
        };
        match result {
            Ok(()) => (history, Ok(self.summary())),
            Err(Violation { invariant, problem }) => {
                let failure = Failure {
                    seed,
                    scenario: self.env.scenario.name,
                    invariant,
                    histories: trace.histories(&problem),
                    problem,
                    last: if trace.is_whole {
                        Vec::new()
                    } else {
                        trace.last_notes()
                    },
                };
                (history, Err(Box::new(failure)))
            }
        }
    }

    fn summary(self) -> Summary {
        let mut summary = self.env.summary;
        summary.events = self.events;
        summary.hash = self.env.trace.hash();
        summary
    }

    fn run(&mut self) -> Result<(), Violation> {
        let life = self.master.life();
        self.env.after(Duration::ZERO, Event::MasterUp { life });
        for (worker, node) in self.workers.iter().enumerate() {
            let (delay, life) = (self.env.rng.millis(0, 2_000), node.life());
            self.env.after(delay, Event::AgentUp { worker, life });
        }
        self.env.after(Duration::ZERO, Event::SubmitDue);
        self.env.after(Duration::from_secs(1), Event::OperatorDue);
        self.env.after(Duration::from_secs(1), Event::FaultDue);
        if self.env.scenario.complain_every.is_some() {
            self.env.after(Duration::from_secs(1), Event::ComplaintDue);
        }
        self.env
            .after(self.env.scenario.horizon, Event::HorizonReached);
        if self.env.scenario.wall_jumps {
            self.env.after(WALL_JUMP_EVERY, Event::WallJumpDue);
        }
        if self.env.scenario.fault_every.is_some() {
            self.env.after(PRUNE_EVERY, Event::PruneDue);
        }
        while let Some((at, event)) = self.env.agenda.next() {
            self.env.now = at;
            self.events += 1;
            let Some(event) = self.postpone(event) else {
                continue;
            };
            if let Some((what, worker, attempt)) = event.describe() {
                self.env.note(what, worker, attempt);
            }
            self.happen(event);
            self.watch()?;
            if self.is_over || self.env.now >= self.end {
                break;
            }
        }
        self.come_to_rest()
    }

    /// What happens to a worker that is stuck happens when it runs again.
    fn postpone(&mut self, event: Event) -> Option<Event> {
        let worker = match &event {
            Event::Agent { worker, .. } => Some(*worker),
            Event::Deliver { link, to: side } | Event::LinkLost { link, side }
                if *side == Side::Worker =>
            {
                let purpose = self.env.network.purpose(*link);
                purpose.map(|purpose| purpose.worker)
            }
            _ => None,
        };
        match worker {
            Some(worker) => self.workers[worker].postpone(&mut self.env, event),
            None => Some(event),
        }
    }

    fn happen(&mut self, event: Event) {
        let env = &mut self.env;
        match event {
            Event::Deliver { link, to } => self.deliver(link, to),
            Event::LinkLost { link, side } => {
                let Some(purpose) = env.network.purpose(link) else {
                    return;
                };
                if !env.notice(link, side) {
                    return;
                }
                match side {
                    Side::Master => self.master.on_link_over(env, link),
                    Side::Worker => self.workers[purpose.worker].on_link_lost(env, link),
                }
            }
            Event::Master { life, event } => {
                if life == self.master.life() {
                    self.master.on_event(env, event);
                }
            }
            Event::MasterUp { life } => {
                if life == self.master.life() && !self.master.is_up() {
                    self.master.start(env);
                }
            }
            Event::Agent {
                worker,
                life,
                event,
            } => {
                if life == self.workers[worker].life() {
                    self.workers[worker].on_agent_event(env, event);
                }
            }
            Event::AgentUp { worker, life } => {
                if life == self.workers[worker].life() && !self.workers[worker].is_up() {
                    self.workers[worker].start(env);
                }
            }
            Event::Machine {
                worker,
                boot,
                event,
            } => {
                if boot == self.workers[worker].boots() {
                    self.workers[worker].on_machine_event(env, event);
                }
            }
            Event::AskSent { ask } => self.clients.on_sent(env, ask),
            Event::AskArrives { ask } => self.clients.on_arrived(env, &mut self.master, ask),
            Event::AnswerArrives { ask, answer } => self.clients.on_answer(env, ask, answer),
            Event::SubmitDue => self.on_submit_due(),
            Event::OperatorDue => self.on_operator_due(),
            Event::ComplaintDue => self.on_complaint_due(),
            Event::FaultDue => self.on_fault_due(),
            Event::HorizonReached => self.on_horizon(),
            Event::ResumeDue => self.resume_all(),
            Event::LookDue => self.look(),
            Event::WallJumpDue => self.on_wall_jump(),
            Event::PruneDue => {
                self.master.prune(env);
                self.again(PRUNE_EVERY, Event::PruneDue);
            }
        }
    }

    fn deliver(&mut self, link: crate::network::LinkId, to: Side) {
        let env = &mut self.env;
        let Some(purpose) = env.network.purpose(link) else {
            return;
        };
        let Some(frame) = env.receive(link, to) else {
            return;
        };
        env.note(frame.describe(to), Some(purpose.worker), purpose.upload);
        let worker = &mut self.workers[purpose.worker];
        match to {
            Side::Master => self.master.on_frame(env, link, worker.id, frame),
            Side::Worker => worker.on_frame(env, link, frame),
        }
    }

    /// Somebody sets the wall clock of some machine. Nothing else may depend on that, so the chance is of its own.
    fn on_wall_jump(&mut self) {
        let env = &mut self.env;
        env.fault(Fault::WallClockJumped);
        let back = env.wall_rng.chance(700);
        let machines = self.workers.len() as u64 + 1;
        let index = usize::try_from(env.wall_rng.below(machines)).unwrap_or(0);
        match self.workers.get_mut(index) {
            Some(worker) => worker.set_wall_clock(back),
            None => self.master.set_wall_clock(back),
        }
        env.after(WALL_JUMP_EVERY, Event::WallJumpDue);
    }

    fn on_submit_due(&mut self) {
        if self.env.now.since(jobyard_core::Steady::default()) >= self.env.scenario.horizon {
            return;
        }
        self.clients.submit(&mut self.env);
        self.again(self.env.scenario.submit_every, Event::SubmitDue);
    }

    fn on_operator_due(&mut self) {
        let env = &mut self.env;
        if env.now.since(jobyard_core::Steady::default()) >= env.scenario.horizon {
            return;
        }
        let index = usize::try_from(env.rng.below(self.workers.len() as u64)).unwrap_or(0);
        let name = format!("worker-{index}");
        match env.rng.below(100) {
            0..40 => self.clients.stop_some_job(env),
            40..50 => self.clients.set_some_queue(env),
            50..59 => {
                env.fault(Fault::WorkerSuspended);
                let command = What::SetWorker(name, WorkerCommand::Suspend);
                self.clients.ask(env, command);
            }
            59..68 => {
                let deadline = env.rng.chance(400).then(|| env.rng.millis(0, 5_000));
                env.fault(match deadline {
                    None => Fault::WorkerDraining,
                    Some(_) => Fault::WorkerDrainingInTime,
                });
                let command = What::SetWorker(name, WorkerCommand::Drain { deadline });
                self.clients.ask(env, command);
            }
            68..97 => {
                env.fault(Fault::WorkerResumed);
                let command = What::SetWorker(name, WorkerCommand::Resume);
                self.clients.ask(env, command);
            }
            _ if index > 0 && self.removed == 0 => {
                self.removed += 1;
                env.fault(Fault::WorkerRemoved);
                let command = What::SetWorker(name, WorkerCommand::Remove);
                self.clients.ask(env, command);
            }
            _ => {}
        }
        self.again(self.env.scenario.operate_every, Event::OperatorDue);
    }

    fn on_complaint_due(&mut self) {
        let Some(every) = self.env.scenario.complain_every else {
            return;
        };
        if self.env.calm {
            return;
        }
        let env = &mut self.env;
        let index = usize::try_from(env.rng.below(self.workers.len() as u64)).unwrap_or(0);
        self.workers[index].change_complaints(env);
        self.again(every, Event::ComplaintDue);
    }

    fn on_fault_due(&mut self) {
        let Some(every) = self.env.scenario.fault_every else {
            return;
        };
        if self.env.calm {
            return;
        }
        let env = &mut self.env;
        let index = usize::try_from(env.rng.below(self.workers.len() as u64)).unwrap_or(0);
        let chance = env.rng.below(100);
        let only = env.scenario.troubles;
        let only =
            usize::try_from(chance).map_or(None, |chance| only.get(chance % only.len().max(1)));
        match only.copied().unwrap_or_else(|| Trouble::of(chance)) {
            Trouble::CutSession => {
                let links = env.network.live(false);
                if let Some(link) = env.rng.pick(&links).copied() {
                    env.cut(link);
                }
            }
            Trouble::CutOneWay => self.cut_one_way(index),
            Trouble::AnswerLate => self.answer_late(index),
            Trouble::HoldUpSession => {
                let links = env.network.live(false);
                if let Some(link) = env.rng.pick(&links).copied() {
                    env.fault(Fault::SessionHeldUp);
                    let longest = if env.rng.chance(300) { 90_000 } else { 8_000 };
                    let until = env.now + env.rng.millis(1_000, longest);
                    env.network.hold(link, until);
                    let worker =
                        self.workers[env.network.purpose(link).map_or(0, |of| of.worker)].id;
                    env.facts.push(Fact::HeldUp { worker, until });
                }
            }
            Trouble::Freeze => self.workers[index].freeze(env),
            Trouble::CutUpload => {
                let links = env.network.live(true);
                if let Some(link) = env.rng.pick(&links).copied() {
                    env.cut(link);
                }
            }
            Trouble::Stall => self.stall(index),
            Trouble::CrashMaster => self.master.crash(env),
            Trouble::CrashAgent => self.workers[index].crash_agent(env),
            Trouble::Reboot => self.workers[index].reboot(env),
            Trouble::ShutDown => self.workers[index].shut_down(env),
        }
        self.again(every, Event::FaultDue);
    }

    /// Everything is lost that is sent in one direction.
    fn cut_one_way(&mut self, worker: usize) {
        let env = &mut self.env;
        env.fault(Fault::OneWayCut);
        let until = env.now + env.rng.millis(500, 40_000);
        let to = if env.rng.chance(500) {
            Side::Worker
        } else {
            Side::Master
        };
        env.note("one way is cut", Some(worker), None);
        let from = env.now;
        env.network.lose(worker, to, Span { from, until });
        let worker = self.workers[worker].id;
        env.facts.push(Fact::HeldUp { worker, until });
    }

    /// The master hears one more heartbeat, and then nothing; its answer takes nearly as long as a lease.
    fn answer_late(&mut self, worker: usize) {
        let env = &mut self.env;
        let Timings {
            heartbeat, lease, ..
        } = env.scenario.timings;
        env.fault(Fault::OneWayStalled);
        env.fault(Fault::OneWayCut);
        env.note("answers are late", Some(worker), None);
        let answered = env.now + lease.saturating_sub(env.rng.millis(300, 1_000));
        let from = env.now + heartbeat + env.rng.millis(50, 300);
        let until = from + lease * 2;
        env.network.stall(worker, Side::Worker, answered);
        env.network.lose(worker, Side::Master, Span { from, until });
        let worker = self.workers[worker].id;
        env.facts.push(Fact::HeldUp { worker, until });
    }

    /// Nothing passes to or from a worker for a while: sometimes for longer than a lease, sometimes for longer than the
    /// master waits.
    fn stall(&mut self, worker: usize) {
        let env = &mut self.env;
        let length = match env.rng.below(10) {
            0..6 => env.rng.millis(100, 4_000),
            6..9 => env.rng.millis(4_000, 12_000),
            _ => env.rng.millis(15_000, 25_000),
        };
        let until = env.now + length;
        env.note("stall", Some(worker), None);
        let id = self.workers[worker].id;
        env.facts.push(Fact::HeldUp { worker: id, until });
        let direction = env.rng.below(4);
        if direction != 0 {
            env.network.stall(worker, Side::Worker, until);
        }
        if direction != 1 {
            env.network.stall(worker, Side::Master, until);
        }
        env.fault(match direction {
            0 | 1 => Fault::OneWayStalled,
            _ => Fault::NetworkStalled,
        });
    }

    /// After about this time.
    fn again(&mut self, every: Duration, event: Event) {
        let mean = u64::try_from(every.as_millis()).unwrap_or(1_000).max(1);
        let delay = self.env.rng.millis(0, mean * 2);
        self.env.after(delay, event);
    }

    /// Faults stop, what is down comes up by itself, and every worker and every queue may have jobs again.
    fn on_horizon(&mut self) {
        let env = &mut self.env;
        env.calm = true;
        env.network.heal();
        env.note("calm", None, None);
        for worker in &mut self.workers {
            worker.be_content(env);
        }
        // An older order that is repeated later would win over the resume.
        self.clients.withdraw_orders();
        env.after(SETTLING, Event::ResumeDue);
        env.after(SETTLING + LOOK_EVERY, Event::LookDue);
    }

    fn resume_all(&mut self) {
        self.clients.open_queues(&mut self.env);
        for index in 0..self.workers.len() {
            let command = What::SetWorker(format!("worker-{index}"), WorkerCommand::Resume);
            self.clients.ask(&mut self.env, command);
        }
    }

    fn look(&mut self) {
        let books = self.master.disk.books();
        self.is_over = self.leftovers().is_empty() && !books.jobs.values().any(|(_, live)| *live);
        self.env.after(LOOK_EVERY, Event::LookDue);
    }

    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        if !self.clients.are_content() {
            left.push("a client waits for its answer".to_owned());
        }
        let books = self.master.disk.books();
        for (index, worker) in self.workers.iter().enumerate() {
            let record = books.workers.get(&worker.id);
            // One that was removed and has not heard of it ends when it does.
            let removed = record.is_some_and(|record| record.admin == AdminState::Removed);
            left.extend(
                worker
                    .leftovers()
                    .into_iter()
                    .map(|what| format!("worker {index} (removed: {removed}): {what}")),
            );
        }
        left
    }

    /// Tells the invariants what has become true.
    fn watch(&mut self) -> Result<(), Violation> {
        if self.env.facts.is_empty() {
            return Ok(());
        }
        let facts = std::mem::take(&mut self.env.facts);
        self.master.disk.books_mut().now = self.env.now;
        let books = self.master.disk.books();
        for fact in &facts {
            count(&mut self.env.summary, fact);
            for invariant in &mut self.invariants {
                let name = invariant.name();
                invariant
                    .observe(fact, books)
                    .map_err(|problem| Violation {
                        invariant: name,
                        problem,
                    })?;
            }
        }
        Ok(())
    }

    fn come_to_rest(&mut self) -> Result<(), Violation> {
        let leftovers = self.leftovers();
        let rest = Rest {
            books: self.master.disk.books(),
            leftovers: &leftovers,
        };
        for invariant in &mut self.invariants {
            let name = invariant.name();
            invariant.at_rest(&rest).map_err(|problem| Violation {
                invariant: name,
                problem,
            })?;
        }
        Ok(())
    }
}

/// Counts the transitions that a durable record shows.
fn count(summary: &mut Summary, fact: &Fact) {
    let Fact::JobWritten { before, after } = fact else {
        return;
    };
    let from = before.as_ref().map(|before| before.state);
    if from != Some(after.state) {
        let from = from.map_or("nothing", JobState::as_str);
        summary.step("job record", from, after.state.as_str());
    }
    let known = before.as_ref().map_or(&[][..], |before| &before.attempts);
    for (index, attempt) in after.attempts.iter().enumerate() {
        let earlier = known.get(index).and_then(|attempt| attempt.outcome);
        if let (None, Some(outcome)) = (earlier, attempt.outcome) {
            let rule = outcome.rule();
            summary.step("attempt record", rule.kind, rule.reason);
        }
    }
    if let (Some(before), Some(outcome)) = (before, after.outcome)
        && before.outcome.is_none()
    {
        summary.step("job ends", "", outcome.rule().kind);
    }
}
