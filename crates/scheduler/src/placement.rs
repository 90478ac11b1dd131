//! Which worker a job goes to.

use std::cmp::Reverse;
use std::time::Duration;

use jobyard_core::Steady;

use crate::fleet::Kind;
use crate::lines::Line;
use crate::shapes::Shape;
use crate::turning::{Rank, Turning, rank};
use crate::{MAX_SCORED, Placement, Scheduler, Score, ScoredJob, ScoredWorker, ring_place};

/// How many workers are tried in the order of the whole fleet before it is searched kind by kind. Decides nothing: in
/// a mixed fleet one of the first will do, and where none does, the kinds lead to it at once.
const FIRST_TRIES: usize = 16;

/// A job that looks for a worker.
struct Search<'a> {
    line: u32,
    of: &'a Line,
    shape: &'a Shape,
    from: u128,
}

impl Scheduler {
    /// The worker that the first job of a line goes to now, if any has room.
    pub(crate) fn find_worker(&mut self, line: u32) -> Option<u32> {
        let of = self.lines.line(line);
        let shape = of.common.shape;
        // Room that is kept for this very line is not looked at by the other lines of its shape.
        if of.kept_on.is_none() && self.shapes.is_stuck(shape, &self.needs) {
            return None;
        }
        let holds_out = self.holds_out(line);
        let found = self.search(line, holds_out);
        if found.is_none() && !holds_out {
            self.shapes.set_stuck(shape, &mut self.needs);
        }
        found
    }

    fn search(&self, line: u32, holds_out: bool) -> Option<u32> {
        if self.fleet.roomy.is_empty() {
            return None;
        }
        let of = self.lines.line(line);
        let job = self.jobs.job(of.first.job);
        let search = Search {
            line,
            of,
            shape: self.shapes.shape(of.common.shape),
            from: ring_place(job.id.as_uuid().as_u128()),
        };
        match &self.policy.placement {
            Placement::Spread => self.by_load(&search, false),
            Placement::Pack => self.by_load(&search, true),
            Placement::Warm { .. } => self.by_warmth(&search, holds_out),
            Placement::Scored(score) => self.by_score(&search, &**score),
        }
    }

    /// Whether a worker has room for the first job of a line. Whether it suits is not looked at.
    pub(crate) fn has_room(&self, at: u32, line: u32) -> bool {
        let worker = self.fleet.worker(at);
        if !worker.is_available() {
            return false;
        }
        let total = &self.fleet.offer(at).total;
        let asks = self.asks(line);
        match worker.kept_for {
            Some(other) if other != line => {
                total.has_room_beside(&worker.used, asks, self.asks(other))
            }
            _ => total.has_room(&worker.used, asks),
        }
    }

    /// Whether an idle worker could hold the first job of a line.
    pub(crate) fn could_hold(&self, at: u32, line: u32) -> bool {
        let need = self.lines.line(line).need;
        self.fleet.kind_of(at).meets.contains(need as usize)
            && self.fleet.offer(at).total.covers(self.asks(line))
    }

    /// What the jobs of a line take.
    pub(crate) fn asks(&self, line: u32) -> &crate::amounts::Amounts {
        let shape = self.lines.line(line).common.shape;
        &self.shapes.shape(shape).asks
    }

    /// Whether the first job of a line goes only to workers that are warm for it.
    pub(crate) fn holds_out(&self, line: u32) -> bool {
        self.patience().is_some() && self.would_hold_out(line, self.lines.line(line).first.since)
    }

    /// The same of a job of the line that was queued then.
    pub(crate) fn would_hold_out(&self, line: u32, since: Steady) -> bool {
        let Some(patience) = self.patience() else {
            return false;
        };
        let of = self.lines.line(line);
        let shape = self.shapes.shape(of.common.shape);
        if !shape.uses_warmth() || self.now >= since + patience {
            return false;
        }
        let mut holders = self.fleet.holders(&shape.wants.draft().warm);
        holders.any(|at| self.fleet.worker(at).is_available() && self.could_hold(at, line))
    }

