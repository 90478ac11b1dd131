//! How large a load is, and of what kind.

use std::time::Duration;

/// A fleet and its jobs, in numbers. The same shape is the same load, job by job.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent features, each on or off"
)]
pub struct Shape {
    /// How many jobs wait.
    pub jobs: usize,
    /// How many workers there are, with 1 to 8 slots each.
    pub workers: usize,
    /// How many distinct sets of tags they have.
    pub tag_sets: usize,
    /// How many distinct sets of requirements the jobs have. Each is met by some worker, and one by all.
    pub sets: usize,
    /// Among how many queues the jobs are spread evenly.
    pub queues: usize,
    /// Which workers a job wants.
    pub target: Target,
    /// Whether jobs take processor time, memory and graphics cards, and not slots alone.
    pub resources: bool,
    /// Whether every second queue may run only half of its even share.
    pub caps: bool,
    /// How many jobs may run in each queue at once, if that is limited for all alike.
    pub cap: Option<u64>,
    /// The concurrency groups.
    pub groups: Option<Groups>,
    /// Queues have the weights from 1 to this, in turn.
    pub max_weight: u32,
    /// Queues have the classes from 0 up to below this, in turn.
    pub classes: u16,
    /// Jobs have the priorities from 0 up to below this; at most 16.
    pub priorities: u8,
    /// Whether jobs name what they use, and workers what they hold.
    pub warm: bool,
    /// Whether jobs have two preferences each.
    pub preferences: bool,
    /// Whether a queue of a single job stands beside the others.
    pub lonely: bool,
    /// The percentage of the slots that are taken before jobs wait.
    pub taken: u8,
    /// How long jobs run on average.
    pub run_time: Duration,
}

/// Which workers a job wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Some, by their tags.
    Tags,
    /// One, by its name: there are as many sets as workers.
    Name,
    /// One, by a tag that only it has: there are as many sets of tags and of requirements as workers.
    OwnTag,
    /// All that wait want one of the few workers with a rare tag, one in a hundred; what runs elsewhere wants any.
    Rare,
}

/// Concurrency groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// How many.
    pub count: u16,
    /// How many jobs of each may run at once.
    pub limit: u32,
    /// The percentage of the jobs that are in one.
    pub percent: u8,
}

impl Shape {
    /// So many waiting jobs and workers, 50 sets of tags, 1,000 sets of requirements, 100 queues with weights from 1 to
    /// 10, slots alone, everything taken.
    pub fn new(jobs: usize, workers: usize) -> Self {
        Self {
            jobs,
            workers,
            tag_sets: 50,
            sets: 1_000,
            queues: 100,
            target: Target::Tags,
            resources: false,
            caps: false,
            cap: None,
            groups: None,
            max_weight: 10,
            classes: 1,
            priorities: 1,
            warm: false,
            preferences: false,
            lonely: false,
            taken: 100,
            run_time: Duration::from_mins(1),
        }
    }

    /// How many distinct sets of tags and of requirements there are in fact.
    pub fn distinct(&self) -> (usize, usize) {
        match self.target {
            Target::Tags => (self.tag_sets, self.sets),
            Target::Rare => (2 * self.tag_sets, self.sets),
            Target::Name => (self.tag_sets, self.workers),
            Target::OwnTag => (self.workers, self.workers),
        }
    }
}
