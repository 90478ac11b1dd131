//! The scheduler itself: events in, decisions out.

use std::fmt;

use jobyard_core::{Explanation, JobId, Now, QueueSettings, Steady, WorkerId};

use crate::{Decision, Event, Policy, WorkerUse};

/// How many queues without jobs are remembered because they have used more than their share.
pub const MAX_IDLE_QUEUES: usize = 4096;

/// Decides who runs where. A value without clock, randomness and IO; see the [crate] for the policy.
#[derive(Default)]
pub struct Scheduler {
    policy: Policy,
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
        Self::default()
    }

    /// The same with this policy.
    pub fn with_policy(policy: Policy) -> Self {
        Self { policy }
    }

    /// Takes in what happened and appends the decisions that follow, in the order in which they were made.
    pub fn handle(&mut self, _now: Now, _event: Event, _out: &mut Vec<Decision>) {}

    /// Why this job waits. `None` if it does not: it is placed or unknown.
    pub fn explain(&self, _job: JobId) -> Option<Explanation> {
        None
    }

    /// When time alone would change something: call [`handle`](Self::handle) with [`Event::TimePassed`] then.
    pub fn next_deadline(&self) -> Option<Steady> {
        None
    }

    /// By which it decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many jobs wait.
    pub fn queued(&self) -> usize {
        0
    }

    /// How many jobs have a worker.
    pub fn placed(&self) -> usize {
        0
    }

    /// What is in one queue. `None` for a queue that has neither jobs nor settings of its own.
    pub fn queue(&self, _name: &str) -> Option<QueueState> {
        None
    }

    /// Every queue that has jobs or settings of its own, by name.
    pub fn queues(&self) -> impl Iterator<Item = (&str, QueueState)> {
        std::iter::empty()
    }

    /// How much of a worker is taken. `None` for an unknown one.
    pub fn worker(&self, _worker: WorkerId) -> Option<WorkerUse> {
        None
    }

    /// Every known worker, by id.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, WorkerUse)> {
        std::iter::empty()
    }

    /// Every job that waits, by id. Sorts them: for tests and reports.
    pub fn queued_jobs(&self) -> impl Iterator<Item = JobId> {
        std::iter::empty()
    }

    /// Every job that has a worker, with that worker, by id of the job. Sorts them: for tests and reports.
    pub fn placed_jobs(&self) -> impl Iterator<Item = (JobId, WorkerId)> {
        std::iter::empty()
    }

    /// For which queue and job room is kept on this worker: the first job of the line.
    pub fn reserved_for(&self, _worker: WorkerId) -> Option<JobId> {
        None
    }
}

impl fmt::Debug for Scheduler {
    /// Counts only: there may be a million jobs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}
