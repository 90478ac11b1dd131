//! Those who ask: clients that submit jobs, and operators. They repeat what was not answered, with the same ids.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    ExecutorSpec, Group, JobId, JobOrigin, JobSpec, OnDisconnect, Preference, QueueChange,
    RequestId, Requirement, Resources, StopOptions, ValidSpec, WorkerCommand,
};
use jobyard_master::engine::{Answer, Input, Submission};
use jobyard_master::records::{Demand, SpecDigest};

use crate::agenda::{Event, MasterEvent};
use crate::env::Env;
use crate::fact::Fact;
use crate::fault::Fault;
use crate::master::{MasterNode, Waiter};
use crate::rng::Rng;
use crate::scenario::Sabotage;

/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The executor that simulated jobs name and simulated workers have.
pub(crate) const EXECUTOR: &str = "sim";

/// A resource of which few workers have one.
pub(crate) const GPU: &str = "gpu";

/// The tag that one worker keeps for jobs that name it.
pub(crate) const RESERVED: &str = "reserved";

/// The queues that simulated jobs wait in.
const QUEUES: [&str; 3] = ["default", "nightly", "team"];

/// Everybody who asks.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    asks: BTreeMap<u64, Ask>,
    last: u64,
    /// Jobs that somebody was told are accepted.
    known: Vec<JobId>,
}

#[derive(Clone, Debug)]
struct Ask {
    what: What,
    tries: u32,
    /// The same in each repeat.
    request: RequestId,
    is_answered: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Submit(Vec<(JobId, ValidSpec)>),
    /// Another job under a known id.
    Impostor(JobId, Box<ValidSpec>),
    Stop(JobId, StopOptions),
    SetWorker(String, WorkerCommand),
    SetQueue(String, QueueChange),
}

impl Clients {
    /// Whether nobody waits for an answer.
    pub(crate) fn are_content(&self) -> bool {
        self.asks.values().all(|ask| ask.is_answered)
    }

    pub(crate) fn ask(&mut self, env: &mut Env, what: What) {
        self.last += 1;
        let request = RequestId::from_uuid(env.rng.uuid());
        let ask = Ask {
            what,
            tries: 0,
            request,
            is_answered: false,
        };
        self.asks.insert(self.last, ask);
        self.on_sent(env, self.last);
    }

    /// Operators give up what they wanted of workers and queues and were not answered.
    pub(crate) fn withdraw_orders(&mut self) {
        let is_order = |what: &What| matches!(what, What::SetWorker(..) | What::SetQueue(..));
        self.asks.retain(|_, ask| !is_order(&ask.what));
    }

    /// Somebody changes how many jobs of a queue run at once, its weight, or its class.
    pub(crate) fn set_some_queue(&mut self, env: &mut Env) {
        let queue = env.rng.pick(&QUEUES).copied().unwrap_or(QUEUES[0]);
        let mut change = QueueChange::default();
        match env.rng.below(10) {
            0 => {
                env.fault(Fault::QueuePaused);
                change.max_running = Some(Some(0));
            }
            1..6 => change.max_running = Some(Some(1 + env.rng.below(4))),
            6..8 => change.max_running = Some(None),
            8 => change.class = Some(i32::from(env.rng.chance(500))),
            _ => change.weight = Some(if env.rng.chance(500) { 1 } else { 7 }),
        }
        self.ask(env, What::SetQueue(queue.to_owned(), change));
    }

    /// No queue is paused any more. Some stay capped.
    pub(crate) fn open_queues(&mut self, env: &mut Env) {
        for queue in QUEUES {
            let mut change = QueueChange::default();
            change.max_running = Some(env.rng.chance(500).then_some(4));
            self.ask(env, What::SetQueue(queue.to_owned(), change));
        }
    }

    /// Somebody submits a few jobs of different kinds.
    pub(crate) fn submit(&mut self, env: &mut Env) {
        let jobs = (0..=env.rng.below(4))
            .map(|_| (JobId::from_uuid(env.rng.uuid()), some_spec(env)))
            .collect();
        self.ask(env, What::Submit(jobs));
        if env.scenario.intruders
            && let Some(job) = env.rng.pick(&self.known).copied()
        {
            let spec = Box::new(some_spec(env));
            self.ask(env, What::Impostor(job, spec));
        }
    }

