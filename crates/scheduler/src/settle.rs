//! Decisions, one after another, until none can be made.
//!
//! Before an event nothing could be placed. So after it only that can be placed which concerns what has changed: workers
//! with more room, queues and groups that have opened, lines with another head. These are *dirty*; nothing else is
//! looked at.

use std::collections::BTreeSet;

use crate::lines::Key;
use crate::queues::Turn;
use crate::{Decision, Scheduler};

/// What has changed since nothing could be placed.
#[derive(Default)]
pub(crate) struct Dirty {
    /// Workers with more room. They are not on the list of those with room meanwhile.
    workers: Vec<u32>,
    /// Queues that have opened.
    pub(crate) queues: BTreeSet<u32>,
    /// Groups that have opened. Their lines are listed only as far as they are looked at.
    pub(crate) gates: BTreeSet<u32>,
    /// Lines with another head, or whose head holds out no longer.
    pub(crate) lines: BTreeSet<u32>,
}

impl Dirty {
    /// Whether nothing but workers has changed.
    fn is_about_workers(&self) -> bool {
        self.queues.is_empty() && self.gates.is_empty() && self.lines.is_empty()
    }

    pub(crate) fn add_worker(&mut self, at: u32) {
        if !self.workers.contains(&at) {
            self.workers.push(at);
        }
    }
}

/// What a search among lines came to.
#[derive(Clone, Copy, Debug)]
enum Search {
    /// This one goes first.
    Found(u32),
    /// None goes before the best that is known; what comes after it was not looked at.
    Behind,
    /// None of them can be placed.
    None,
}

impl Scheduler {
    pub(crate) fn settle(&mut self, out: &mut Vec<Decision>) {
        if self.dirty.is_about_workers()
            && let [worker] = self.dirty.workers[..]
        {
            self.fill(worker, out);
        }
        while !(self.dirty.workers.is_empty() && self.dirty.is_about_workers()) {
            for at in 0..self.dirty.workers.len() {
                self.fleet.list(self.dirty.workers[at]);
            }
            let Some(line) = self.candidate() else {
                break;
            };
            let found = self.find_worker(line);
            let worker = found.expect("a candidate is a line whose head some worker has room for");
            if let Some(overdue) = self.surely_walk(worker).overdue {
                self.keep_room(worker, overdue);
            } else {
                self.assign(line, worker, out);
                self.fleet.list(worker);
            }
        }
        self.dirty.queues.clear();
        self.dirty.gates.clear();
        self.dirty.lines.clear();
    }

    /// Gives the one worker that has more room what waits for it: nothing else can have changed. Leaves off when
    /// something else does.
    fn fill(&mut self, worker: u32, out: &mut Vec<Decision>) {
        loop {
            let walk = self.surely_walk(worker);
            let Some(line) = walk.fit else {
                self.dirty.workers.clear();
                self.fleet.list(worker);
                return;
            };
            if let Some(overdue) = walk.overdue {
                self.keep_room(worker, overdue);
                continue;
            }
            self.assign(line, worker, out);
            if !self.dirty.is_about_workers() || self.dirty.workers.len() > 1 {
                return;
            }
        }
    }

    /// The head of a line goes to a worker.
    fn assign(&mut self, line: u32, worker: u32, out: &mut Vec<Decision>) {
        let of = self.lines.line(line);
        let (first, common) = (of.first, of.common);
        if let Some(kept_on) = of.kept_on {
            self.keep_no_room(kept_on);
        }
        self.take_from_line(line, first.key);
        self.shapes.shape_mut(common.shape).waiting -= 1;
        self.place(first.job, worker, true);
        out.push(Decision::Assigned {
            job: self.jobs.job(first.job).id,
            worker: self.fleet.worker(worker).id,
        });
    }

