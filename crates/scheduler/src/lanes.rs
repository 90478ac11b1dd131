//! What is in which queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jobyard_core::JobId;

/// How many jobs of one queue wait, and how many have a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueCounts {
    /// Jobs without a worker.
    pub queued: usize,
    /// Jobs that take slots.
    pub placed: usize,
}

/// The queues that have jobs. A queue without any is forgotten.
#[derive(Default)]
pub(crate) struct Lanes {
    lanes: BTreeMap<Arc<str>, Lane>,
}

#[derive(Default)]
struct Lane {
    waiting: BTreeSet<(u64, JobId)>,
    placed: usize,
}

impl Lanes {
    /// The one copy of a queue's name, so that a million jobs of a queue do not each hold their own.
    pub(crate) fn intern(&self, name: Arc<str>) -> Arc<str> {
        self.lanes
            .get_key_value(&name)
            .map_or(name, |(known, _)| known.clone())
    }

    pub(crate) fn add_waiting(&mut self, queue: &Arc<str>, order: u64, job: JobId) {
        self.edit(queue, |lane| {
            lane.waiting.insert((order, job));
        });
    }

    pub(crate) fn remove_waiting(&mut self, queue: &Arc<str>, order: u64, job: JobId) {
        self.edit(queue, |lane| {
            lane.waiting.remove(&(order, job));
        });
    }

    pub(crate) fn add_placed(&mut self, queue: &Arc<str>) {
        self.edit(queue, |lane| lane.placed += 1);
    }

    pub(crate) fn remove_placed(&mut self, queue: &Arc<str>) {
        self.edit(queue, |lane| lane.placed = lane.placed.saturating_sub(1));
    }

    /// How many jobs stand before this one in its queue. Counts them: linear in the answer.
    pub(crate) fn ahead_of(&self, queue: &str, order: u64, job: JobId) -> u64 {
        self.lanes.get(queue).map_or(0, |lane| {
            lane.waiting.range(..(order, job)).map(|_| 1_u64).sum()
        })
    }

    pub(crate) fn counts(&self, queue: &str) -> QueueCounts {
        self.lanes
            .get(queue)
            .map_or_else(QueueCounts::default, Lane::counts)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, QueueCounts)> {
        self.lanes
            .iter()
            .map(|(name, lane)| (&**name, lane.counts()))
    }

    fn edit(&mut self, queue: &Arc<str>, change: impl FnOnce(&mut Lane)) {
        let lane = self.lanes.entry(queue.clone()).or_default();
        change(lane);
        if lane.placed == 0 && lane.waiting.is_empty() {
            self.lanes.remove(queue);
        }
    }
}

impl Lane {
    fn counts(&self) -> QueueCounts {
        QueueCounts {
            queued: self.waiting.len(),
            placed: self.placed,
        }
    }
}
