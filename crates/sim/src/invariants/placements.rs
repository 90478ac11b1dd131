//! Which attempts have a worker by the durable records. Several invariants look at these.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AttemptId, JobId, WorkerId};
use jobyard_master::records::{Demand, JobRecord};

/// Attempts that have a worker, by the durable records, and what their jobs asked for when they were accepted: a record
/// that forgets that later deceives nobody.
#[derive(Debug, Default)]
pub(super) struct Placements {
    asked: BTreeMap<JobId, Demand>,
    placed: BTreeMap<AttemptId, WorkerId>,
}

impl Placements {
    /// A job's record became durable. Gives the attempts that it places and that were not placed before.
    pub(super) fn note(&mut self, record: &JobRecord) -> Vec<(AttemptId, WorkerId)> {
        self.asked
            .entry(record.id)
            .or_insert_with(|| record.demand.clone());
        let mut new = Vec::new();
        for attempt in &record.attempts {
            if attempt.outcome.is_some() {
                self.placed.remove(&attempt.id);
            } else if self.placed.insert(attempt.id, attempt.worker).is_none() {
                new.push((attempt.id, attempt.worker));
            }
        }
        new
    }

    /// What a job asked for.
    pub(super) fn asked(&self, job: JobId) -> Option<&Demand> {
        self.asked.get(&job)
    }

    /// Every attempt that has a worker, with what its job asked for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AttemptId, &Demand)> {
        let placed = self.placed.keys();
        placed.filter_map(|attempt| Some((*attempt, self.asked.get(&attempt.job)?)))
    }

    /// Whether the attempt has a worker.
    pub(super) fn contains(&self, attempt: AttemptId) -> bool {
        self.placed.contains_key(&attempt)
    }
}

/// Attempts that have a process somewhere.
#[derive(Debug, Default)]
pub(super) struct Processes(BTreeSet<AttemptId>);

impl Processes {
    pub(super) fn start(&mut self, attempt: AttemptId) {
        self.0.insert(attempt);
    }

    pub(super) fn end(&mut self, attempt: AttemptId) {
        self.0.remove(&attempt);
    }

    pub(super) fn contains(&self, attempt: AttemptId) -> bool {
        self.0.contains(&attempt)
    }
}
