//! The queues, and which of them goes first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jobyard_core::{QueueSettings, Steady};
use slab::Slab;

use crate::QueueState;
use crate::heads::Heads;
use crate::lines::Head;

/// How many queues without jobs are remembered because they have been charged more than the level of their class.
pub const MAX_IDLE_QUEUES: usize = 4096;

/// How long a job is expected to run in a queue of which nothing is known, in milliseconds.
const FIRST_AVERAGE_MS: u64 = 60_000;

/// What one part of 2^32 of the fleet costs for a millisecond at weight 1. Larger than the largest weight, so that
/// dividing by it loses nothing that matters.
const CHARGE_SCALE: u128 = 1 << 20;

/// One queue that has jobs, settings, or a charge to remember.
pub(crate) struct Queue {
    pub(crate) name: Arc<str>,
    pub(crate) settings: QueueSettings,
    pub(crate) waiting: usize,
    pub(crate) placed: usize,
    /// Of its lines that may go, as far as groups allow.
    pub(crate) heads: Heads,
    charge: u128,
    average_ms: u64,
    /// Since when it has been passed over.
    passed_since: Steady,
    /// As it is listed in the order, if it may go.
    listed: Option<Turn>,
    /// When it rises next, if that is awaited.
    rises_at: Option<Steady>,
}

impl Queue {
    /// Whether fewer of its jobs have a worker than may.
    pub(crate) fn is_open(&self) -> bool {
        let limit = self.settings.max_running;
        limit.is_none_or(|limit| (self.placed as u64) < limit)
    }

    fn has_jobs(&self) -> bool {
        self.waiting > 0 || self.placed > 0
    }

    fn is_default(&self) -> bool {
        self.settings == QueueSettings::default()
    }

    /// Its place in the order, if it may go.
    pub(crate) fn turn(&self) -> Option<&Turn> {
        self.listed.as_ref()
    }
}

/// The place of a queue in the order: lowest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    class: Reverse<i32>,
    charge: u128,
    name: Arc<str>,
    pub(crate) queue: u32,
}

/// What a placed job has cost its queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    share: u64,
    weight: u32,
    charged: u128,
}

/// All queues.
pub(crate) struct Queues {
    entries: Slab<Queue>,
    by_name: HashMap<Arc<str>, u32, FixedState>,
    /// The queues that are open and have heads.
    pub(crate) order: BTreeSet<Turn>,
    /// By when they rise.
    rising: BTreeSet<(Steady, u32)>,
    levels: BTreeMap<i32, u128>,
    /// How many queues are set to each class.
    classes: BTreeMap<i32, usize>,
    /// Queues without jobs and with default settings, by charge.
    idle: BTreeSet<(u128, Arc<str>)>,
    /// Queues that have lost their last job in this event.
    pub(crate) emptied: Vec<u32>,
    ageing: Option<u64>,
    seed: FixedState,
}

