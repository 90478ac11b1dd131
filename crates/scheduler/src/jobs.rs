//! The jobs, by id.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jobyard_core::{JobId, Steady};
use slab::Slab;

use crate::lines::{Common, Key};
use crate::queues::Cost;

/// One job that waits or has a worker.
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) common: Common,
    pub(crate) key: Key,
    /// When it was queued.
    pub(crate) since: Steady,
    /// In milliseconds, if the host said so; saturated.
    pub(crate) expected_ms: Option<u32>,
    pub(crate) place: Place,
}

#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// In this line.
    Waiting(u32),
    /// With this stay.
    Placed(u32),
}

/// A placed job, with its worker.
pub(crate) struct Stay {
    pub(crate) worker: u32,
    pub(crate) since: Steady,
    pub(crate) cost: Cost,
}

/// Every job, numbered.
pub(crate) struct Jobs {
    entries: Slab<Job>,
    by_id: HashMap<JobId, u32, FixedState>,
    stays: Slab<Stay>,
    /// Counts the jobs that were ever queued.
    pub(crate) arrivals: u64,
}

impl Jobs {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Slab::new(),
            by_id: HashMap::with_hasher(FixedState::with_seed(seed)),
            stays: Slab::new(),
            arrivals: 0,
        }
    }

    pub(crate) fn find(&self, id: JobId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn job(&self, at: u32) -> &Job {
        &self.entries[at as usize]
    }

    pub(crate) fn add(&mut self, job: Job) -> u32 {
        let id = job.id;
        let at = u32::try_from(self.entries.insert(job)).expect("fewer jobs than a u32 counts");
        self.by_id.insert(id, at);
        at
    }

    pub(crate) fn set_place(&mut self, at: u32, place: Place) {
        self.entries[at as usize].place = place;
    }

    pub(crate) fn remove(&mut self, at: u32) -> Job {
        let job = self.entries.remove(at as usize);
        self.by_id.remove(&job.id);
        job
    }

    pub(crate) fn begin_stay(&mut self, stay: Stay) -> u32 {
        u32::try_from(self.stays.insert(stay)).expect("fewer stays than jobs")
    }

    pub(crate) fn end_stay(&mut self, stay: u32) -> Stay {
        self.stays.remove(stay as usize)
    }

    pub(crate) fn stay(&self, stay: u32) -> &Stay {
        &self.stays[stay as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn placed(&self) -> usize {
        self.stays.len()
    }

    /// Every job, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.entries.iter().map(|(_, job)| job)
    }
}
