//! The simulated master: the real engine in a simulated shell, on a simulated disk.

mod disk;
mod effects;
mod unfit;
mod uploads;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{
    AttemptId, Batch, ClosingReason, Epoch, JobState, LinkError, LogStatus, MasterMessage, Refusal,
    RefusalReason, SessionId, Steady, TagSet, WorkerId, WorkerMessage,
};
use jobyard_master::engine::{Committed, Effect, Engine, HeldEffects, Input, ReplyTo, Sealed};
use jobyard_master::records::Counters;
use jobyard_master::{Placement, Policy};

use crate::agenda::{Event, MasterEvent};
use crate::env::{Env, MachineClock};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::network::{Frame, LinkId, Side, lost};
use crate::scenario::Sabotage;
pub(crate) use disk::{Books, Disk};
use uploads::Unsynced;
use watched::Watched;

/// How many inputs lie between two audits of the engine's tables.
const AUDIT_EVERY: u64 = 16;

/// One master: what survives its crashes, and, while it is up, its term.
#[derive(Debug)]
pub(crate) struct MasterNode {
    pub(crate) disk: Disk,
    logs: BTreeMap<AttemptId, LogStatus>,
    clock: MachineClock,
    epoch: Epoch,
    life: u64,
    inputs: u64,
    term: Option<Term>,
}

/// What a crash takes.
#[derive(Debug)]
struct Term {
    engine: Engine,
    batches: u64,
    commit: Option<Commit>,
    deadline: Option<Steady>,
    removed: BTreeSet<WorkerId>,
    grants: BTreeMap<AttemptId, WorkerId>,
    sessions: BTreeMap<SessionId, LinkId>,
    peers: BTreeMap<LinkId, (SessionId, WorkerId)>,
    replies: BTreeMap<ReplyTo, Waiter>,
    last_reply: u64,
    /// Sessions whose worker must not be welcomed, and why.
    unfit: BTreeMap<SessionId, &'static str>,
    /// Output that is written and not yet safe.
    unsynced: BTreeMap<AttemptId, Unsynced>,
}

/// Who waits for an answer of the engine.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    /// A client, with this request.
    Client(u64),
    /// A client that drains the worker of this name.
    Drain(u64, String),
    /// The shell itself.
    Shell,
}

/// A batch on its way to the disk, and what waits for it.
#[derive(Debug)]
struct Commit {
    batch: Batch,
    held: Option<HeldEffects>,
}

impl Term {
    /// Nobody waits for the workers any more.
    fn sessions_end(&self, env: &mut Env) {
        for (_, worker) in self.peers.values() {
            let (worker, by_master) = (*worker, true);
            env.facts.push(Fact::SessionOver { worker, by_master });
        }
    }
}