    /// Somebody stops a job, most often one of the newest.
    pub(crate) fn stop_some_job(&mut self, env: &mut Env) {
        let recent = self.known.len().saturating_sub(8);
        let candidates = self.known.get(recent..).unwrap_or_default();
        let Some(job) = env.rng.pick(candidates).copied() else {
            return;
        };
        let force = env.rng.chance(env.scenario.force_per_mille);
        env.fault(if force {
            Fault::JobForced
        } else {
            Fault::JobStopped
        });
        let grace = env.rng.chance(300).then(|| env.rng.millis(0, 1_000));
        self.ask(env, What::Stop(job, StopOptions::new(grace, force)));
    }

    /// Sends a request, and makes sure that it is sent again if nobody answers.
    pub(crate) fn on_sent(&mut self, env: &mut Env, ask: u64) {
        let Some(found) = self.asks.get_mut(&ask) else {
            return;
        };
        if found.is_answered {
            return;
        }
        found.tries += 1;
        let repeats = matches!(found.what, What::Submit(_) | What::Stop(..));
        if repeats && env.mishap(20, Fault::RequestDuplicated) {
            let delay = env.rng.millis(0, 60_000);
            env.after(delay, Event::AskArrives { ask });
        }
        let found = &*found;
        if found.tries > 1 {
            env.fault(Fault::RequestRepeated);
        }
        env.after(PATIENCE, Event::AskSent { ask });
        if !env.mishap(20, Fault::RequestLost) {
            let delay = env.rng.millis(0, 3);
            env.after(delay, Event::AskArrives { ask });
        }
    }

    /// The master's shell prepares a request for the engine, which hears of it a little later.
    pub(crate) fn on_arrived(&self, env: &mut Env, master: &mut MasterNode, ask: u64) {
        let (Some(found), true) = (self.asks.get(&ask), master.is_up()) else {
            return;
        };
        let what = found.what.clone();
        let request = found.request;
        let waiter = match &what {
            What::SetWorker(worker, WorkerCommand::Drain { .. }) => {
                Waiter::Drain(ask, worker.clone())
            }
            _ => Waiter::Client(ask),
        };
        let Some(reply) = master.expect_reply(waiter) else {
            return;
        };
        let tombs = !env.is_sabotaged(Sabotage::IgnoreTombstones);
        let by = format!("client {ask}");
        let input = match what {
            What::Submit(asked) => {
                let jobs = asked
                    .iter()
                    .map(|(id, spec)| submission(master, *id, spec, tombs))
                    .collect();
                let pruned = |(job, _): &(JobId, _)| master.disk.books().tombs.contains_key(job);
                if asked.iter().any(pruned) {
                    env.fault(Fault::RequestForPruned);
                }
                Input::Submit { reply, by, jobs }
            }
            What::Impostor(job, spec) => {
                let jobs = vec![submission(master, job, &spec, tombs)];
                Input::Submit { reply, by, jobs }
            }
            What::Stop(job, options) => Input::Stop {
                reply,
                by,
                job,
                options,
            },
            What::SetWorker(worker, to) => Input::SetWorker {
                reply,
                by,
                worker,
                to,
            },
            What::SetQueue(queue, change) => Input::SetQueue {
                reply,
                by,
                queue,
                change,
            },
        };
        let delay = env.rng.millis(0, 2);
        let life = master.life();
        let call = Box::new(input);
        let event = MasterEvent::Tell(Box::new(Input::Once { request, call }));
        env.after(delay, Event::Master { life, event });
    }