    /// The line, among those that may have become placeable, whose head goes first. What turns out not to be placeable
    /// is dirty no longer: within an event, room only shrinks.
    fn candidate(&mut self) -> Option<u32> {
        let mut best: Option<(Turn, Key, u32)> = None;
        for worker in std::mem::take(&mut self.dirty.workers) {
            if let Some(line) = self.walk(worker).fit {
                self.dirty.workers.push(worker);
                self.consider(line, &mut best);
            }
        }
        for queue in self.dirty.queues.clone() {
            match self.first_placeable(queue, best.as_ref()) {
                Some(line) => self.consider(line, &mut best),
                None if best.is_some() => {}
                None => drop(self.dirty.queues.remove(&queue)),
            }
        }
        for gate in self.dirty.gates.clone() {
            let lines = self.groups.open_lines(gate).into_iter().flatten();
            let lines = lines.copied().collect();
            match self.first_of(lines, best.as_ref()) {
                Search::Found(line) => self.consider(line, &mut best),
                Search::Behind => {}
                Search::None => drop(self.dirty.gates.remove(&gate)),
            }
        }
        let lines = self.dirty.lines.iter().copied().collect();
        match self.first_of(lines, best.as_ref()) {
            Search::Found(line) => self.consider(line, &mut best),
            Search::Behind => {}
            Search::None => self.dirty.lines.clear(),
        }
        best.map(|(_, _, line)| line)
    }

    /// The first of these lines, which may be unlisted so far, whose head some worker has room for, if it goes before the
    /// best so far. Lists what it looks at.
    fn first_of(&mut self, lines: Vec<u32>, best: Option<&(Turn, Key, u32)>) -> Search {
        let mut in_order = Vec::with_capacity(lines.len());
        for line in lines {
            let of = self.lines.line(line);
            let queue = self.queues.queue(of.common.queue);
            if queue.is_open() {
                in_order.push((of.common.queue, of.first.key, line));
            } else {
                // It may go as soon as its queue may.
                self.list_line(line);
            }
        }
        // A queue gets its turn with its first line that may go.
        in_order.sort_unstable();
        for lines in in_order.chunk_by(|(queue, ..), (next, ..)| queue == next) {
            let (_, _, first) = lines[0];
            self.list_line(first);
        }
        let turn = |queue: u32| self.queues.queue(queue).turn();
        let mut in_order: Vec<_> = in_order
            .into_iter()
            .filter_map(|(queue, key, line)| Some((turn(queue)?.clone(), key, line)))
            .collect();
        in_order.sort_unstable();
        for (turn, key, line) in in_order {
            if best.is_some_and(|(first, than, _)| (first, than) < (&turn, &key)) {
                return Search::Behind;
            }
            self.list_line(line);
            if self.lines.line(line).listed.is_some() && self.find_worker(line).is_some() {
                return Search::Found(line);
            }
        }
        Search::None
    }

    fn consider(&self, line: u32, best: &mut Option<(Turn, Key, u32)>) {
        let of = self.lines.line(line);
        let Some(turn) = self.queues.queue(of.common.queue).turn() else {
            return;
        };
        let key = of.first.key;
        if best
            .as_ref()
            .is_none_or(|(first, than, _)| (turn, &key) < (first, than))
        {
            *best = Some((turn.clone(), key, line));
        }
    }

    /// The first line of a queue whose head some worker has room for, if it goes before the best so far.
    fn first_placeable(&mut self, queue: u32, best: Option<&(Turn, Key, u32)>) -> Option<u32> {
        let turn = self.queues.queue(queue).turn()?;
        let end = match best {
            Some((first, _, _)) if first < turn => return None,
            Some((first, key, _)) if first == turn => Some(*key),
            _ => None,
        };
        let mut next = self.queues.queue(queue).heads.ordered().first().copied();
        while let Some(head) = next.filter(|head| end.is_none_or(|end| head.key < end)) {
            if self.find_worker(head.line).is_some() {
                return Some(head.line);
            }
            let behind = (std::ops::Bound::Excluded(head), std::ops::Bound::Unbounded);
            next = self
                .queues
                .queue(queue)
                .heads
                .ordered()
                .range(behind)
                .next()
                .copied();
        }
        None
    }
}
