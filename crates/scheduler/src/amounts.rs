//! Amounts of resources, as they are added up.

use std::sync::Arc;

use jobyard_core::{MAX_AMOUNT, Resources};

/// An amount of each resource. No entry of `named` is zero; they are sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) slots: u64,
    pub(crate) cpu: u64,
    pub(crate) memory: u64,
    named: Vec<(Arc<str>, u64)>,
}

impl Amounts {
    /// What a worker has or a job takes. More than [`MAX_AMOUNT`] counts as that, so that sums stay exact.
    pub(crate) fn of(resources: &Resources) -> Self {
        let named = resources.counts.iter().filter(|(_, count)| **count > 0);
        Self {
            slots: resources.slots.into(),
            cpu: resources.cpu_millis.min(MAX_AMOUNT),
            memory: resources.memory_bytes.min(MAX_AMOUNT),
            named: named
                .map(|(name, count)| (Arc::from(name.as_str()), (*count).min(MAX_AMOUNT)))
                .collect(),
        }
    }

    pub(crate) fn to_resources(&self) -> Resources {
        let mut resources = Resources::of_slots(u32::try_from(self.slots).unwrap_or(u32::MAX));
        resources.cpu_millis = self.cpu;
        resources.memory_bytes = self.memory;
        resources.counts = self
            .named
            .iter()
            .map(|(name, count)| (name.to_string(), *count))
            .collect();
        resources
    }

    fn count(&self, name: &str) -> u64 {
        self.named
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .map_or(0, |at| self.named[at].1)
    }

    /// Whether all of `asked` is there.
    pub(crate) fn covers(&self, asked: &Self) -> bool {
        self.slots >= asked.slots
            && self.cpu >= asked.cpu
            && self.memory >= asked.memory
            && asked
                .named
                .iter()
                .all(|(name, count)| self.count(name) >= *count)
    }

    /// Whether `asked` is still there beside what is taken.
    pub(crate) fn has_room(&self, used: &Self, asked: &Self) -> bool {
        self.slots >= used.slots + asked.slots
            && (asked.cpu == 0 || self.cpu >= used.cpu + asked.cpu)
            && (asked.memory == 0 || self.memory >= used.memory + asked.memory)
            && asked
                .named
                .iter()
                .all(|(name, count)| self.count(name) >= used.count(name) + count)
    }

    /// Whether, of each resource of which `asked` takes any, `kept` is still there afterwards.
    pub(crate) fn has_room_beside(&self, used: &Self, asked: &Self, kept: &Self) -> bool {
        let beside =
            |has: u64, used: u64, asked: u64, kept: u64| asked == 0 || has >= used + asked + kept;
        beside(self.slots, used.slots, asked.slots, kept.slots)
            && beside(self.cpu, used.cpu, asked.cpu, kept.cpu)
            && beside(self.memory, used.memory, asked.memory, kept.memory)
            && asked.named.iter().all(|(name, count)| {
                beside(self.count(name), used.count(name), *count, kept.count(name))
            })
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.slots += other.slots;
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.memory = self.memory.saturating_add(other.memory);
        for (name, count) in &other.named {
            match self.named.binary_search_by(|(known, _)| known.cmp(name)) {
                Ok(at) => self.named[at].1 = self.named[at].1.saturating_add(*count),
                Err(at) => self.named.insert(at, (name.clone(), *count)),
            }
        }
    }

    pub(crate) fn remove(&mut self, other: &Self) {
        self.slots = self.slots.saturating_sub(other.slots);
        self.cpu = self.cpu.saturating_sub(other.cpu);
        self.memory = self.memory.saturating_sub(other.memory);
        for (name, count) in &other.named {
            if let Ok(at) = self.named.binary_search_by(|(known, _)| known.cmp(name)) {
                self.named[at].1 = self.named[at].1.saturating_sub(*count);
                if self.named[at].1 == 0 {
                    self.named.remove(at);
                }
            }
        }
    }

    /// The load of a worker that has this, in thousandths; see [`load`](crate::load()).
    pub(crate) fn load(&self, used: &Self) -> u32 {
        let named = used
            .named
            .iter()
            .map(|(name, count)| crate::load::of_one(*count, self.count(name)));
        [
            crate::load::of_one(used.slots, self.slots),
            crate::load::of_one(used.cpu, self.cpu),
            crate::load::of_one(used.memory, self.memory),
        ]
        .into_iter()
        .chain(named)
        .fold(0, u32::max)
    }

    /// The largest part that this is of what there is in all, in parts of 2^32.
    pub(crate) fn dominant_share(&self, total: &Self) -> u64 {
        let named = self
            .named
            .iter()
            .map(|(name, count)| (*count, total.count(name)));
        [
            (self.slots, total.slots),
            (self.cpu, total.cpu),
            (self.memory, total.memory),
        ]
        .into_iter()
        .chain(named)
        .filter(|(_, there_is)| *there_is > 0)
        .map(|(asked, there_is)| (u128::from(asked) << 32) / u128::from(there_is))
        .max()
        .map_or(1, |share| {
            u64::try_from(share.clamp(1, 1 << 32)).unwrap_or(1 << 32)
        })
    }

    /// A rough measure, by which workers of about the same size are kept together.
    pub(crate) fn size_class(&self) -> [u8; 3] {
        [self.slots, self.cpu, self.memory].map(|amount| {
            u8::try_from(amount.checked_ilog2().map_or(0, |log| log + 1)).unwrap_or(u8::MAX)
        })
    }

    /// Each resource of which something is asked here, with what is asked and what `has` has.
    pub(crate) fn against<'a>(
        &'a self,
        has: &'a Self,
    ) -> impl Iterator<Item = (&'a str, u64, u64)> {
        let fixed = [
            ("slots", self.slots, has.slots),
            ("cpu", self.cpu, has.cpu),
            ("memory", self.memory, has.memory),
        ];
        let named = self.named.iter();
        fixed
            .into_iter()
            .chain(named.map(|(name, count)| (&**name, *count, has.count(name))))
            .filter(|(_, asked, _)| *asked > 0)
    }
}
