//! The lines in which jobs wait: of one queue, with the same wants and the same group.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jobyard_core::Steady;
use slab::Slab;

use crate::jobs::Jobs;

/// The place of a job in its queue: lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) priority: Reverse<i32>,
    pub(crate) order: u64,
    /// Counts the jobs that were ever queued.
    pub(crate) arrival: u64,
}

/// The first job of a line, as the line's queue lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    pub(crate) key: Key,
    pub(crate) line: u32,
    /// The line's need: so that lines that do not suit are passed over without being looked at.
    pub(crate) need: u32,
    /// When the job was queued.
    pub(crate) since: Steady,
}

/// A job in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) key: Key,
    pub(crate) job: u32,
    /// When it was queued.
    pub(crate) since: Steady,
}

/// What all jobs of a line have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Common {
    pub(crate) queue: u32,
    pub(crate) shape: u32,
    /// `None`: without a group.
    pub(crate) gate: Option<u32>,
}

pub(crate) struct Line {
    pub(crate) common: Common,
    pub(crate) need: u32,
    /// Never missing but while the line is made or forgotten.
    pub(crate) first: First,
    /// The jobs behind the first.
    rest: BTreeMap<Key, u32>,
    /// Its place among the lines with its need that may go; `None` if its gate is closed.
    pub(crate) listed: Option<u32>,
    /// The worker on which room is kept for it.
    pub(crate) kept_on: Option<u32>,
    /// When its first job holds out no longer.
    pub(crate) yields_at: Option<Steady>,
}

impl Line {
    pub(crate) fn head(&self, line: u32) -> Head {
        Head {
            key: self.first.key,
            line,
            need: self.need,
            since: self.first.since,
        }
    }

    /// How many jobs of the line stand before this place.
    pub(crate) fn before(&self, key: Key) -> u64 {
        let first = u64::from(self.first.key < key);
        first + self.rest.range(..key).map(|_| 1).sum::<u64>()
    }

    /// The indices of its jobs.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.first.job).chain(self.rest.values().copied())
    }
}

/// Every line that has a job.
pub(crate) struct Lines {
    entries: Slab<Line>,
    by_common: HashMap<Common, u32, FixedState>,
    /// Lines whose first job holds out, by when it no longer does.
    pub(crate) yielding: BTreeSet<(Steady, u32)>,
}

/// What becomes of a line when a job comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its first job is the same.
    Behind,
    /// It has another first job, and this was its head.
    First(Head),
    /// It was made for this job, or has lost its last one.
    Whole,
}

impl Lines {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Slab::new(),
            by_common: HashMap::with_hasher(FixedState::with_seed(seed)),
            yielding: BTreeSet::new(),
        }
    }

    pub(crate) fn line(&self, at: u32) -> &Line {
        &self.entries[at as usize]
    }

    pub(crate) fn line_mut(&mut self, at: u32) -> &mut Line {
        &mut self.entries[at as usize]
    }

    /// Every line, with its index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Line)> {
        let entries = self.entries.iter();
        entries.map(|(at, line)| {
            (
                u32::try_from(at).expect("fewer lines than a u32 counts"),
                line,
            )
        })
    }

    /// Puts a job into its line. A line that was made or has another first job is to be listed anew.
    pub(crate) fn push(&mut self, common: Common, need: u32, new: First) -> (u32, Change) {
        if let Some(&at) = self.by_common.get(&common) {
            let line = &mut self.entries[at as usize];
            if new.key < line.first.key {
                let head = line.head(at);
                let old = std::mem::replace(&mut line.first, new);
                line.rest.insert(old.key, old.job);
                return (at, Change::First(head));
            }
            line.rest.insert(new.key, new.job);
            return (at, Change::Behind);
        }
        let at = self.entries.insert(Line {
            common,
            need,
            first: new,
            rest: BTreeMap::new(),
            listed: None,
            kept_on: None,
            yields_at: None,
        });
        let at = u32::try_from(at).expect("fewer lines than a u32 counts");
        self.by_common.insert(common, at);
        (at, Change::Whole)
    }

    /// What removing a job will do to its line.
    pub(crate) fn change_without(&self, at: u32, key: Key) -> Change {
        let line = &self.entries[at as usize];
        match (line.first.key == key, line.rest.is_empty()) {
            (true, true) => Change::Whole,
            (true, false) => Change::First(line.head(at)),
            (false, _) => Change::Behind,
        }
    }

    /// Takes a job out of its line, which must not be listed if the job is its first. A line without jobs is gone.
    pub(crate) fn remove(&mut self, at: u32, key: Key, jobs: &Jobs) {
        let line = &mut self.entries[at as usize];
        if line.first.key != key {
            line.rest.remove(&key);
            return;
        }
        if let Some((key, job)) = line.rest.pop_first() {
            let since = jobs.job(job).since;
            line.first = First { key, job, since };
            return;
        }
        let line = self.entries.remove(at as usize);
        self.by_common.remove(&line.common);
    }

    /// Notes when the first job of a line no longer holds out.
    pub(crate) fn set_yields_at(&mut self, at: u32, due: Option<Steady>) {
        let line = &mut self.entries[at as usize];
        if let Some(old) = std::mem::replace(&mut line.yields_at, due) {
            self.yielding.remove(&(old, at));
        }
        if let Some(due) = due {
            self.yielding.insert((due, at));
        }
    }
}
