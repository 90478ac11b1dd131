//! Jobs that no worker could ever run, and when they are given up.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::Steady;

use crate::{Decision, Scheduler};

/// Shapes with waiting jobs that no known worker could hold. Only kept if jobs are ever given up.
#[derive(Default)]
pub(crate) struct Hopeless {
    shapes: BTreeMap<u32, Since>,
    /// By when the next of their jobs is given up.
    due: BTreeSet<(Steady, u32)>,
}

struct Since {
    /// Since when it is impossible.
    impossible: Steady,
    /// Not after the first of its jobs is given up.
    due: Steady,
}

impl Hopeless {
    pub(crate) fn next_deadline(&self) -> Option<Steady> {
        self.due.first().map(|(due, _)| *due)
    }

    /// No job of this shape waits any more, or some worker could hold it.
    pub(crate) fn forget(&mut self, shape: u32) {
        if let Some(since) = self.shapes.remove(&shape) {
            self.due.remove(&(since.due, shape));
        }
    }

    fn insert(&mut self, shape: u32, since: Since) {
        self.forget(shape);
        self.due.insert((since.due, shape));
        self.shapes.insert(shape, since);
    }
}

impl Scheduler {
    /// Whether a job that nobody could run is given up some day, as things are.
    fn judges(&self) -> bool {
        self.policy.give_up_after.is_some() && self.fleet_known && !self.fleet_may_grow
    }

    /// Whether some known worker could hold jobs of this shape, available or not.
    fn is_possible(&self, shape: u32) -> bool {
        let shape = self.shapes.shape(shape);
        let mut kinds = self.fleet.kinds.iter().map(|(_, kind)| kind);
        kinds.any(|kind| {
            kind.meets.contains(shape.need as usize)
                && kind
                    .members
                    .iter()
                    .any(|&at| self.fleet.offer(at).total.covers(&shape.asks))
        })
    }

    /// A job of this shape has been queued.
    pub(crate) fn judge_queued(&mut self, shape: u32) {
        if self.judges() && self.shapes.shape(shape).waiting == 1 {
            self.judge(shape);
        }
    }

    /// Verdicts may have become definite, or no longer are.
    pub(crate) fn judge_all(&mut self) {
        if !self.judges() {
            self.hopeless = Hopeless::default();
            return;
        }
        let waiting = self.shapes.iter().filter(|(_, shape)| shape.waiting > 0);
        let waiting: Vec<_> = waiting.map(|(at, _)| at).collect();
        self.judge_lost(waiting);
    }

    /// Notes since when a shape is impossible, if it is.
    fn judge(&mut self, shape: u32) {
        let Some(after) = self.policy.give_up_after else {
            return;
        };
        if !self.hopeless.shapes.contains_key(&shape) && !self.is_possible(shape) {
            let since = Since {
                impossible: self.now,
                due: self.now + after,
            };
            self.hopeless.insert(shape, since);
        }
    }

    /// The shapes with waiting jobs that this worker could hold: those that may become impossible when it changes.
    pub(crate) fn judged_by(&self, worker: u32) -> Vec<u32> {
        if !self.judges() {
            return Vec::new();
        }
        let total = &self.fleet.offer(worker).total;
        let meets = &self.fleet.kind_of(worker).meets;
        let held = self.shapes.iter().filter(|(_, shape)| {
            shape.waiting > 0 && meets.contains(shape.need as usize) && total.covers(&shape.asks)
        });
        held.map(|(at, _)| at).collect()
    }

    /// A worker that could hold these has changed or gone.
    pub(crate) fn judge_lost(&mut self, shapes: Vec<u32>) {
        for shape in shapes {
            self.judge(shape);
        }
    }

    /// A worker has come or changed.
    pub(crate) fn judge_gained(&mut self, worker: u32) {
        if self.hopeless.shapes.is_empty() {
            return;
        }
        let total = &self.fleet.offer(worker).total;
        let meets = &self.fleet.kind_of(worker).meets;
        let possible = self.hopeless.shapes.keys().copied().filter(|at| {
            let shape = self.shapes.shape(*at);
            meets.contains(shape.need as usize) && total.covers(&shape.asks)
        });
        for shape in possible.collect::<Vec<_>>() {
            self.hopeless.forget(shape);
        }
    }

    /// Gives up what has been impossible for long enough.
    pub(crate) fn give_up(&mut self, out: &mut Vec<Decision>) {
        let Some(after) = self.policy.give_up_after else {
            return;
        };
        let mut over = Vec::new();
        while let Some(&(due, shape)) = self.hopeless.due.first()
            && due <= self.now
        {
            let impossible = self.hopeless.shapes[&shape].impossible;
            let mut next = None;
            let lines = self.lines.iter();
            let lines = lines.filter(|(_, line)| line.common.shape == shape);
            for at in lines.flat_map(|(_, line)| line.jobs()) {
                let job = self.jobs.job(at);
                let due = job.since.max(impossible) + after;
                if due <= self.now {
                    over.push((job.key.arrival, at));
                } else {
                    next = Some(next.map_or(due, |next: Steady| next.min(due)));
                }
            }
            match next {
                Some(due) => self.hopeless.insert(shape, Since { impossible, due }),
                // All of its jobs go now.
                None => self.hopeless.forget(shape),
            }
        }
        over.sort_unstable();
        for (_, at) in over {
            let job = self.jobs.job(at).id;
            self.withdraw(at);
            out.push(Decision::GaveUp { job });
        }
        self.dirty.lines.clear();
    }
}
