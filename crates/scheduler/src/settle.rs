//! Decisions, one after another, until none can be made.
//!
//! Before an event nothing could be placed. So after it only that can be placed which concerns what has changed: workers
//! with more room, queues and groups that have opened, lines with another head. These are *dirty*; nothing else is
//! looked at.

use std::borrow::Cow;
use std::collections::BTreeSet;

use fixedbitset::FixedBitSet;

use crate::amounts::Amounts;
use crate::lines::{Head, Key};
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

/// What a walk along the lines finds for one worker.
#[derive(Clone, Debug, Default)]
struct Walk {
    /// The first line whose head it has room for.
    fit: Option<u32>,
    /// The first line before that for which room has to be kept there.
    overdue: Option<u32>,
    /// Queues that were searched in vain for such lines, because it is not known when their oldest was queued.
    unsure: Vec<u32>,
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

/// How many lines with the needs that a worker meets are looked at one by one, rather than queue after queue.
const FEW_LINES: usize = 32;

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
        let mut queues: Vec<_> = in_order
            .iter()
            .map(|(queue, key, line)| (*queue, *key, *line))
            .collect();
        queues.sort_unstable();
        queues.dedup_by_key(|(queue, _, _)| *queue);
        for (_, _, line) in queues {
            self.list_line(line);
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

    /// What waits for this worker, in order.
    fn walk(&self, worker: u32) -> Walk {
        let (of, offer) = (self.fleet.worker(worker), self.fleet.offer(worker));
        let meets = &self.fleet.kind_of(worker).meets;
        let kept = of.kept_for.map(|line| self.asks(line));
        let has_room = |asks: &Amounts| match kept {
            Some(kept) => offer.total.has_room_beside(&of.used, asks, kept),
            None => offer.total.has_room(&of.used, asks),
        };
        let fitting = self.needs.with_room(meets, has_room);
        let first = fitting
            .as_ref()
            .and_then(|needs| self.first_fit(worker, needs));
        let Some(fit) = self.earlier(first, self.kept_line(worker)) else {
            return Walk::default();
        };
        let mut walk = Walk {
            fit: Some(fit),
            ..Walk::default()
        };
        // If everything fits, nothing is passed over for want of room.
        if let Some(Cow::Owned(fitting)) = fitting
            && self.may_keep_room(worker)
        {
            walk.overdue = self.first_overdue(worker, &fitting, fit, &mut walk.unsure);
        }
        walk
    }

    /// A walk after which it is known when the oldest of the queues on the way were queued.
    fn surely_walk(&mut self, worker: u32) -> Walk {
        let walk = self.walk(worker);
        for queue in &walk.unsure {
            self.queues.find_oldest(*queue);
        }
        walk
    }

    /// The line for which room is kept on this worker, if there is enough now.
    fn kept_line(&self, worker: u32) -> Option<u32> {
        let line = self.fleet.worker(worker).kept_for?;
        let may_go = self.lines.line(line).listed.is_some() && self.fits(worker, line);
        may_go.then_some(line)
    }

    /// The one of two lines that goes first, of those whose queues may go.
    fn earlier(&self, one: Option<u32>, other: Option<u32>) -> Option<u32> {
        let placed = |line: u32| {
            let of = self.lines.line(line);
            let turn = self.queues.queue(of.common.queue).turn()?;
            Some((turn, of.first.key, line))
        };
        let lines = [one, other].into_iter().flatten().filter_map(placed);
        lines.min().map(|(_, _, line)| line)
    }

    /// The first line with one of these needs whose head may go to this worker. Every way gives the same answer.
    fn first_fit(&self, worker: u32, needs: &FixedBitSet) -> Option<u32> {
        let mut lines = 0;
        for need in self.needs.waiting.intersection(needs) {
            lines += self.needs.need(number(need)).lines.len();
            if lines > FEW_LINES {
                return self.first_of_queues(worker, needs);
            }
        }
        self.first_of_few(worker, needs)
    }

    /// Need after need: there are few lines.
    fn first_of_few(&self, worker: u32, needs: &FixedBitSet) -> Option<u32> {
        let mut lines: Vec<(&Turn, Key, u32)> = Vec::new();
        for need in self.needs.waiting.intersection(needs) {
            for &line in &self.needs.need(number(need)).lines {
                let of = self.lines.line(line);
                if let Some(turn) = self.queues.queue(of.common.queue).turn() {
                    lines.push((turn, of.first.key, line));
                }
            }
        }
        lines.sort_unstable();
        let mut lines = lines.into_iter().map(|(_, _, line)| line);
        lines.find(|line| self.fits(worker, *line))
    }

    /// Queue after queue.
    fn first_of_queues(&self, worker: u32, needs: &FixedBitSet) -> Option<u32> {
        let fits = |head: &Head| self.fits(worker, head.line);
        let mut queues = self.queues.order.iter();
        let first = queues.find_map(|turn| {
            let heads = &self.queues.queue(turn.queue).heads;
            heads.first_with(needs, None, fits)
        });
        first.map(|head| head.line)
    }

    /// The first line that goes before this one, could be held by this worker, does not fit, and must not be passed over.
    fn first_overdue(
        &self,
        worker: u32,
        fitting: &FixedBitSet,
        fit: u32,
        unsure: &mut Vec<u32>,
    ) -> Option<u32> {
        let mut needs = self.fleet.kind_of(worker).meets.clone();
        needs.difference_with(fitting);
        needs.intersect_with(&self.needs.waiting);
        if needs.is_clear() {
            return None;
        }
        let fit = self.lines.line(fit);
        let last = self.queues.queue(fit.common.queue).turn()?;
        let waits = |head: &Head| {
            self.is_overdue(head.since)
                && self.lines.line(head.line).kept_on.is_none()
                && self.could_hold(worker, head.line)
                && !self.holds_out(head.line)
        };
        let mut queues = self.queues.order.range(..=last);
        let first = queues.find_map(|turn| {
            let before = (turn == last).then_some(fit.first.key);
            let heads = &self.queues.queue(turn.queue).heads;
            if !self.is_overdue(heads.oldest()) {
                return None;
            }
            let first = heads.first_with(&needs, before, waits);
            if first.is_none() {
                unsure.push(turn.queue);
            }
            first
        });
        first.map(|head| head.line)
    }

    /// Whether the head of a line that the worker suits may go there now.
    fn fits(&self, worker: u32, line: u32) -> bool {
        self.has_room(worker, line) && self.may_go(worker, line)
    }

    /// Whether room may be kept on this worker for a line that is passed over there.
    fn may_keep_room(&self, worker: u32) -> bool {
        self.policy.reserve_after.is_some()
            && self.kept < self.policy.max_reservations
            && self.fleet.worker(worker).kept_for.is_none()
    }
}

fn number(need: usize) -> u32 {
    u32::try_from(need).expect("needs are numbered by u32")
}
