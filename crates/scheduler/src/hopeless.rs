//! Jobs that no worker could ever run, and when they are given up.

use std::collections::BTreeMap;

use jobyard_core::Steady;

use crate::{Decision, Scheduler};

/// Shapes with waiting jobs that no known worker could hold. Only kept if jobs are ever given up.
#[derive(Default)]
pub(crate) struct Hopeless {
    shapes: BTreeMap<u32, Since>,
}

struct Since {
    /// Since when it is impossible.
    impossible: Steady,
    /// Not after the first of its jobs is given up.
    due: Steady,
}

impl Hopeless {
    pub(crate) fn next_deadline(&self) -> Option<Steady> {
        self.shapes.values().map(|since| since.due).min()
    }

    /// No job of this shape waits any more.
    pub(crate) fn forget(&mut self, shape: u32) {
        self.shapes.remove(&shape);
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
            self.hopeless.shapes.clear();
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
            self.hopeless.shapes.insert(shape, since);
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
        let shapes = &self.shapes;
        self.hopeless.shapes.retain(|shape, _| {
            let shape = shapes.shape(*shape);
            !(meets.contains(shape.need as usize) && total.covers(&shape.asks))
        });
    }

    /// Gives up what has been impossible for long enough.
    pub(crate) fn give_up(&mut self, out: &mut Vec<Decision>) {
        let Some(after) = self.policy.give_up_after else {
            return;
        };
        let mut over = Vec::new();
        for (&shape, since) in &mut self.hopeless.shapes {
            if since.due > self.now {
                continue;
            }
            let mut next: Option<Steady> = None;
            let lines = self
                .lines
                .iter()
                .filter(|(_, line)| line.common.shape == shape);
            for at in lines.flat_map(|(_, line)| line.jobs()) {
                let job = self.jobs.job(at);
                let due = job.since.max(since.impossible) + after;
                if due <= self.now {
                    over.push((job.key.arrival, at));
                } else {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
            since.due = next.unwrap_or(since.due);
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
