//! Which workers meet what, and who waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use jobyard_core::{JobId, Requirement, WorkerId};
use slab::Slab;

use crate::fleet::{Fleet, Worker};
use crate::scheduler::MAX_IDLE_NEEDS;

/// What jobs ask of a worker, apart from room: interned, because many jobs ask for the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// Sorted, without repeats.
    requirements: Vec<Requirement>,
    named: Option<NamedWorker>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NamedWorker {
    text: String,
    /// If the text can be read as an id.
    id: Option<WorkerId>,
}

impl Need {
    pub(crate) fn new(mut requirements: Vec<Requirement>, worker: Option<String>) -> Self {
        requirements.sort_unstable();
        requirements.dedup();
        let named = worker.map(|text| NamedWorker {
            id: text.parse().ok(),
            text,
        });
        Self {
            requirements,
            named,
        }
    }

    pub(crate) fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The only worker that will do, as the job names it.
    pub(crate) fn named(&self) -> Option<&str> {
        self.named.as_ref().map(|named| &*named.text)
    }

    /// Whether this is a worker that the job names, or the job names none.
    pub(crate) fn admits(&self, worker: &Worker) -> bool {
        self.named
            .as_ref()
            .is_none_or(|named| named.text == worker.name || named.id == Some(worker.id))
    }

    /// The requirements that this worker fails.
    pub(crate) fn unmet<'a>(
        &'a self,
        worker: &'a Worker,
    ) -> impl Iterator<Item = &'a Requirement> + 'a {
        self.requirements
            .iter()
            .filter(|requirement| !requirement.is_met_by(&worker.tags))
    }

    /// Whether this worker will do, room aside.
    fn is_met_by(&self, worker: &Worker) -> bool {
        self.admits(worker) && self.unmet(worker).next().is_none()
    }
}

/// Every need that a queued job has, and some that none has at the moment, each with the workers that meet it.
#[derive(Default)]
pub(crate) struct Needs {
    entries: Slab<Entry>,
    by_need: BTreeMap<Arc<Need>, usize>,
    /// The entries with queued jobs.
    waiting: BTreeSet<usize>,
    /// The entries without, by when they were last used.
    idle: BTreeSet<(u64, usize)>,
    /// Counts uses of idle entries: the clock by which the oldest is found.
    uses: u64,
}

/// One need.
pub(crate) struct Entry {
    need: Arc<Need>,
    /// The workers that meet it, by their index in the fleet, whatever their room and availability.
    members: FixedBitSet,
    /// Its queued jobs, by the slots that they take, each line in order. No line is empty.
    lines: BTreeMap<u32, BTreeSet<(u64, JobId)>>,
    last_used: u64,
}

impl Entry {
    pub(crate) fn need(&self) -> &Need {
        &self.need
    }

    pub(crate) fn members(&self) -> &FixedBitSet {
        &self.members
    }

    /// Whether a job waits here that takes no more than this.
    pub(crate) fn waits_for(&self, slots: u32) -> bool {
        self.lines.range(..=slots).next().is_some()
    }

    /// The first job that takes no more than this: a look at the head of each line.
    fn first_within(&self, slots: u32) -> Option<(u64, JobId)> {
        let lines = self.lines.range(..=slots);
        lines.filter_map(|(_, line)| line.first().copied()).min()
    }
}

impl Needs {
    pub(crate) fn entry(&self, id: usize) -> &Entry {
        &self.entries[id]
    }

    /// The entry of a need. Only a need that is not known yet is held against the fleet.
    pub(crate) fn intern(&mut self, need: Need, fleet: &Fleet) -> usize {
        if let Some(&id) = self.by_need.get(&need) {
            if self.idle.remove(&(self.entries[id].last_used, id)) {
                self.retire(id);
            }
            return id;
        }
        let mut members = FixedBitSet::new();
        for (at, worker) in fleet.iter() {
            if need.is_met_by(worker) {
                members.grow_and_insert(at);
            }
        }
        let need = Arc::new(need);
        let id = self.entries.insert(Entry {
            need: need.clone(),
            members,
            lines: BTreeMap::new(),
            last_used: 0,
        });
        self.by_need.insert(need, id);
        self.retire(id);
        id
    }

    pub(crate) fn enqueue(&mut self, id: usize, slots: u32, order: u64, job: JobId) {
        let entry = &mut self.entries[id];
        entry.lines.entry(slots).or_default().insert((order, job));
        if self.waiting.insert(id) {
            self.idle.remove(&(entry.last_used, id));
        }
    }

    pub(crate) fn dequeue(&mut self, id: usize, slots: u32, order: u64, job: JobId) {
        let entry = &mut self.entries[id];
        if let Some(line) = entry.lines.get_mut(&slots) {
            line.remove(&(order, job));
            if line.is_empty() {
                entry.lines.remove(&slots);
            }
        }
        if entry.lines.is_empty() && self.waiting.remove(&id) {
            self.retire(id);
        }
    }

    /// The first queued job that this worker meets the need of and has room for.
    pub(crate) fn first_for(&self, worker: usize, free: u32) -> Option<JobId> {
        if free == 0 {
            return None;
        }
        self.waiting
            .iter()
            .map(|&id| &self.entries[id])
            .filter(|entry| entry.members.contains(worker))
            .filter_map(|entry| entry.first_within(free))
            .min()
            .map(|(_, job)| job)
    }

    /// Holds a new or changed worker against every need.
    pub(crate) fn on_worker(&mut self, at: usize, worker: &Worker) {
        for (_, entry) in &mut self.entries {
            if entry.need.is_met_by(worker) {
                entry.members.grow_and_insert(at);
            } else {
                entry.forget(at);
            }
        }
    }

    pub(crate) fn on_worker_left(&mut self, at: usize) {
        for (_, entry) in &mut self.entries {
            entry.forget(at);
        }
    }

    /// Keeps an entry without jobs for the next job with its need; forgets the one that was unused longest if there
    /// are too many.
    fn retire(&mut self, id: usize) {
        self.uses += 1;
        self.entries[id].last_used = self.uses;
        self.idle.insert((self.uses, id));
        if self.idle.len() > MAX_IDLE_NEEDS
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            let entry = self.entries.remove(oldest);
            self.by_need.remove(&entry.need);
        }
    }
}

impl Entry {
    fn forget(&mut self, worker: usize) {
        if self.members.contains(worker) {
            self.members.remove(worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(key: usize) -> Need {
        Need::new(
            vec![format!("k{key}").parse().expect("a requirement")],
            None,
        )
    }

    #[test]
    fn needs_without_jobs_are_kept_up_to_the_limit() {
        let (mut needs, fleet) = (Needs::default(), Fleet::default());
        let kept = needs.intern(need(0), &fleet);
        for key in 1..MAX_IDLE_NEEDS + 10 {
            needs.intern(need(key), &fleet);
            assert_eq!(needs.intern(need(0), &fleet), kept, "used all the time");
        }
        assert_eq!(needs.entries.len(), MAX_IDLE_NEEDS);
        assert_eq!(needs.by_need.len(), MAX_IDLE_NEEDS);
        assert_eq!(needs.idle.len(), MAX_IDLE_NEEDS);
    }

    #[test]
    fn order_and_repeats_of_requirements_do_not_matter() {
        let terms = |texts: &[&str]| {
            let terms = texts
                .iter()
                .map(|text| text.parse().expect("a requirement"));
            Need::new(terms.collect(), None)
        };
        assert_eq!(terms(&["a", "b=1|2"]), terms(&["b=2|1", "a", "a"]));
    }
}
