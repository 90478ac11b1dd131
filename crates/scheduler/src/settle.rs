//! Decisions, one after another, until none can be made.
//!
//! Before an event nothing could be placed. So after it only that can be placed which concerns what has changed: workers
//! with more room, queues and groups that have opened, lines with another head. These are *dirty*; nothing else is
//! looked at.

use std::collections::BTreeSet;

use crate::lines::{Head, Key};
use crate::queues::{Queue, Turn};
use crate::{Decision, Scheduler};

/// What has changed since nothing could be placed.
#[derive(Default)]
pub(crate) struct Dirty {
    /// Workers with more room. They are not on the list of those with room meanwhile.
    workers: Vec<u32>,
    /// Queues that have opened.
    pub(crate) queues: BTreeSet<u32>,
    /// Lines with another head, or whose group has opened, or whose head holds out no longer.
    pub(crate) lines: BTreeSet<u32>,
}

impl Dirty {
    pub(crate) fn add_worker(&mut self, at: u32) {
        if !self.workers.contains(&at) {
            self.workers.push(at);
        }
    }
}

/// What a walk along the lines finds for one worker.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    /// The first line whose head it has room for.
    fit: Option<u32>,
    /// The first line before that for which room has to be kept there.
    overdue: Option<u32>,
}

/// How many lines with the needs that a worker meets are looked at one by one, rather than queue after queue.
const FEW_LINES: usize = 32;

/// How many heads are passed over in order in the time in which one is looked up by its need. Measured; decides nothing.
const STEPS_PER_LOOK: usize = 12;

impl Scheduler {
    pub(crate) fn settle(&mut self, out: &mut Vec<Decision>) {
        if self.dirty.queues.is_empty()
            && self.dirty.lines.is_empty()
            && let [worker] = self.dirty.workers[..]
        {
            self.fill(worker, out);
        }
        while !(self.dirty.workers.is_empty()
            && self.dirty.queues.is_empty()
            && self.dirty.lines.is_empty())
        {
            for at in 0..self.dirty.workers.len() {
                self.fleet.list(self.dirty.workers[at]);
            }
            let Some(line) = self.candidate() else {
                break;
            };
            let found = self.find_worker(line);
            let worker = found.expect("a candidate is a line whose head some worker has room for");
            if let Some(overdue) = self.walk(worker).overdue {
                self.keep_room(worker, overdue);
            } else {
                self.assign(line, worker, out);
                self.fleet.list(worker);
            }
        }
        self.dirty.queues.clear();
        self.dirty.lines.clear();
    }