    /// How long jobs wait for a warm worker, if they do.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.policy.placement {
            Placement::Warm { patience } => Some(patience),
            _ => None,
        }
    }

    /// Whether the first job of a line may go to this worker, as far as warmth is concerned.
    pub(crate) fn may_go(&self, at: u32, line: u32) -> bool {
        self.patience().is_none() || self.is_warm(at, line) || !self.holds_out(line)
    }

    fn is_warm(&self, at: u32, line: u32) -> bool {
        let shape = self.shapes.shape(self.lines.line(line).common.shape);
        let keys = &shape.wants.draft().warm;
        self.fleet.worker(at).warm_bytes(keys).is_some()
    }

    fn by_load(&self, search: &Search<'_>, highest_first: bool) -> Option<u32> {
        if !search.shape.has_preferences() {
            let first = Turning::new(&self.fleet.spots, search.from, highest_first);
            for (_, at) in first.take(FIRST_TRIES) {
                if self.suits(at, search) && self.has_room(at, search.line) {
                    return Some(at);
                }
            }
        }
        self.best_of_kinds(search, highest_first)
            .map(|(_, _, at)| at)
    }

    fn suits(&self, at: u32, search: &Search<'_>) -> bool {
        self.fleet
            .kind_of(at)
            .meets
            .contains(search.of.need as usize)
    }

    /// The kinds with room somewhere that suit, with the weight of the preferences that they meet.
    fn kinds(&self, search: &Search<'_>) -> impl Iterator<Item = (u64, &Kind)> {
        let kinds = self
            .fleet
            .roomy
            .iter()
            .map(|&kind| &self.fleet.kinds[kind as usize]);
        kinds
            .filter(|kind| kind.meets.contains(search.of.need as usize))
            .map(|kind| (search.shape.preference(kind), kind))
    }

    /// The best worker by preference, then by load and the ring.
    fn best_of_kinds(
        &self,
        search: &Search<'_>,
        highest_first: bool,
    ) -> Option<(Reverse<u64>, Rank, u32)> {
        let mut best: Option<(Reverse<u64>, Rank, u32)> = None;
        for (weight, kind) in self.kinds(search) {
            let better = |rank: Rank| {
                best.is_none_or(|(known, than, _)| (Reverse(weight), rank) < (known, than))
            };
            let first = Turning::new(&kind.spots, search.from, highest_first)
                .take_while(|(rank, _)| better(*rank))
                .find(|(_, at)| self.has_room(*at, search.line));
            if let Some((rank, at)) = first {
                best = Some((Reverse(weight), rank, at));
            }
        }
        best
    }

    /// The worker that holds most of what the job uses.
    fn by_warmth(&self, search: &Search<'_>, holds_out: bool) -> Option<u32> {
        let spread = self.best_of_kinds(search, false);
        let keys = &search.shape.wants.draft().warm;
        let warm = self
            .fleet
            .holders(keys)
            .filter(|&at| self.suits(at, search) && self.has_room(at, search.line))
            .map(|at| {
                let worker = self.fleet.worker(at);
                let weight = search.shape.preference(self.fleet.kind_of(at));
                let bytes = worker.warm_bytes(keys).unwrap_or(0);
                let load = self.fleet.offer(at).total.load(&worker.used);
                let rank = rank(load, worker.place, search.from, false);
                (Reverse(weight), Reverse(bytes), rank, at)
            })
            .min();
        match (warm, spread) {
            (Some((_, _, _, at)), _) if holds_out => Some(at),
            (None, _) if holds_out => None,
            (Some((weight, Reverse(bytes), _, at)), Some((best, _, _)))
                if weight == best && bytes > 0 =>
            {
                Some(at)
            }
            (_, spread) => spread.map(|(_, _, at)| at),
        }
    }

    /// The worker that the host likes best.
    fn by_score(&self, search: &Search<'_>, score: &dyn Score) -> Option<u32> {
        let shown = self.to_be_scored(search);
        let keys = &search.shape.wants.draft().warm;
        let job = ScoredJob {
            job: self.jobs.job(search.of.first.job).id,
            queue: &self.queues.queue(search.of.common.queue).name,
            wants: &search.shape.wants,
        };
        let best = shown.into_iter().min_by_key(|(rank, at)| {
            let (worker, offer) = (self.fleet.worker(*at), self.fleet.offer(*at));
            let worker = ScoredWorker {
                worker: worker.id,
                name: &offer.name,
                tags: &offer.tags,
                capacity: &offer.capacity,
                load: rank.0,
                warm_bytes: worker.warm_bytes(keys).unwrap_or(0),
            };
            (Reverse(score.score(&job, &worker)), *rank)
        });
        best.map(|(_, at)| at)
    }

    /// The first workers in the order of spread, among those with the largest sum of preferences.
    fn to_be_scored(&self, search: &Search<'_>) -> Vec<(Rank, u32)> {
        let has_room = |(_, at): &(Rank, u32)| self.has_room(*at, search.line);
        if !search.shape.has_preferences() {
            return Turning::new(&self.fleet.spots, search.from, false)
                .filter(|spot| self.suits(spot.1, search) && has_room(spot))
                .take(MAX_SCORED)
                .collect();
        }
        let Some((Reverse(most), _, _)) = self.best_of_kinds(search, false) else {
            return Vec::new();
        };
        let best = self.kinds(search).filter(|(weight, _)| *weight == most);
        let mut shown: Vec<_> = best
            .flat_map(|(_, kind)| {
                let spots = Turning::new(&kind.spots, search.from, false);
                spots.filter(has_room).take(MAX_SCORED)
            })
            .collect();
        shown.sort_unstable();
        shown.truncate(MAX_SCORED);
        shown
    }
}
