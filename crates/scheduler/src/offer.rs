//! What a worker offers, and whether it takes jobs.

use jobyard_core::{TagSet, WorkerId};

/// What one worker offers. Fill in what differs from [`WorkerOffer::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerOffer {
    /// Which worker.
    pub worker: WorkerId,
    /// Its name, by which jobs may ask for it. Compared exactly.
    pub name: String,
    /// What requirements are held against.
    pub tags: TagSet,
    /// How many slots it has, used or not.
    pub slots: u32,
}

impl WorkerOffer {
    /// A worker with one slot and no tags.
    pub fn new(worker: WorkerId, name: impl Into<String>) -> Self {
        Self {
            worker,
            name: name.into(),
            tags: TagSet::new(),
            slots: 1,
        }
    }
}

/// Whether a worker takes jobs. The jobs that it has are not touched by a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Availability {
    /// It takes jobs as long as it has free slots.
    Available,
    /// It is not heard. Where every worker starts.
    #[default]
    Silent,
    /// It is suspended or drained by an administrator.
    Suspended,
}

/// How much of a worker is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerUse {
    /// How many slots it has.
    pub slots: u32,
    /// How many its jobs take. More than it has after its capacity shrank.
    pub used: u64,
    /// Whether it takes jobs.
    pub availability: Availability,
}

impl WorkerUse {
    /// Slots that are not taken, whether or not the worker is available.
    pub fn free(&self) -> u32 {
        u32::try_from(self.used).map_or(0, |used| self.slots.saturating_sub(used))
    }
}