    /// Gives the one worker that has more room what waits for it: nothing else can have changed. Leaves off when
    /// something else does.
    fn fill(&mut self, worker: u32, out: &mut Vec<Decision>) {
        loop {
            let walk = self.walk(worker);
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
            if !self.dirty.lines.is_empty() || self.dirty.workers.len() > 1 {
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
        for line in self.dirty.lines.clone() {
            let of = self.lines.line(line);
            let may_go = of.listed.is_some() && self.queues.queue(of.common.queue).turn().is_some();
            if may_go && self.find_worker(line).is_some() {
                self.consider(line, &mut best);
            } else {
                self.dirty.lines.remove(&line);
            }
        }
        best.map(|(_, _, line)| line)
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

    /// What waits for this worker, in order. Both ways give the same answer.
    fn walk(&self, worker: u32) -> Walk {
        if self.fleet.free_slots(worker) < self.lines.least_slots() {
            return Walk::default();
        }
        let meets = &self.fleet.kind_of(worker).meets;
        let mut lines = 0;
        for need in self.needs.waiting.intersection(meets) {
            lines += self
                .needs
                .need(u32::try_from(need).expect("needs are numbered by u32"))
                .lines
                .len();
            if lines > FEW_LINES {
                return self.walk_queues(worker);
            }
        }
        if lines == 0 {
            return Walk::default();
        }
        self.walk_needs(worker)
    }

    /// Queue after queue: short if this worker suits much of what waits.
    fn walk_queues(&self, worker: u32) -> Walk {
        let meets = &self.fleet.kind_of(worker).meets;
        let keeps = self.may_keep_room(worker);
        let mut walk = Walk::default();
        for turn in &self.queues.order {
            let queue = self.queues.queue(turn.queue);
            let matching = queue.heads.needs().intersection_count(meets);
            if matching == 0 {
                continue;
            }
            // In order, the first match comes after about `heads / matching` steps. If it does not, looking at the
            // matching ones alone costs less, though each costs as much as several steps.
            let most = matching.saturating_mul(STEPS_PER_LOOK);
            let heads = queue.heads.ordered().len();
            let steps = if most.saturating_mul(matching) > heads {
                most
            } else {
                0
            };
            if let Some(over) = self.walk_heads(worker, queue, steps, keeps, &mut walk) {
                if over {
                    return walk;
                }
                continue;
            }
            if self.walk_matching(worker, queue, keeps, &mut walk) {
                return walk;
            }
        }
        walk
    }

    /// The heads of a queue in order, so many at most. Says whether the walk is over; `None` if it led nowhere.
    fn walk_heads(
        &self,
        worker: u32,
        queue: &Queue,
        steps: usize,
        keeps: bool,
        walk: &mut Walk,
    ) -> Option<bool> {
        let meets = &self.fleet.kind_of(worker).meets;
        for head in queue.heads.ordered().iter().take(steps) {
            if meets.contains(head.need as usize) && self.step(worker, head.line, keeps, walk) {
                return Some(true);
            }
        }
        (steps >= queue.heads.ordered().len()).then_some(false)
    }

    /// The heads of a queue that the worker suits, in no order. Says whether the walk is over.
    fn walk_matching(&self, worker: u32, queue: &Queue, keeps: bool, walk: &mut Walk) -> bool {
        let meets = &self.fleet.kind_of(worker).meets;
        let (mut fit, mut overdue): (Option<Head>, Option<Head>) = (None, None);
        let keeps = keeps && walk.overdue.is_none();
        for need in queue.heads.needs().intersection(meets) {
            for head in queue.heads.with_need(need) {
                if fit.is_some_and(|fit| fit < *head) {
                    break;
                }
                if self.fits(worker, head.line) {
                    fit = Some(*head);
                    break;
                }
                if keeps
                    && overdue.is_none_or(|overdue| *head < overdue)
                    && self.has_to_be_kept_for(worker, head.line)
                {
                    overdue = Some(*head);
                }
            }
        }
        if let Some(head) = overdue.filter(|overdue| fit.is_none_or(|fit| *overdue < fit)) {
            walk.overdue = Some(head.line);
        }
        walk.fit = fit.map(|head| head.line);
        fit.is_some()
    }

    /// Need after need: short if this worker suits little of what waits.
    fn walk_needs(&self, worker: u32) -> Walk {
        let meets = &self.fleet.kind_of(worker).meets;
        let mut lines: Vec<(&Turn, Key, u32)> = Vec::with_capacity(FEW_LINES);
        for need in self.needs.waiting.intersection(meets) {
            let need = self
                .needs
                .need(u32::try_from(need).expect("needs are numbered by u32"));
            for &line in &need.lines {
                let of = self.lines.line(line);
                if let Some(turn) = self.queues.queue(of.common.queue).turn() {
                    lines.push((turn, of.first.key, line));
                }
            }
        }
        lines.sort_unstable();
        let keeps = self.may_keep_room(worker);
        let mut walk = Walk::default();
        for (_, _, line) in lines {
            if self.step(worker, line, keeps, &mut walk) {
                break;
            }
        }
        walk
    }

    /// One line of a walk that the worker suits. Says whether the walk is over.
    fn step(&self, worker: u32, line: u32, keeps: bool, walk: &mut Walk) -> bool {
        if self.fits(worker, line) {
            walk.fit = Some(line);
            return true;
        }
        if keeps && walk.overdue.is_none() && self.has_to_be_kept_for(worker, line) {
            walk.overdue = Some(line);
        }
        false
    }

    /// Whether the head of a line that the worker suits may go there now.
    fn fits(&self, worker: u32, line: u32) -> bool {
        self.has_room(worker, line) && self.may_go(worker, line)
    }

    /// Whether a line that does not fit must not be passed over on this worker any more.
    fn has_to_be_kept_for(&self, worker: u32, line: u32) -> bool {
        self.is_overdue(line)
            && self.lines.line(line).kept_on.is_none()
            && self.could_hold(worker, line)
            && !self.holds_out(line)
    }

    /// Whether room may be kept on this worker for a line that is passed over there.
    fn may_keep_room(&self, worker: u32) -> bool {
        self.policy.reserve_after.is_some()
            && self.kept < self.policy.max_reservations
            && self.fleet.worker(worker).kept_for.is_none()
    }
}
