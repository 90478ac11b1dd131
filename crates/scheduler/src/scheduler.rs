//! The scheduler itself: events in, decisions out.

use std::collections::BTreeSet;
use std::fmt;

use jobyard_core::{Explanation, JobId, Now, QueueSettings, Steady, WorkerId};

use crate::fleet::Fleet;
use crate::groups::Groups;
use crate::hopeless::Hopeless;
use crate::jobs::{Jobs, Place};
use crate::lines::Lines;
use crate::needs::Needs;
use crate::queues::Queues;
use crate::settle::Dirty;
use crate::shapes::Shapes;
use crate::{Decision, Event, Policy, WorkerUse};

/// Decides who runs where. A value without clock, randomness and IO; see the [crate] for the theory, and
/// [the policy in full](crate::policy_in_full).
///
/// # How it is driven
///
/// * [`handle`](Self::handle) takes what happened and appends what was decided. After each call no job is left that
///   could start.
/// * [`next_deadline`](Self::next_deadline) says when time alone would change something.
/// * [`explain`](Self::explain) says why a job waits.
/// * [`queued`](Self::queued), [`placed`](Self::placed), [`queue`](Self::queue), [`worker`](Self::worker),
///   [`reserved_for`](Self::reserved_for) and the iterators show what it holds.
///
/// All state can be rebuilt from events: after a restart, tell it the settings of queues ([`Event::QueueSet`]), the
/// workers ([`Event::WorkerJoined`]), the jobs that run ([`Event::JobPlaced`]) and the jobs that wait
/// ([`Event::JobQueued`]), then that workers are [available](Event::WorkerAvailability) as they connect, and at last
/// [`Event::FleetKnown`]. What queues were charged before is not rebuilt: they begin as equals.
pub struct Scheduler {
    pub(crate) policy: Policy,
    /// The latest time that was told.
    pub(crate) now: Steady,
    pub(crate) jobs: Jobs,
    pub(crate) lines: Lines,
    pub(crate) shapes: Shapes,
    pub(crate) needs: Needs,
    pub(crate) queues: Queues,
    pub(crate) groups: Groups,
    pub(crate) fleet: Fleet,
    pub(crate) hopeless: Hopeless,
    pub(crate) dirty: Dirty,
    /// On how many workers room is kept.
    pub(crate) kept: usize,
    /// Lines whose jobs use what workers hold, if that matters.
    pub(crate) warm_lines: BTreeSet<u32>,
    pub(crate) fleet_known: bool,
    pub(crate) fleet_may_grow: bool,
}

/// What is in one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// Jobs without a worker.
    pub queued: usize,
    /// Jobs that have a worker.
    pub placed: usize,
    /// Its settings.
    pub settings: QueueSettings,
    /// What it has been charged above the level of its class, in milliseconds of the whole fleet at weight 1.
    pub ahead_ms: u64,
}

impl Scheduler {
    /// Without jobs and workers, with the default policy, and with a fleet that is not known yet.
    pub fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    /// The same with this policy.
    pub fn with_policy(policy: Policy) -> Self {
        let seed = policy.hash_seed;
        Self {
            now: Steady::default(),
            jobs: Jobs::new(seed),
            lines: Lines::new(seed),
            shapes: Shapes::new(seed),
            needs: Needs::default(),
            queues: Queues::new(seed, policy.ageing),
            groups: Groups::default(),
            fleet: Fleet::default(),
            hopeless: Hopeless::default(),
            dirty: Dirty::default(),
            kept: 0,
            warm_lines: BTreeSet::new(),
            fleet_known: false,
            fleet_may_grow: false,
            policy,
        }
    }

