//! How it is measured.

use std::time::Duration;

use jobyard_benches::figures::{median, rate};
use jobyard_benches::scheduling::{Matcher, ScanAll, Stopwatch, Workload, Yard, Yardstick};
use jobyard_scheduler::Scheduler;

use crate::rows::{Row, Way};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many decisions one figure is taken over, at most.
    pub(crate) decisions: usize,
    /// How long one part of a figure may take: a load that turns out to be very slow is measured over fewer decisions.
    pub(crate) part: Duration,
    /// How long the scan-all matcher may decide for one figure. It always decides a few times.
    pub(crate) scan_all: Option<Duration>,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            decisions: 100_000,
            part: Duration::from_millis(300),
            scan_all: Some(Duration::from_millis(200)),
        }
    }

    /// The same with so many times the decisions.
    pub(crate) fn times(self, times: usize) -> Self {
        Self {
            decisions: times * self.decisions,
            ..self
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            decisions: 5_000,
            part: Duration::from_millis(10),
            scan_all: Some(Duration::from_millis(10)),
        }
    }
}

/// What one load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// One decision.
    pub(crate) ns: f64,
    /// The same in removing and inserting one key of a million, taken in turns with it.
    pub(crate) of_yardstick: f64,
    /// How many jobs were assigned for each decision.
    pub(crate) assigned: f64,
    /// What a waiting job takes of memory inside the scheduler, what it shares with others included.
    pub(crate) bytes: Option<f64>,
    /// One decision of the scan-all matcher.
    pub(crate) scan_all_ns: Option<f64>,
}

impl Figure {
    /// Takes all figures of one row.
    pub(crate) fn take(row: &Row, plan: Plan, yardstick: &mut Yardstick) -> Self {
        let (mut yard, bytes) = filled(row);
        warm_up(&mut yard, row.way, plan);
        let (mut assigned, mut decisions) = (0, 0);
        let parts: Vec<_> = (0..PARTS)
            .map(|_| {
                let key_ns = key_ns(yardstick, plan);
                let times = plan.decisions / PARTS;
                Part::take(&mut yard, row.way, times / 4, plan.part / 4);
                let before = yard.assigned();
                let part = Part::take(&mut yard, row.way, times, plan.part);
                assigned += yard.assigned() - before;
                decisions += part.times;
                (part.ns(), part.ns() / key_ns)
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
        let assigned = assigned as f64 / decisions as f64;
        drop(yard);
        let of = |value: fn(&(f64, f64)) -> f64| {
            let values: Vec<_> = parts.iter().map(value).collect();
            median(&values).unwrap_or(f64::NAN)
        };
        Self {
            ns: of(|part| part.0),
            of_yardstick: of(|part| part.1),
            assigned,
            bytes,
            scan_all_ns: plan.scan_all.and_then(|budget| scan_all_ns(row, budget)),
        }
    }
}

/// The scheduler with the load of a row, and the bytes that each waiting job takes in it.
pub(crate) fn filled(row: &Row) -> (Yard<Scheduler>, Option<f64>) {
    let workload = Workload::new(&row.shape);
    let mut copy = Vec::new();
    let shared = allocation_counter::measure(|| copy = workload.copy_of_wants());
    drop(copy);
    let scheduler = Scheduler::with_policy(row.policy.clone());
    let mut yard = Yard::new(scheduler, workload);
    let queued = allocation_counter::measure(|| yard.fill(row.shape.jobs));
    let jobs = yard.matcher().queued();
    #[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
    let bytes = (shared.bytes_current + queued.bytes_current) as f64 / jobs as f64;
    (yard, (jobs > 0).then_some(bytes))
}

/// Replaces what runs about once, so that what was put there by hand is gone.
pub(crate) fn warm_up<M: Matcher>(yard: &mut Yard<M>, way: Way, plan: Plan) {
    let times = yard.running().clamp(1_000, 500_000);
    Part::take(yard, way, times, 4 * plan.part);
}

/// Decisions that were measured together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    times: usize,
    took: Duration,
}

impl Part {
    /// Takes so many decisions, or as many as fit into this time.
    pub(crate) fn take<M: Matcher>(
        yard: &mut Yard<M>,
        way: Way,
        most: usize,
        limit: Duration,
    ) -> Self {
        let begun = Stopwatch::start();
        let (mut times, mut took) = (0, Duration::ZERO);
        while times < most && took < limit {
            // Begins with one: it may take long.
            let next = most.min(times + times.clamp(1, BETWEEN_LOOKS));
            for _ in times..next {
                once(yard, way);
            }
            (times, took) = (next, begun.elapsed());
        }
        Self { times, took }
    }

    /// Nanoseconds for one decision.
    pub(crate) fn ns(self) -> f64 {
        per(self.times, self.took)
    }
}

/// Nanoseconds for one key of the yardstick, as often as decisions are taken for one part. What was measured before has
/// taken the caches: it runs as often again first.
pub(crate) fn key_ns(yardstick: &mut Yardstick, plan: Plan) -> f64 {
    let times = 2 * plan.decisions / PARTS;
    yardstick.run(times);
    per(times, yardstick.run(times))
}

/// Nanoseconds for one of so many.
pub(crate) fn per(times: usize, took: Duration) -> f64 {
    1e9 / rate(times, took)
}

#[inline]
fn once<M: Matcher>(yard: &mut Yard<M>, way: Way) {
    match way {
        Way::Decide => yard.decide(),
        Way::DecideAndFlap => {
            yard.flap();
            yard.decide();
        }
        Way::Place => yard.place(),
        Way::ReplaceWaiting => yard.replace_waiting(),
    }
}

/// Not of what it cannot do.
fn scan_all_ns(row: &Row, budget: Duration) -> Option<f64> {
    if row.way == Way::ReplaceWaiting {
        return None;
    }
    let mut yard = Yard::new(ScanAll::new(), Workload::new(&row.shape));
    yard.fill(row.shape.jobs);
    once(&mut yard, row.way);
    let begun = Stopwatch::start();
    let mut times = 0;
    while times < SCANS_AT_LEAST || begun.elapsed() < budget {
        once(&mut yard, row.way);
        times += 1;
    }
    Some(per(times, begun.elapsed()))
}

/// How many decisions are made between two looks at the clock, at most.
const BETWEEN_LOOKS: usize = 50;

/// The median of so many parts counts.
const PARTS: usize = 5;

/// Few, because one may take a second.
const SCANS_AT_LEAST: usize = 3;