impl Queues {
    pub(crate) fn new(seed: u64, ageing: Option<Duration>) -> Self {
        let micros = |ageing: Duration| {
            let millis = u64::try_from(ageing.as_millis()).unwrap_or(u64::MAX / 1000);
            millis.clamp(1, u64::MAX / 1000) * 1000
        };
        Self {
            entries: Slab::new(),
            by_name: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: BTreeSet::new(),
            rising: BTreeSet::new(),
            levels: BTreeMap::new(),
            classes: BTreeMap::new(),
            idle: BTreeSet::new(),
            emptied: Vec::new(),
            ageing: ageing.map(micros),
            seed: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn queue(&self, at: u32) -> &Queue {
        &self.entries[at as usize]
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Every remembered queue, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.entries.iter().map(|(_, queue)| queue)
    }

    /// What is shown of a queue; `None` if it is only a memory.
    pub(crate) fn state(&self, queue: &Queue) -> Option<QueueState> {
        if !queue.has_jobs() && queue.is_default() {
            return None;
        }
        let ahead = queue
            .charge
            .saturating_sub(self.level(queue.settings.class));
        Some(QueueState {
            queued: queue.waiting,
            placed: queue.placed,
            settings: queue.settings,
            ahead_ms: u64::try_from((ahead / CHARGE_SCALE) >> 32).unwrap_or(u64::MAX),
        })
    }

    fn level(&self, class: i32) -> u128 {
        self.levels.get(&class).copied().unwrap_or(0)
    }

    /// The queue of that name, for a job to come: it begins at the level of its class if it has none yet.
    pub(crate) fn enter(&mut self, name: &Arc<str>) -> u32 {
        let at = self.find(name).unwrap_or_else(|| self.add(name.clone()));
        let queue = &self.entries[at as usize];
        if !queue.has_jobs() {
            let level = self.level(queue.settings.class);
            let forgotten = queue.is_default() && queue.charge <= level;
            self.idle.remove(&(queue.charge, name.clone()));
            let queue = &mut self.entries[at as usize];
            // A queue that lost its last job in this very event keeps what it learned.
            if forgotten && !self.emptied.contains(&at) {
                queue.average_ms = FIRST_AVERAGE_MS;
            }
            queue.charge = queue.charge.max(level);
        }
        at
    }

    fn add(&mut self, name: Arc<str>) -> u32 {
        let at = self.entries.insert(Queue {
            name: name.clone(),
            settings: QueueSettings::default(),
            waiting: 0,
            placed: 0,
            heads: Heads::new(self.seed.clone()),
            charge: 0,
            average_ms: FIRST_AVERAGE_MS,
            passed_since: Steady::default(),
            listed: None,
            rises_at: None,
        });
        let at = u32::try_from(at).expect("fewer queues than a u32 counts");
        self.by_name.insert(name, at);
        *self.classes.entry(0).or_insert(0) += 1;
        at
    }

    /// Settings hold from now on.
    pub(crate) fn set(&mut self, now: Steady, name: &Arc<str>, mut settings: QueueSettings) -> u32 {
        settings.weight = settings.weight.max(1);
        let at = self.find(name).unwrap_or_else(|| self.add(name.clone()));
        let queue = &self.entries[at as usize];
        self.idle.remove(&(queue.charge, name.clone()));
        let top = self.top();
        let class = queue.settings.class;
        if class != settings.class {
            let level = self.level(settings.class);
            self.entries[at as usize].charge = level;
            self.count_class(class, false);
            self.count_class(settings.class, true);
        }
        let queue = &mut self.entries[at as usize];
        queue.settings = settings;
        queue.passed_since = now;
        if !queue.has_jobs() {
            self.emptied.push(at);
        }
        if self.top() != top {
            self.relist_all(now);
        }
        self.relist(now, at);
        at
    }

    fn count_class(&mut self, class: i32, add: bool) {
        let count = self.classes.entry(class).or_insert(0);
        *count = if add {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            self.classes.remove(&class);
        }
    }

    /// How high a queue may rise.
    fn top(&self) -> i32 {
        self.classes
            .last_key_value()
            .map_or(0, |(class, _)| (*class).max(0))
    }

    /// A line of the queue may go.
    pub(crate) fn add_head(&mut self, now: Steady, at: u32, head: Head) {
        self.entries[at as usize].heads.add(head);
        self.relist(now, at);
    }

    /// See [`Heads::find_oldest`].
    pub(crate) fn find_oldest(&mut self, at: u32) {
        self.entries[at as usize].heads.find_oldest();
    }

    /// A line of the queue may no longer go.
    pub(crate) fn remove_head(&mut self, now: Steady, at: u32, head: Head) {
        self.entries[at as usize].heads.remove(head);
        self.relist(now, at);
    }

    /// A line of the queue has another head.
    pub(crate) fn replace_head(&mut self, at: u32, old: Head, new: Head) {
        self.entries[at as usize].heads.replace(old, new);
    }

    /// A job more waits.
    pub(crate) fn add_waiting(&mut self, now: Steady, at: u32) {
        let queue = &mut self.entries[at as usize];
        queue.waiting += 1;
        if queue.waiting == 1 {
            queue.passed_since = now;
        }
    }

    /// A job less waits.
    pub(crate) fn remove_waiting(&mut self, at: u32) {
        let queue = &mut self.entries[at as usize];
        queue.waiting -= 1;
        if !queue.has_jobs() {
            self.emptied.push(at);
        }
    }

    /// A job has a worker, and is charged. `assigned`: it was chosen, not placed by the host.
    pub(crate) fn place(
        &mut self,
        now: Steady,
        at: u32,
        share: u64,
        expected_ms: Option<u64>,
        assigned: bool,
    ) -> Cost {
        let queue = &mut self.entries[at as usize];
        queue.placed += 1;
        if assigned {
            queue.waiting -= 1;
            queue.passed_since = now;
            let level = self.levels.entry(queue.settings.class).or_insert(0);
            *level = (*level).max(queue.charge);
        }
        let weight = queue.settings.weight;
        let charged = price(share, expected_ms.unwrap_or(queue.average_ms), weight);
        queue.charge += charged;
        self.relist(now, at);
        Cost {
            share,
            weight,
            charged,
        }
    }

    /// A job no longer has a worker, and is charged for the time that it ran.
    pub(crate) fn unplace(&mut self, now: Steady, at: u32, cost: Cost, ran: Duration) {
        let ran_ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
        let queue = &mut self.entries[at as usize];
        queue.placed -= 1;
        queue.charge =
            queue.charge.saturating_sub(cost.charged) + price(cost.share, ran_ms, cost.weight);
        queue.average_ms = moved(queue.average_ms, ran_ms);
        if !queue.has_jobs() {
            self.emptied.push(at);
        }
        self.relist(now, at);
    }

    /// Queues that have been passed over for long enough rise.
    pub(crate) fn rise(&mut self, now: Steady) {
        while let Some(&(due, at)) = self.rising.first()
            && due <= now
        {
            self.rising.pop_first();
            self.entries[at as usize].rises_at = None;
            self.relist(now, at);
        }
    }

    fn relist_all(&mut self, now: Steady) {
        let all: Vec<_> = self.by_name.values().copied().collect();
        for at in all {
            self.relist(now, at);
        }
    }

    /// Brings the order up to date with one queue.
    pub(crate) fn relist(&mut self, now: Steady, at: u32) {
        let class = self.await_rise(now, at);
        let queue = &mut self.entries[at as usize];
        let turn = class.map(|class| (Reverse(class), queue.charge));
        if turn == queue.listed.as_ref().map(|turn| (turn.class, turn.charge)) {
            return;
        }
        if let Some(turn) = queue.listed.take() {
            self.order.remove(&turn);
        }
        if let Some((class, charge)) = turn {
            let turn = Turn {
                class,
                charge,
                name: queue.name.clone(),
                queue: at,
            };
            queue.listed = Some(turn.clone());
            self.order.insert(turn);
        }
    }

    /// The class of a queue now, if it may go. Notes when it rises next.
    fn await_rise(&mut self, now: Steady, at: u32) -> Option<i32> {
        let top = self.top();
        let queue = &mut self.entries[at as usize];
        let may_go = queue.is_open() && !queue.heads.ordered().is_empty();
        let base = queue.settings.class;
        let (mut class, mut rises_at) = (base, None);
        if let Some(ageing) = self.ageing.filter(|_| may_go && base < top) {
            let waited = (now - queue.passed_since).as_micros();
            let waited = u64::try_from(waited).unwrap_or(u64::MAX);
            let risen = waited / ageing;
            class = i32::try_from(risen).map_or(top, |risen| base.saturating_add(risen).min(top));
            let next = Duration::from_micros(ageing.saturating_mul(risen + 1));
            // At the end of time there is no next.
            rises_at = Some(queue.passed_since + next).filter(|due| class < top && *due > now);
        }
        if rises_at != queue.rises_at {
            if let Some(due) = std::mem::replace(&mut queue.rises_at, rises_at) {
                self.rising.remove(&(due, at));
            }
            if let Some(due) = rises_at {
                self.rising.insert((due, at));
            }
        }
        may_go.then_some(class)
    }

    /// Forgets queues that have no jobs, no settings, and nothing to be remembered for. At the end of each event.
    pub(crate) fn forget_idle(&mut self) {
        for at in std::mem::take(&mut self.emptied) {
            let Some(queue) = self.entries.get(at as usize) else {
                continue;
            };
            if queue.has_jobs() || !queue.is_default() {
                continue;
            }
            if queue.charge > self.level(0) {
                self.idle.insert((queue.charge, queue.name.clone()));
            } else {
                self.forget(at);
            }
        }
        while self.idle.len() > MAX_IDLE_QUEUES
            || self
                .idle
                .first()
                .is_some_and(|(charge, _)| *charge <= self.level(0))
        {
            if let Some((_, name)) = self.idle.pop_first()
                && let Some(at) = self.find(&name)
            {
                self.forget(at);
            }
        }
    }

    fn forget(&mut self, at: u32) {
        let queue = self.entries.remove(at as usize);
        self.by_name.remove(&queue.name);
        self.count_class(queue.settings.class, false);
    }
}

/// What so much of the fleet costs for so long.
fn price(share: u64, ms: u64, weight: u32) -> u128 {
    u128::from(share) * u128::from(ms.max(1)) * CHARGE_SCALE / u128::from(weight)
}

/// An average, moved by an eighth of the difference towards the new value.
fn moved(average: u64, new: u64) -> u64 {
    if new >= average {
        average + (new - average) / 8
    } else {
        average - (average - new) / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_moves_by_an_eighth() {
        assert_eq!(moved(800, 1600), 900);
        assert_eq!(moved(800, 0), 700);
        assert_eq!(moved(800, 807), 800);
    }

    #[test]
    fn a_heavier_queue_pays_less() {
        assert_eq!(price(1 << 32, 10, 2) * 2, price(1 << 32, 10, 1));
        assert!(price(1, 1, 1_000_000) > 0);
        assert_eq!(price(5, 0, 1), price(5, 1, 1), "nothing is free");
    }
}