    /// Takes in what happened and appends the decisions that follow, in the order in which they were made. What an
    /// assignment takes is taken at once. Never fails: an event that does not fit changes nothing.
    ///
    /// `now` should not go back; an earlier one counts as the latest that was told.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Decision>) {
        self.now = self.now.max(now.steady);
        self.queues.rise(self.now);
        self.yield_lines();
        self.take_in(event);
        self.settle(out);
        self.give_up(out);
        self.queues.forget_idle();
    }

    /// When time alone would change something: call [`handle`](Self::handle) with [`Event::TimePassed`] then. Nothing is
    /// decided before that unless something happens.
    pub fn next_deadline(&self) -> Option<Steady> {
        let yields = self.lines.yielding.first().map(|(due, _)| *due);
        [yields, self.hopeless.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Why this job waits. `None` if it does not: it is placed or unknown.
    ///
    /// Looks at each worker a few times, and at each job that stands before it in its queue.
    pub fn explain(&self, job: JobId) -> Option<Explanation> {
        let at = self.jobs.find(job)?;
        match self.jobs.job(at).place {
            Place::Waiting(_) => Some(self.why(at)),
            Place::Placed(_) => None,
        }
    }

    /// By which it decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many jobs wait.
    pub fn queued(&self) -> usize {
        self.jobs.len() - self.jobs.placed()
    }

    /// How many jobs have a worker.
    pub fn placed(&self) -> usize {
        self.jobs.placed()
    }

    /// What is in one queue. `None` for a queue that has neither jobs nor settings of its own.
    pub fn queue(&self, name: &str) -> Option<QueueState> {
        let at = self.queues.find(name)?;
        self.queues.state(self.queues.queue(at))
    }

    /// Every queue that has jobs or settings of its own, by name. Sorts them.
    pub fn queues(&self) -> impl Iterator<Item = (&str, QueueState)> {
        let queues = self.queues.iter();
        let mut shown: Vec<_> = queues
            .filter_map(|queue| Some((&*queue.name, self.queues.state(queue)?)))
            .collect();
        shown.sort_unstable_by_key(|(name, _)| *name);
        shown.into_iter()
    }

    /// How much of a worker is taken. `None` for an unknown one.
    pub fn worker(&self, worker: WorkerId) -> Option<WorkerUse> {
        let at = self.fleet.known(worker)?;
        self.fleet.worker(at).usage()
    }

    /// Every known worker, by id.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, WorkerUse)> {
        let workers = self.fleet.iter();
        workers.filter_map(|(_, worker, _)| Some((worker.id, worker.usage()?)))
    }

    /// Every job that waits, by id. Sorts them.
    pub fn queued_jobs(&self) -> impl Iterator<Item = JobId> {
        let waiting = |place: Place| matches!(place, Place::Waiting(_));
        let jobs = self.jobs.iter().filter(|job| waiting(job.place));
        let mut ids: Vec<_> = jobs.map(|job| job.id).collect();
        ids.sort_unstable();
        ids.into_iter()
    }

    /// Every job that has a worker, with that worker, by id of the job. Sorts them.
    pub fn placed_jobs(&self) -> impl Iterator<Item = (JobId, WorkerId)> {
        let jobs = self.jobs.iter().filter_map(|job| match job.place {
            Place::Placed(stay) => {
                let worker = self.jobs.stay(stay).worker;
                Some((job.id, self.fleet.worker(worker).id))
            }
            Place::Waiting(_) => None,
        });
        let mut placed: Vec<_> = jobs.collect();
        placed.sort_unstable();
        placed.into_iter()
    }

    /// The job for which room is kept on this worker: the first of its line.
    pub fn reserved_for(&self, worker: WorkerId) -> Option<JobId> {
        let at = self.fleet.known(worker)?;
        let line = self.fleet.worker(at).kept_for?;
        Some(self.jobs.job(self.lines.line(line).first.job).id)
    }
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scheduler {
    /// Counts only: there may be a million jobs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("queued", &self.queued())
            .field("placed", &self.placed())
            .field("workers", &self.fleet.len())
            .field("fleet_known", &self.fleet_known)
            .finish_non_exhaustive()
    }
}
