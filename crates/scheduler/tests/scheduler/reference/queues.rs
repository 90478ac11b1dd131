//! What the queues have used, and when they rise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{QueueSettings, Steady, WorkerId};
use jobyard_scheduler::{JobDemand, MAX_IDLE_QUEUES};

/// A placed job: where, since when, and at which price.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) worker: WorkerId,
    pub(crate) since: Steady,
    pub(crate) share: u64,
    pub(crate) weight: u32,
    pub(crate) charged: u128,
}

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) name: Arc<str>,
    pub(crate) settings: QueueSettings,
    pub(crate) charge: u128,
    pub(crate) average_ms: u64,
    pub(crate) passed_since: Steady,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    pub(crate) entries: Vec<Queue>,
    levels: BTreeMap<i32, u128>,
}

impl Queues {
    pub(crate) fn find(&self, name: &str) -> Option<&Queue> {
        self.entries.iter().find(|queue| *queue.name == *name)
    }

    /// A queue that has jobs.
    pub(crate) fn queue(&self, name: &str) -> &Queue {
        self.find(name).expect("a queue with jobs is remembered")
    }

    pub(crate) fn queue_mut(&mut self, name: &str) -> &mut Queue {
        let mut entries = self.entries.iter_mut();
        entries
            .find(|queue| *queue.name == *name)
            .expect("a queue with jobs is remembered")
    }

    pub(crate) fn level(&self, class: i32) -> u128 {
        self.levels.get(&class).copied().unwrap_or(0)
    }

    fn remember(&mut self, name: &Arc<str>) {
        if self.find(name).is_none() {
            self.entries.push(Queue {
                name: name.clone(),
                settings: QueueSettings::default(),
                charge: 0,
                average_ms: 60_000,
                passed_since: Steady::default(),
            });
        }
    }

    pub(crate) fn set(&mut self, now: Steady, name: &Arc<str>, mut settings: QueueSettings) {
        settings.weight = settings.weight.max(1);
        self.remember(name);
        let level = self.level(settings.class);
        let queue = self.queue_mut(name);
        if queue.settings.class != settings.class {
            queue.charge = level;
        }
        queue.settings = settings;
        queue.passed_since = now;
    }

    /// A queue gets a job.
    pub(crate) fn enter(&mut self, name: &Arc<str>, has_jobs: bool) {
        self.remember(name);
        let level = self.level(self.queue(name).settings.class);
        let queue = self.queue_mut(name);
        if !has_jobs {
            queue.charge = queue.charge.max(level);
        }
    }

    /// The class of a queue, risen by the time that it has been passed over.
    pub(crate) fn effective_class(&self, name: &str, now: Steady, ageing: Option<Duration>) -> i64 {
        let queue = self.queue(name);
        let base = i64::from(queue.settings.class);
        let Some(ageing) = ageing else {
            return base;
        };
        let period = ageing.as_millis().max(1);
        let periods = (now - queue.passed_since).as_millis() / period;
        let risen = base + i64::try_from(periods).expect("not so long");
        risen.min(self.top()).max(base)
    }

    /// How high a queue may rise.
    pub(crate) fn top(&self) -> i64 {
        let classes = self.entries.iter().map(|queue| queue.settings.class);
        i64::from(classes.fold(0, i32::max))
    }

    pub(crate) fn charge(
        &mut self,
        now: Steady,
        demand: &JobDemand,
        share: u64,
        worker: WorkerId,
        assigned: bool,
    ) -> Stay {
        let class = self.queue(&demand.queue).settings.class;
        let charge = self.queue(&demand.queue).charge;
        if assigned {
            let level = self.level(class).max(charge);
            self.levels.insert(class, level);
        }
        let queue = self.queue_mut(&demand.queue);
        let expected = demand.expected.map(|expected| expected.as_millis());
        let expected = expected.unwrap_or(queue.average_ms.into());
        let weight = queue.settings.weight;
        let charged = price(share, expected, weight);
        queue.charge += charged;
        if assigned {
            queue.passed_since = now;
        }
        Stay {
            worker,
            since: now,
            share,
            weight,
            charged,
        }
    }

    pub(crate) fn release(&mut self, name: &str, stay: &Stay, now: Steady) {
        let queue = self.queue_mut(name);
        let ran = (now - stay.since).as_millis();
        queue.charge = queue.charge.saturating_sub(stay.charged);
        queue.charge += price(stay.share, ran, stay.weight);
        let ran = i64::try_from(ran).expect("not so long");
        let average = i64::try_from(queue.average_ms).expect("not so long");
        // The division rounds towards zero.
        queue.average_ms = u64::try_from(average + (ran - average) / 8).expect("an average");
    }

    pub(crate) fn forget(&mut self, has_jobs: impl Fn(&str) -> bool) {
        let level = self.level(0);
        let is_idle =
            |queue: &Queue| !has_jobs(&queue.name) && queue.settings == QueueSettings::default();
        self.entries
            .retain(|queue| !is_idle(queue) || queue.charge > level);
        loop {
            let idle = self.entries.iter().filter(|queue| is_idle(queue));
            if idle.clone().count() <= MAX_IDLE_QUEUES {
                return;
            }
            let least = idle.min_by_key(|queue| (queue.charge, queue.name.clone()));
            let least = least.expect("one is idle").name.clone();
            self.entries.retain(|queue| queue.name != least);
        }
    }
}

/// What so much of the fleet costs for so long.
pub(crate) fn price(share: u64, ms: u128, weight: u32) -> u128 {
    u128::from(share) * ms.max(1) * (1 << 20) / u128::from(weight)
}
