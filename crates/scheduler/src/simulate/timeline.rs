//! What happens when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jobyard_core::Steady;

use super::load::Load;

/// Something that is going to happen. Things of one moment happen in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// A job ends.
    End {
        /// Counts the starts: of two jobs, the one that was started first ends first.
        start: u64,
        /// Which job of the load.
        job: usize,
    },
    /// A worker of the load joins.
    Join(usize),
    /// A worker of the load leaves.
    Leave(usize),
    /// A job of the load arrives.
    Arrive(usize),
}

/// What is still to happen. Holds what the load says in order, and ends of jobs as they become known.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Latest first.
    told: Vec<(Steady, Happening)>,
    ends: BinaryHeap<Reverse<(Steady, Happening)>>,
    starts: u64,
}

impl Timeline {
    pub(super) fn new(load: &Load) -> Self {
        let joins = load.workers.iter().enumerate();
        let joins = joins.map(|(at, worker)| (moment(worker.joins_at), Happening::Join(at)));
        let leaves = load.workers.iter().enumerate().filter_map(|(at, worker)| {
            let leaves_at = worker.leaves_at?;
            Some((moment(leaves_at), Happening::Leave(at)))
        });
        let arrivals = load.jobs.iter().enumerate();
        let arrivals = arrivals.map(|(at, job)| (moment(job.arrives_at), Happening::Arrive(at)));
        let mut told: Vec<_> = joins.chain(leaves).chain(arrivals).collect();
        told.sort_unstable_by(|one, other| other.cmp(one));
        Self {
            told,
            ends: BinaryHeap::new(),
            starts: 0,
        }
    }

    /// A job has started, and ends then.
    pub(super) fn ends(&mut self, job: usize, at: Steady) {
        let start = self.starts;
        self.starts += 1;
        self.ends.push(Reverse((at, Happening::End { start, job })));
    }

    /// When the next thing happens.
    pub(super) fn next_moment(&self) -> Option<Steady> {
        let told = self.told.last().map(|(at, _)| *at);
        let end = self.ends.peek().map(|Reverse((at, _))| *at);
        match (told, end) {
            (Some(told), Some(end)) => Some(told.min(end)),
            (told, end) => told.or(end),
        }
    }

    /// The next thing that happens.
    pub(super) fn pop(&mut self) -> Option<(Steady, Happening)> {
        let told = self.told.last();
        let end = self.ends.peek().map(|Reverse(end)| end);
        match (told, end) {
            (Some(told), Some(end)) if told < end => self.told.pop(),
            (_, Some(_)) => self.ends.pop().map(|Reverse(end)| end),
            _ => self.told.pop(),
        }
    }
}

/// So long after the beginning.
pub(super) fn moment(after: Duration) -> Steady {
    Steady::from_micros(0) + after
}