impl MasterNode {
    pub(crate) fn new(env: &mut Env) -> Self {
        Self {
            disk: Disk::default(),
            logs: BTreeMap::new(),
            clock: MachineClock::new(env),
            epoch: Epoch::ZERO,
            life: 0,
            inputs: 0,
            term: None,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.term.is_some()
    }

    pub(crate) const fn life(&self) -> u64 {
        self.life
    }

    /// Leads, and loads the engine from what is durable.
    pub(crate) fn start(&mut self, env: &mut Env) {
        self.epoch = self.epoch.next();
        self.life += 1;
        self.be_sabotaged(env);
        let counters = Counters {
            epoch: self.epoch,
            job_sequence: self.disk.highest(jobyard_master::records::JOB),
            audit_seq: self.disk.highest(jobyard_master::records::AUDIT),
            event_seq: self.disk.highest(jobyard_master::records::EVENT),
        };
        let policy = random_policy(env);
        let mut restore = Engine::restore(env.scenario.timings, policy, counters);
        for record in self.disk.live() {
            restore
                .add(record)
                .expect("records are as the engine wrote them");
        }
        let now = self.clock.read(env.now);
        self.note_moment(now);
        self.term = Some(Term {
            engine: restore.finish(now),
            batches: 0,
            commit: None,
            deadline: None,
            removed: BTreeSet::new(),
            grants: BTreeMap::new(),
            sessions: BTreeMap::new(),
            peers: BTreeMap::new(),
            replies: BTreeMap::new(),
            last_reply: 0,
            unfit: BTreeMap::new(),
            unsynced: BTreeMap::new(),
        });
        env.note("master leads", None, None);
        env.facts.push(Fact::TermBegan);
        self.pump(env);
    }

    /// Deliberate bugs of the store.
    fn be_sabotaged(&mut self, env: &Env) {
        if env.is_sabotaged(Sabotage::ReviveFinished) {
            self.disk.revive_finished();
        }
        if env.is_sabotaged(Sabotage::ForgetQueues) {
            self.disk.forget_queues();
        }
        if env.is_sabotaged(Sabotage::ForgetGroups) {
            self.disk.forget_groups();
        }
    }

    /// The program dies: its memory is gone, and a commit that was under way is durable or not.
    pub(crate) fn crash(&mut self, env: &mut Env) {
        let Some(term) = self.term.take() else {
            return;
        };
        self.life += 1;
        env.note("master dies", None, None);
        term.sessions_end(env);
        match term.commit {
            None => env.fault(Fault::MasterCrashIdle),
            Some(commit) if env.rng.chance(500) => {
                env.fault(Fault::MasterCrashCommitApplied);
                self.disk.apply(commit.batch, &mut env.facts);
            }
            Some(_) => env.fault(Fault::MasterCrashCommitLost),
        }
        if !term.unsynced.is_empty() {
            env.fault(Fault::LogTorn);
        }
        if env.rng.chance(300) {
            env.fault(Fault::MasterMachineRestarted);
            self.clock = MachineClock::new(env);
        }
        for link in env.network.ends(Side::Master, None) {
            // The kernel of a machine that goes on says so; one that has lost its power does not.
            if env.rng.chance(700) {
                env.close(link, Side::Master, lost());
            } else {
                env.shut(link, Side::Master);
            }
        }
        let down = env.rng.millis(50, 6_000);
        let life = self.life;
        env.after(down, Event::MasterUp { life });
    }

    /// In a life of the master; see [`Event::Master`].
    pub(crate) fn on_event(&mut self, env: &mut Env, event: MasterEvent) {
        match event {
            MasterEvent::Deadline(at) => {
                let due = self
                    .term
                    .as_mut()
                    .is_some_and(|term| term.deadline.take_if(|set| *set == at).is_some());
                if due {
                    self.tell(env, Input::DeadlineReached);
                }
            }
            MasterEvent::CommitDone => self.on_commit_done(env),
            MasterEvent::Dies => self.crash(env),
            MasterEvent::Tell(input) => self.tell(env, *input),
            MasterEvent::Seal { attempt, end } => self.seal_abandoned(env, attempt, end),
            MasterEvent::AssignAgain {
                session,
                assignment,
            } => self.assign_again(env, session, *assignment),
        }
    }

    /// A frame of a connection whose master's side is open.
    pub(crate) fn on_frame(&mut self, env: &mut Env, link: LinkId, from: WorkerId, frame: Frame) {
        let Some(term) = &mut self.term else {
            // Nobody listens at that port.
            return env.close(link, Side::Master, lost());
        };
        // One that is only unknown is no such worker: the engine refuses its session, and it keeps what it has.
        // A connection may have been made just before, so that the engine has to look as well.
        let was_before = matches!(frame, Frame::Hello(_)) && env.rng.chance(300);
        let is_refused = term.removed.contains(&from) && !was_before;
        if is_refused && !matches!(frame, Frame::Closed(_)) {
            let refusal = Refusal::new(RefusalReason::Removed, "it was removed");
            env.close(link, Side::Master, LinkError::Refused(refusal));
            return self.on_link_over(env, link);
        }
        if let Frame::Hello(hello) = &frame {
            self.meet_stranger(env, hello);
        }
        let Some(term) = &mut self.term else { return };
        match frame {
            Frame::Hello(hello) => {
                // The transport ends an older session of the worker, if it has noticed that there is one.
                let older: Vec<_> = term
                    .peers
                    .iter()
                    .filter(|(_, (_, worker))| *worker == from)
                    .map(|(link, _)| *link)
                    .collect();
                for old in older {
                    if env.rng.chance(500) {
                        self.hear_late(env, old);
                        env.close(old, Side::Master, LinkError::Closed);
                        self.on_link_over(env, old);
                    }
                }
                let session = SessionId::from_uuid(env.rng.uuid());
                let Some(term) = &mut self.term else { return };
                term.sessions.insert(session, link);
                term.peers.insert(link, (session, from));
                env.send(link, Side::Worker, Frame::Accepted);
                let fact = Fact::SessionOpened {
                    worker: from,
                    at: self.clock.read(env.now).wall,
                    accepting: hello.accepting,
                };
                let mut hello = hello;
                self.spoil(env, session, from, &mut hello);
                if env.is_sabotaged(Sabotage::OverstateSlots) {
                    hello.capacity.slots *= 2;
                }
                hello.accepting |= env.is_sabotaged(Sabotage::HideComplaints);
                if env.is_sabotaged(Sabotage::HideExclusive) {
                    hello.exclusive = TagSet::new();
                }
                let opened = Input::SessionOpened {
                    worker: from,
                    session,
                    address: "simulated".to_owned(),
                    hello,
                };
                self.tell(env, opened);
                if self.listens_to(session) {
                    env.facts.push(fact);
                }
            }
            Frame::Said(message) => {
                if let Some((session, _)) = term.peers.get(&link).copied() {
                    let worker = from;
                    let by_master = true;
                    env.facts.push(Fact::Heard { worker, by_master });
                    let counts = self.listens_to(session);
                    let messages = self.heard(env, from, message, counts);
                    self.tell(env, Input::Said { session, messages });
                }
            }
            Frame::Closed(_) => self.on_link_over(env, link),
            frame => self.on_upload_frame(env, link, from, &frame),
        }
    }

    /// Whether what comes on this session counts: the engine has taken it, and has not replaced it since.
    fn listens_to(&self, session: SessionId) -> bool {
        let term = self.term.as_ref();
        term.is_some_and(|term| term.engine.has_session(session))
    }

    /// What the engine is told of a worker's message.
    fn heard(
        &self,
        env: &mut Env,
        from: WorkerId,
        message: WorkerMessage,
        counts: bool,
    ) -> Vec<WorkerMessage> {
        let (worker, at) = (from, self.clock.read(env.now).wall);
        let fact = match &message {
            WorkerMessage::Accepting(accepting) => Fact::AcceptingHeard {
                worker,
                at,
                accepting: *accepting,
            },
            WorkerMessage::Complaints(complaints) => Fact::ComplaintsHeard {
                worker,
                at,
                complains: !complaints.is_empty(),
            },
            _ => return vec![message],
        };
        if counts {
            env.facts.push(fact);
        }
        if env.is_sabotaged(Sabotage::HideComplaints) {
            return Vec::new();
        }
        vec![message]
    }

    /// A connection is over as far as the master can tell.
    pub(crate) fn on_link_over(&mut self, env: &mut Env, link: LinkId) {
        let Some(term) = &mut self.term else { return };
        if let Some((session, worker)) = term.peers.remove(&link) {
            term.sessions.remove(&session);
            let by_master = true;
            env.facts.push(Fact::SessionOver { worker, by_master });
            self.tell(env, Input::SessionEnded { session });
        }
    }

    /// Waits for an answer on behalf of a client.
    pub(crate) fn expect_reply(&mut self, waiter: Waiter) -> Option<ReplyTo> {
        let term = self.term.as_mut()?;
        term.last_reply += 1;
        let reply = ReplyTo(term.last_reply);
        term.replies.insert(reply, waiter);
        Some(reply)
    }

    /// Removes some of the finished jobs that are kept longest, as retention does.
    pub(crate) fn prune(&mut self, env: &mut Env) {
        let mut jobs = self.disk.settled();
        jobs.truncate(jobs.len() / 2);
        if jobs.is_empty() {
            return;
        }
        if let Some(reply) = self.expect_reply(Waiter::Shell) {
            env.fault(Fault::JobsPruned);
            self.tell(env, Input::Forget { reply, jobs });
        }
    }

    /// Somebody sets the wall clock.
    pub(crate) const fn set_wall_clock(&mut self, back: bool) {
        self.clock.jump(back);
    }

    fn note_moment(&mut self, now: jobyard_core::Now) {
        let inputs = self.inputs;
        let moments = &mut self.disk.books_mut().moments;
        moments.entry(now.wall).or_insert(inputs);
    }

    /// What was under way on a session's connection that the master closes may be in its queues already.
    pub(super) fn hear_late(&self, env: &mut Env, link: LinkId) {
        let term = self.term.as_ref();
        let Some((session, _)) = term.and_then(|term| term.peers.get(&link)).copied() else {
            return;
        };
        let messages = env.network.take_said(link);
        if messages.is_empty() || !env.mishap(700, Fault::OldSessionHeard) {
            return;
        }
        let longest = if env.rng.chance(200) { 60_000 } else { 500 };
        let delay = env.rng.millis(0, longest);
        let event = MasterEvent::Tell(Box::new(Input::Said { session, messages }));
        let life = self.life;
        env.after(delay, Event::Master { life, event });
    }

    /// Tells the engine, and does what follows.
    fn tell(&mut self, env: &mut Env, input: Input) {
        let now = self.clock.read(env.now);
        self.note_moment(now);
        let Some(term) = &mut self.term else { return };
        let seen = Watched::before(&term.engine, &input);
        term.engine.handle(now, input);
        seen.after(&term.engine, &mut env.summary);
        self.inputs += 1;
        if self.inputs.is_multiple_of(AUDIT_EVERY) {
            let result = term.engine.audit_tables(now);
            env.facts.push(Fact::TablesAudited(result));
            if let Some(job) = self.disk.some_waiting(env.rng.next()) {
                let explained = term.engine.explain(now, job);
                let waits = explained.filter(|why| why.state == JobState::Queued);
                let reasons = waits.map(|why| why.reasons.len());
                env.facts.push(Fact::WaitExplained { job, reasons });
            }
        }
        self.pump(env);
    }

    /// One commit is under way at a time; what comes together meanwhile waits for it.
    fn pump(&mut self, env: &mut Env) {
        loop {
            let Some(term) = &mut self.term else { return };
            if term.commit.is_some() || term.engine.is_quiet() {
                break;
            }
            match term.engine.take_outbox().seal(term.batches + 1) {
                Sealed::Free(effects) => self.carry_out(env, effects),
                Sealed::AfterCommit(batch, held) => self.begin_commit(env, batch, held),
            }
        }
        self.set_deadline(env);
    }

    fn begin_commit(&mut self, env: &mut Env, batch: Batch, held: HeldEffects) {
        let delay = if env.mishap(20, Fault::CommitSlow) {
            env.rng.millis(100, 1_500)
        } else {
            env.rng.millis(0, 8)
        };
        let Some(term) = &mut self.term else { return };
        term.batches += 1;
        let mut early = Vec::new();
        let held = if env.is_sabotaged(Sabotage::SpeakBeforeCommit) {
            early = held.release(&Committed::batch(term.batches));
            None
        } else {
            Some(held)
        };
        term.commit = Some(Commit { batch, held });
        let event = MasterEvent::CommitDone;
        let life = self.life;
        env.after(delay, Event::Master { life, event });
        // Crashes at any time seldom meet the moments that matter.
        if env.rng.chance(2) && !env.calm {
            let event = MasterEvent::Dies;
            env.after(delay / 2, Event::Master { life, event });
        }
        self.carry_out(env, early);
    }

    fn on_commit_done(&mut self, env: &mut Env) {
        let Some(term) = &mut self.term else { return };
        let Some(Commit { batch, held }) = term.commit.take() else {
            return;
        };
        if env.mishap(2, Fault::CommitFailed) {
            // The store does not know whether the batch is in it.
            if env.rng.chance(500) {
                self.disk.apply(batch, &mut env.facts);
            }
            return self.end_term(env);
        }
        let number = batch.number;
        self.disk.apply(batch, &mut env.facts);
        if let Some(held) = held {
            let effects = held.release(&Committed::batch(number));
            self.carry_out(env, effects);
        }
        self.pump(env);
    }

    /// A failed commit ends the term: the program goes on, and leads anew after a pause.
    fn end_term(&mut self, env: &mut Env) {
        let Some(term) = self.term.take() else { return };
        self.life += 1;
        env.note("term ends", None, None);
        term.sessions_end(env);
        for waiter in term.replies.into_values() {
            let (Waiter::Client(ask) | Waiter::Drain(ask, _)) = waiter else {
                continue;
            };
            env.after(Duration::ZERO, Event::AnswerArrives { ask, answer: None });
        }
        for link in term.peers.into_keys() {
            let closing = MasterMessage::Closing(ClosingReason::Restarting);
            env.send(link, Side::Worker, Frame::Told(Box::new(closing)));
        }
        for link in env.network.ends(Side::Master, None) {
            env.close(link, Side::Master, LinkError::Closed);
        }
        let life = self.life;
        env.after(Duration::from_secs(1), Event::MasterUp { life });
    }

    fn set_deadline(&mut self, env: &mut Env) {
        let Some(term) = &mut self.term else { return };
        let wanted = term
            .engine
            .next_deadline()
            .map(|at| self.clock.true_time(at).max(env.now));
        if wanted != term.deadline {
            term.deadline = wanted;
            if let Some(at) = wanted {
                let event = MasterEvent::Deadline(at);
                let life = self.life;
                env.agenda.set(at, Event::Master { life, event });
            }
        }
    }

    fn carry_out(&mut self, env: &mut Env, effects: Vec<Effect>) {
        for effect in effects {
            self.carry_out_one(env, effect);
        }
    }
}

/// What an operator might have chosen for this term. Sooner than in earnest, so that a minute sees all of it.
fn random_policy(env: &mut Env) -> Policy {
    let mut policy = Policy::default();
    if env.rng.chance(500) {
        policy.placement = Placement::Pack;
    }
    policy.reserve_after = Some(Duration::from_secs(3));
    policy.max_reservations = 2;
    policy.ageing = Some(Duration::from_secs(5));
    policy.give_up_after = Some(Duration::from_secs(10));
    policy.hash_seed = env.rng.next();
    policy
}
