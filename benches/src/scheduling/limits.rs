//! How many jobs of a queue or a group may run.

use std::collections::HashMap;
use std::sync::Arc;

use jobyard_scheduler::JobDemand;

/// Counts what runs in queues and groups.
#[derive(Debug, Default)]
pub(super) struct Limits {
    queues: HashMap<Arc<str>, Count>,
    groups: HashMap<String, u32>,
}

#[derive(Debug, Default)]
struct Count {
    running: u64,
    limit: Option<u64>,
}

impl Limits {
    /// So many jobs of a queue may run at once.
    pub(super) fn set(&mut self, queue: Arc<str>, limit: Option<u64>) {
        self.queues.entry(queue).or_default().limit = limit;
    }

    /// Whether one more may run.
    pub(super) fn open(&self, demand: &JobDemand) -> bool {
        let queue = self.queues.get(&demand.queue);
        let queue_open =
            queue.is_none_or(|count| count.limit.is_none_or(|most| count.running < most));
        queue_open
            && demand.group.as_ref().is_none_or(|group| {
                let running = self.groups.get(&group.key);
                running.is_none_or(|running| *running < group.limit)
            })
    }

    /// One more runs.
    pub(super) fn add(&mut self, demand: &JobDemand) {
        self.queues.entry(demand.queue.clone()).or_default().running += 1;
        if let Some(group) = &demand.group {
            *self.groups.entry(group.key.clone()).or_default() += 1;
        }
    }

    /// One that was added has ended.
    pub(super) fn remove(&mut self, demand: &JobDemand) {
        if let Some(count) = self.queues.get_mut(&demand.queue) {
            count.running -= 1;
        }
        if let Some(group) = &demand.group
            && let Some(running) = self.groups.get_mut(&group.key)
        {
            *running -= 1;
        }
    }
}