    /// An answer. Without one, the client waits as if nothing had come.
    pub(crate) fn on_answer(&mut self, env: &mut Env, ask: u64, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        let Some(asked) = self.asks.get_mut(&ask).filter(|ask| !ask.is_answered) else {
            return;
        };
        asked.is_answered = true;
        let what = asked.what.clone();
        match (what, answer) {
            (What::Submit(asked), Answer::Submitted(answers)) => {
                let jobs: Vec<JobId> = answers.iter().map(|answer| answer.id).collect();
                assert_eq!(asked.len(), jobs.len(), "each job of a submit is answered");
                if answers.iter().any(|answer| !answer.created) {
                    env.summary.transition("submit recognised");
                }
                self.known.extend(&jobs);
                env.facts.push(Fact::SubmitAcknowledged { jobs });
            }
            (What::Impostor(job, _), Answer::Submitted(_)) => {
                env.facts.push(Fact::ImpostorAccepted { job });
            }
            (What::Stop(job, _), Answer::Stopping(state)) => {
                env.summary.transition(match state {
                    jobyard_core::JobState::Finished => "stop answered finished",
                    _ => "stop answered stopping",
                });
                if state != jobyard_core::JobState::Finished {
                    let wins = state == jobyard_core::JobState::Stopping;
                    env.facts.push(Fact::StopAcknowledged { job, wins });
                }
            }
            // The job was over and gone from the engine; the worker was removed before, somebody has told it to do something
            // else meanwhile, or too many wait for it.
            (What::Impostor(..) | What::Stop(..) | What::SetWorker(..), _)
            | (What::SetQueue(..), Answer::Queue(_)) => {}
            (What::Submit(_) | What::SetQueue(..), answer) => panic!("refused: {answer:?}"),
        }
    }
}

/// As the master's shell makes it: a look into the store, and a digest.
fn submission(master: &MasterNode, id: JobId, spec: &ValidSpec, tombs: bool) -> Submission {
    let json = serde_json::to_vec(spec).expect("a spec is texts, numbers, lists and maps");
    Submission {
        id,
        demand: Demand::of(spec),
        name: None,
        labels: BTreeMap::new(),
        origin: JobOrigin::Manual,
        digest: SpecDigest(format!("{:016x}", digest(&json))),
        spec_json: Bytes::from(json),
        known: master.disk.digest(id, tombs),
    }
}

/// FNV-1a: there are no attackers here.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A job of some kind.
pub(crate) fn some_spec(env: &mut Env) -> ValidSpec {
    let leased_per_mille = env.scenario.leased_per_mille;
    let rng = &mut env.rng;
    let mut spec = JobSpec::new(ExecutorSpec::new(EXECUTOR, "{}"));
    spec.resources = Resources::of_slots(1 + u32::from(rng.chance(250)));
    spec.repeatable = rng.chance(600);
    spec.infra_retries = if rng.chance(200) { 0 } else { 5 };
    if rng.chance(250) {
        spec.retries = 1 + u32::from(rng.chance(500));
    }
    if rng.chance(300) {
        spec.retry_on.extend([1, 124]);
    }
    if rng.chance(leased_per_mille) {
        spec.on_disconnect = OnDisconnect::Stop;
    }
    spec.timeout = rng.chance(250).then(|| rng.millis(500, 3_000));
    spec.grace = rng.millis(100, 2_000);
    if rng.chance(300) {
        let zone = if rng.chance(500) { "zone=a" } else { "zone=b" };
        spec.requirements.extend(zone.parse::<Requirement>());
    }
    ask_for_more(rng, &mut spec);
    spec.validate().expect("within every limit")
}

/// Everything else that decides when a job goes and where.
fn ask_for_more(rng: &mut Rng, spec: &mut JobSpec) {
    let queue = rng.pick(&QUEUES).copied().unwrap_or(QUEUES[0]);
    queue.clone_into(&mut spec.queue);
    if rng.chance(150) {
        spec.resources = spec.resources.clone().with(GPU, 1);
    }
    if rng.chance(300) {
        spec.resources.cpu_millis = 500 + rng.below(1_000);
    }
    if rng.chance(150) {
        spec.requirements.extend(RESERVED.parse::<Requirement>());
    }
    if rng.chance(300) {
        spec.priority = if rng.chance(500) { 5 } else { -5 };
    }
    if rng.chance(120) {
        // Each job says for itself how many of its group may run.
        let limit = if rng.chance(700) { 1 } else { 2 };
        spec.group = Some(Group::new("deploy", limit));
    }
    if rng.chance(200) {
        let tag = "zone=b".parse::<Requirement>();
        spec.prefer.extend(tag.map(|tag| Preference::new(tag, 10)));
    }
    if rng.chance(150) {
        spec.queue_timeout = Some(rng.millis(500, 20_000));
    }
    if rng.chance(20) {
        spec.requirements.extend("nowhere".parse::<Requirement>());
    }
}
