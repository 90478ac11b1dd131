//! A small world around the engine: machines that run attempts, lose their connection and start anew, and the part of
//! a shell that takes output. What really happened is known here, so that it can be held against the master's books.

mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{
    AdminState, AttemptId, Complaint, ComplaintKind, DeclineReason, Held, HeldState, InfraReason,
    JobId, JobState, MasterMessage, OnDisconnect, Outcome, SessionId, StopOptions, Verdict,
    WorkerCommand, WorkerId, WorkerMessage,
};
use jobyard_master::engine::{Answer, Effect, Input, ReplyTo, Timings};
use jobyard_master::records::JOB;

use crate::cluster::{Cluster, TIMINGS};
use crate::step::Step;
use crate::vocabulary::{boot, draft, hello, infra, job, lost_from, name, submission, worker};
use machine::{Machine, Mail};

pub(crate) const MACHINES: u8 = 3;
pub(crate) const JOBS: u128 = 6;
const SLOTS: u32 = 2;

/// Retries wait here, for less than a lease.
const WAITING: Timings = Timings {
    retry_first: Duration::from_secs(2),
    retry_most: Duration::from_secs(8),
    ..TIMINGS
};

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    Submit {
        job: u128,
    },
    Stop {
        job: u128,
        force: bool,
    },
    Connect(usize),
    Disconnect(usize),
    /// The machine reads what was sent to it.
    Read(usize),
    Start(usize),
    End {
        machine: usize,
        outcome: Outcome,
        bytes: u64,
    },
    Upload(usize),
    /// The master seals a log that was given up.
    Seal,
    Decline {
        machine: usize,
        reason: Option<DeclineReason>,
    },
    Accept {
        machine: usize,
        accepting: bool,
    },
    Complain {
        machine: usize,
        complaints: usize,
    },
    Reboot(usize),
    Command(usize, WorkerCommand),
    Pass {
        time: Duration,
        in_touch: bool,
    },
    Restart,
    /// The commit after the next input does not happen: the master dies.
    Crash,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    /// All that the master did.
    pub(crate) history: Vec<Step>,
    machines: Vec<Machine>,
    /// Who may upload what.
    gate: BTreeMap<AttemptId, WorkerId>,
    /// Logs that the master is about to seal.
    sealing: BTreeSet<AttemptId>,
    crash: bool,
    accepted: BTreeSet<JobId>,
    assigned: BTreeSet<AttemptId>,
    /// Attempts that really ran.
    ran: BTreeSet<AttemptId>,
    job_outcomes: BTreeMap<JobId, Outcome>,
    attempt_outcomes: BTreeMap<AttemptId, Outcome>,
    /// Drains that nobody has answered yet, and of which machine.
    drains: BTreeMap<ReplyTo, usize>,
    /// How much time has passed, whatever the clock of a master says.
    clock: Duration,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            cluster: Cluster::with_timings(WAITING).and_workers(MACHINES),
            history: Vec::new(),
            machines: (0..MACHINES).map(|_| Machine::default()).collect(),
            gate: BTreeMap::new(),
            sealing: BTreeSet::new(),
            crash: false,
            accepted: BTreeSet::new(),
            assigned: BTreeSet::new(),
            ran: BTreeSet::new(),
            job_outcomes: BTreeMap::new(),
            attempt_outcomes: BTreeMap::new(),
            drains: BTreeMap::new(),
            clock: Duration::ZERO,
        }
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Submit { job } => self.submit(job),
            Happening::Stop { job, force } => self.stop(job, force),
            Happening::Connect(at) => self.connect(at),
            Happening::Disconnect(at) => self.disconnect(at),
            Happening::Read(at) => self.read(at),
            Happening::Start(at) => self.start(at),
            Happening::End {
                machine,
                outcome,
                bytes,
            } => self.end(machine, outcome, bytes),
            Happening::Upload(at) => self.upload(at),
            Happening::Seal => self.seal(),
            Happening::Decline { machine, reason } => self.machines[machine].declines = reason,
            Happening::Accept { machine, accepting } => {
                self.say(machine, WorkerMessage::Accepting(accepting));
            }
            Happening::Complain {
                machine,
                complaints,
            } => {
                let complaint = Complaint::new(ComplaintKind::Load, "much to do");
                let complaints = vec![complaint; complaints];
                self.say(machine, WorkerMessage::Complaints(complaints));
            }
            Happening::Reboot(at) => {
                self.disconnect(at);
                self.machines[at].held.clear();
                self.machines[at].boots += 1;
            }
            Happening::Command(at, to) => self.command(at, to),
            Happening::Pass { time, in_touch } => self.pass(time, in_touch),
            Happening::Restart => self.restart(),
            Happening::Crash => self.crash = true,
        }
        self.check();
    }

    /// Everybody does what they can, for as long as it takes: in the end nothing may be left over.
    pub(crate) fn calm_down(&mut self) {
        self.crash = false;
        for at in 0..self.machines.len() {
            self.machines[at].declines = None;
            if !self.machines[at].removed {
                self.command(at, WorkerCommand::Resume);
                self.connect(at);
            }
        }
        for _ in 0..40 {
            if self.is_calm() {
                break;
            }
            for at in 0..self.machines.len() {
                self.read(at);
                for _ in 0..2 * SLOTS {
                    self.start(at);
                    self.end(at, Outcome::Succeeded, 300);
                }
                for attempt in self.ended(at) {
                    self.upload_of(at, attempt);
                }
                self.read(at);
            }
            while !self.sealing.is_empty() {
                self.seal();
            }
            self.pass(WAITING.retry_most / 2, true);
            self.check();
        }
        if self.machines.iter().all(|machine| machine.removed) {
            for job in 1..=JOBS {
                self.stop(job, false);
            }
        }
        self.check();
        for record in self.cluster.jobs() {
            assert_eq!(record.state, JobState::Finished, "{record:#?}");
            let kept = self.cluster.record(JOB, &record.id.to_string());
            assert!(!kept.fields.live, "held for ever: {record:#?}");
        }
        let left = |machine: &&Machine| !machine.removed && !machine.held.is_empty();
        assert!(
            !self.machines.iter().any(|machine| left(&machine)),
            "{self:#?}"
        );
        assert!(self.gate.is_empty(), "{:?}", self.gate);
        assert!(
            self.drains.is_empty(),
            "nobody has answered {:?}",
            self.drains
        );
    }

    fn is_calm(&self) -> bool {
        let jobs = self.cluster.records.values();
        let mut live = jobs.filter(|record| record.kind == JOB && record.fields.live);
        let quiet = |machine: &Machine| machine.mail.is_empty() && machine.held.is_empty();
        live.next().is_none() && self.sealing.is_empty() && self.machines.iter().all(quiet)
    }

    fn submit(&mut self, n: u128) {
        // Several kinds: those that may run twice and those that may not, one after the other or at once.
        let mut spec = draft("{}");
        spec.repeatable = n.is_multiple_of(2);
        spec.retries = u32::from(n.is_multiple_of(2)) * 2;
        if must_not_overlap(job(n)) {
            spec.on_disconnect = OnDisconnect::Stop;
        }
        let reply = self.cluster.reply_to();
        let mut submission = submission(n, spec);
        // As the shell does: the engine forgets finished jobs, the store does not.
        let stored = self.cluster.jobs().into_iter();
        submission.known = stored
            .filter(|record| record.id == job(n))
            .map(|record| record.digest)
            .next();
        let jobs = vec![submission];
        let by = "ann".to_owned();
        self.tell(Input::Submit { reply, by, jobs });
    }

    fn stop(&mut self, n: u128, force: bool) {
        let reply = self.cluster.reply_to();
        let (by, job) = ("ann".to_owned(), job(n));
        let options = StopOptions::new(None, force);
        self.tell(Input::Stop {
            reply,
            by,
            job,
            options,
        });
    }

    fn command(&mut self, at: usize, to: WorkerCommand) {
        let reply = self.cluster.reply_to();
        if matches!(to, WorkerCommand::Drain { .. }) {
            self.drains.insert(reply, at);
        } else {
            self.machines[at].drained_in = None;
        }
        self.tell(Input::SetWorker {
            reply,
            by: "olga".to_owned(),
            worker: name(number(at)),
            to,
        });
        self.machines[at].removed = !self.cluster.is_member(number(at));
    }

    fn connect(&mut self, at: usize) {
        if self.machines[at].removed {
            return;
        }
        let machine = &mut self.machines[at];
        (machine.session, machine.mail) = (None, Vec::new());
        let held = machine.held.iter();
        let inventory = held.map(|(attempt, state)| Held::new(*attempt, state.clone()));
        let mut hello = hello(SLOTS, inventory.collect());
        hello.boot = boot(1_000 * number(at) + machine.boots);
        let session = self.cluster.session();
        machine.session = Some(session);
        machine.hello_at = self.clock;
        self.tell(Input::SessionOpened {
            worker: worker(number(at)),
            session,
            address: String::new(),
            hello: Box::new(hello),
        });
        // A drain that was waited for in the older session is done since that is over.
        self.machines[at].drained_in = None;
    }

    fn disconnect(&mut self, at: usize) {
        self.machines[at].mail.clear();
        if let Some(session) = self.machines[at].session.take() {
            self.tell(Input::SessionEnded { session });
        }
    }

    fn seal(&mut self) {
        if let Some(attempt) = self.sealing.pop_first() {
            let status = lost_from(0);
            self.tell(Input::LogSettled { attempt, status });
        }
    }

    fn pass(&mut self, time: Duration, in_touch: bool) {
        let end = self.clock + time;
        let step = if in_touch { TIMINGS.lease / 2 } else { time };
        while self.clock < end {
            let fences = self.machines.iter().filter_map(Machine::fence);
            let next = fences.min().unwrap_or(end).min(end).min(self.clock + step);
            let step = self.cluster.pass(next.saturating_sub(self.clock));
            self.clock = next;
            self.absorb(step);
            self.fence();
            if in_touch {
                for at in 0..self.machines.len() {
                    self.say(at, WorkerMessage::Heartbeat);
                    let machine = &mut self.machines[at];
                    if machine.session.is_some() {
                        machine.lease_from = Some(self.clock);
                    }
                }
            }
        }
    }

    fn tell(&mut self, input: Input) {
        if std::mem::take(&mut self.crash) {
            self.everybody_is_cut_off();
            let step = self.cluster.tell_and_crash(input);
            self.absorb(step);
        } else {
            let step = self.cluster.tell(input);
            self.absorb(step);
        }
    }

    fn restart(&mut self) {
        self.everybody_is_cut_off();
        let step = self.cluster.restart();
        self.absorb(step);
    }

    fn everybody_is_cut_off(&mut self) {
        self.gate.clear();
        self.sealing.clear();
        self.drains.clear();
        for machine in &mut self.machines {
            machine.session = None;
            machine.mail.clear();
        }
    }

    /// What a shell would do.
    fn absorb(&mut self, step: Step) {
        for effect in &step.effects {
            match effect {
                Effect::Reply { to, answer } => self.hear(*to, answer),
                Effect::Send { session, message } => self.deliver(*session, message),
                Effect::Assign {
                    session, attempt, ..
                } => {
                    assert!(
                        self.assigned.insert(*attempt),
                        "{attempt} is assigned twice"
                    );
                    self.check_assignment(*session, *attempt);
                    self.post(*session, Mail::Assign(*attempt));
                }
                Effect::Close { session, .. } | Effect::Refuse { session, .. } => {
                    if let Some(at) = self.machine_of(*session) {
                        self.machines[at].session = None;
                        self.read(at);
                    }
                }
                Effect::Grant { attempt, worker } => drop(self.gate.insert(*attempt, *worker)),
                Effect::Revoke { attempt } => drop(self.gate.remove(attempt)),
                Effect::AbandonLog { attempt, .. } => {
                    assert!(self.sealing.insert(*attempt), "{attempt} is sealed twice");
                }
                Effect::Membership { .. } | Effect::Changed { .. } => {}
            }
        }
        self.history.push(step);
    }

    /// Nothing goes to who drains, and nothing that must not overlap while an earlier attempt of it may run.
    fn check_assignment(&self, session: SessionId, attempt: AttemptId) {
        if let Some(at) = self.machine_of(session) {
            let admin = self.cluster.worker(number(at)).admin;
            assert_eq!(admin, AdminState::Active, "{attempt} goes to {at}");
        }
        let runs = |machine: &Machine| {
            machine.held.iter().any(|(held, state)| {
                held.job == attempt.job && !matches!(state, HeldState::Finished(_))
            })
        };
        assert!(
            !must_not_overlap(attempt.job) || !self.machines.iter().any(runs),
            "{attempt} overlaps an earlier one: {self:#?}"
        );
    }

    fn hear(&mut self, to: ReplyTo, answer: &Answer) {
        if let Some(at) = self.drains.remove(&to)
            && matches!(answer, Answer::Worker(_))
        {
            self.machines[at].drained_in = self.machines[at].session;
        }
        if let Answer::Submitted(jobs) = answer {
            self.accepted.extend(jobs.iter().map(|job| job.id));
        }
    }

    fn deliver(&mut self, session: SessionId, message: &MasterMessage) {
        match message {
            MasterMessage::Welcome(welcome) => {
                let draining = welcome.draining;
                self.post(session, Mail::Welcome { draining });
                let Some(at) = self.machine_of(session) else {
                    return;
                };
                let held: Vec<AttemptId> = self.machines[at].held.keys().copied().collect();
                let judged: Vec<AttemptId> = welcome.verdicts.iter().map(|(id, _)| *id).collect();
                assert_eq!(held, judged, "a verdict for each");
                for (attempt, verdict) in &welcome.verdicts {
                    match verdict {
                        Verdict::Stop { cause, .. } => {
                            self.post(session, Mail::Stop(*attempt, *cause));
                        }
                        Verdict::Forget => self.post(session, Mail::Forget(*attempt)),
                        _ => {}
                    }
                }
            }
            MasterMessage::Stop { attempt, cause, .. } => {
                self.post(session, Mail::Stop(*attempt, *cause));
            }
            MasterMessage::Draining(draining) => self.post(session, Mail::Draining(*draining)),
            MasterMessage::Forget { attempt } => self.post(session, Mail::Forget(*attempt)),
            MasterMessage::Removed => self.post(session, Mail::Removed),
            _ => {}
        }
    }

    fn post(&mut self, session: SessionId, mail: Mail) {
        if let Some(at) = self.machine_of(session) {
            self.machines[at].mail.push(mail);
        }
    }

    fn machine_of(&self, session: SessionId) -> Option<usize> {
        let mut machines = self.machines.iter();
        machines.position(|machine| machine.session == Some(session))
    }

    /// What must always hold.
    fn check(&mut self) {
        let records = self.cluster.jobs();
        let known: BTreeSet<JobId> = records.iter().map(|record| record.id).collect();
        assert!(self.accepted.is_subset(&known), "a job is lost");
        for record in records {
            let demand = &record.demand;
            assert!(record.own_failures <= demand.retries, "{record:#?}");
            assert!(record.infra_failures <= demand.infra_retries, "{record:#?}");
            for pair in record.attempts.windows(2) {
                let why = pair[1].retry.expect("a reason");
                let follows = (why.after, Some(why.outcome));
                assert_eq!(follows, (pair[0].id.number, pair[0].outcome));
            }
            for (n, attempt) in (1..).zip(&record.attempts) {
                assert_eq!(attempt.id.number.get(), n, "{record:#?}");
                if let Some(outcome) = attempt.outcome {
                    let first = self.attempt_outcomes.entry(attempt.id).or_insert(outcome);
                    assert_eq!(*first, outcome, "an outcome has changed: {record:#?}");
                } else {
                    assert_eq!(n as usize, record.attempts.len(), "{record:#?}");
                    assert!(!record.state.is_finished(), "{record:#?}");
                }
            }
            assert_eq!(record.outcome.is_some(), record.state.is_finished());
            if let Some(outcome) = record.outcome {
                let first = self.job_outcomes.entry(record.id).or_insert(outcome);
                assert_eq!(*first, outcome, "an outcome has changed: {record:#?}");
                let forced = infra(InfraReason::Forced);
                let stopped = matches!(outcome, Outcome::Cancelled { .. }) || outcome == forced;
                assert!(record.stop_grace.is_none() || stopped, "{record:#?}");
            }
            let ran = self.ran.iter().filter(|attempt| attempt.job == record.id);
            assert!(
                record.demand.repeatable || ran.count() <= 1,
                "ran twice and may not: {record:#?}"
            );
        }
        for shown in self.cluster.engine.workers(false) {
            assert!(shown.used.slots <= SLOTS, "{shown:?}");
        }
    }
}

/// Which jobs ask not to outlive a lease.
fn must_not_overlap(job: JobId) -> bool {
    job.as_uuid().as_u128().is_multiple_of(3) || job.as_uuid().as_u128() == 2
}

fn number(at: usize) -> u128 {
    at as u128 + 1
}
