//! What one worker finds along the lines, in order: what it has room for, and what must not be passed over there.

use std::borrow::Cow;

use fixedbitset::FixedBitSet;

use crate::Scheduler;
use crate::amounts::Amounts;
use crate::lines::{Head, Key};
use crate::queues::Turn;

/// What a walk along the lines finds for one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    /// The first line whose head it has room for.
    pub(crate) fit: Option<u32>,
    /// The first line before that for which room has to be kept there.
    pub(crate) overdue: Option<u32>,
    /// Queues that were searched in vain for such lines, because it is not known when their oldest was queued.
    unsure: Vec<u32>,
}

/// How many lines with the needs that a worker meets are looked at one by one, rather than queue after queue.
const FEW_LINES: usize = 32;

impl Scheduler {
    /// What waits for this worker, in order.
    pub(crate) fn walk(&self, worker: u32) -> Walk {
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
    pub(crate) fn surely_walk(&mut self, worker: u32) -> Walk {
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
