//! How it is measured.

use std::time::{Duration, Instant};

use jobyard_benches::figures::{median, rate};
use jobyard_benches::scheduling::{Matcher, ScanAll, Workload, Yard, Yardstick};
use jobyard_scheduler::Scheduler;

use crate::rows::{Row, Way};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many decisions one figure is taken over.
    pub(crate) decisions: usize,
    /// How long the scan-all matcher may decide for one figure. It always decides a few times.
    pub(crate) scan_all: Option<Duration>,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            decisions: 200_000,
            scan_all: Some(Duration::from_millis(200)),
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            decisions: 5_000,
            scan_all: Some(Duration::from_millis(20)),
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
        warm_up(&mut yard, row.way);
        let before = yard.assigned();
        let chunks: Vec<_> = (0..CHUNKS)
            .map(|_| {
                let key_ns = per(YARDSTICK_TIMES, yardstick.run(YARDSTICK_TIMES));
                let ns = chunk(&mut yard, row.way, plan.decisions / CHUNKS);
                (ns, ns / key_ns)
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
        let assigned =
            (yard.assigned() - before) as f64 / (plan.decisions / CHUNKS * CHUNKS) as f64;
        drop(yard);
        let of = |value: fn(&(f64, f64)) -> f64| {
            let values: Vec<_> = chunks.iter().map(value).collect();
            median(&values).unwrap_or(f64::NAN)
        };
        Self {
            ns: of(|chunk| chunk.0),
            of_yardstick: of(|chunk| chunk.1),
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
pub(crate) fn warm_up<M: Matcher>(yard: &mut Yard<M>, way: Way) {
    let times = yard.running().clamp(1_000, 500_000);
    chunk(yard, way, times);
}

/// Nanoseconds for one of so many decisions.
pub(crate) fn chunk<M: Matcher>(yard: &mut Yard<M>, way: Way, times: usize) -> f64 {
    let begun = Instant::now();
    for _ in 0..times {
        once(yard, way);
    }
    per(times, begun.elapsed())
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
    let begun = Instant::now();
    let mut times = 0;
    while times < SCANS_AT_LEAST || begun.elapsed() < budget {
        once(&mut yard, row.way);
        times += 1;
    }
    Some(per(times, begun.elapsed()))
}

/// The median of so many parts counts.
const CHUNKS: usize = 5;

/// How often a key is removed and inserted before each part.
pub(crate) const YARDSTICK_TIMES: usize = 20_000;

/// Few, because one may take a second.
const SCANS_AT_LEAST: usize = 3;
