//! What a worker offers, and whether it takes jobs.

use std::collections::BTreeMap;

use jobyard_core::{Resources, TagSet, WorkerId};

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
    /// It takes only jobs that [name](jobyard_core::Requirement::names) every one of these. Usually some of its tags;
    /// what requirements are held against is `tags` alone.
    pub exclusive: TagSet,
    /// What it has, taken or not.
    pub capacity: Resources,
    /// What it holds that jobs may [use](crate::WantsDraft::warm), by name, with sizes in bytes. As it reports, not as
    /// anybody remembers.
    pub holds: BTreeMap<String, u64>,
}

impl WorkerOffer {
    /// A worker with one slot and no tags.
    pub fn new(worker: WorkerId, name: impl Into<String>) -> Self {
        Self {
            worker,
            name: name.into(),
            tags: TagSet::new(),
            exclusive: TagSet::new(),
            capacity: Resources::of_slots(1),
            holds: BTreeMap::new(),
        }
    }
}

/// Whether a worker takes jobs. The jobs that it has are not touched by a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Availability {
    /// It takes jobs as long as it has room.
    Available,
    /// It is not heard. Where every worker starts.
    #[default]
    Silent,
    /// It is suspended or drained by an administrator, or says itself that it takes nothing.
    Suspended,
    /// It takes nothing at the moment by its own judgement of its machine.
    Complaining,
}

/// How much of a worker is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerUse {
    /// What it has.
    pub capacity: Resources,
    /// What its jobs take. More than it has after its capacity shrank.
    pub used: Resources,
    /// Whether it takes jobs.
    pub availability: Availability,
}
