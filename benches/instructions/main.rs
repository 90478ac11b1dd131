//! How many instructions a few small loads cost the scheduler, as Callgrind counts them: the gate against getting slower.
//!
//! ```text
//! cargo install gungraun-runner --version 0.20.0
//! cargo bench -p jobyard-benches --features instructions --bench scheduler_instructions
//! ```
//!
//! Needs valgrind, and `gungraun-runner` of the same version as the library. Fails if a scenario takes more than 5 % more
//! instructions than `baseline.txt` says. After a change that is worth it, or that costs less, write the printed numbers
//! there.

#![forbid(unsafe_code)]
#![expect(
    missing_docs,
    unused_qualifications,
    reason = "what the macros of gungraun generate has no documentation and qualifies everything"
)]

mod baseline;
mod scenario;

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use jobyard_benches::scheduling::Yard;
use jobyard_scheduler::{Event, Scheduler};

use baseline::limit;
use scenario::{TIMES, everything_taken, idle, limits_and_resources, new_worker};

#[library_benchmark]
#[bench::slots_alone(args = (), setup = everything_taken, config = at_most("decide slots_alone"))]
#[bench::limits_and_resources(args = (), setup = limits_and_resources, config = at_most("decide limits_and_resources"))]
fn decide(mut yard: Yard<Scheduler>) -> Yard<Scheduler> {
    for _ in 0..TIMES {
        yard.decide();
    }
    black_box(yard)
}

#[library_benchmark]
#[bench::half_idle(args = (), setup = idle, config = at_most("place half_idle"))]
fn place(mut yard: Yard<Scheduler>) -> Yard<Scheduler> {
    for _ in 0..TIMES {
        yard.place();
    }
    black_box(yard)
}

#[library_benchmark]
#[bench::new_worker(args = (), setup = new_worker, config = at_most("join new_worker"))]
fn join((mut yard, events): (Yard<Scheduler>, Vec<Event>)) -> Yard<Scheduler> {
    for event in events {
        yard.handle(event);
    }
    yard.settle();
    black_box(yard)
}

/// Fails above what the baseline allows.
fn at_most(scenario: &str) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    // Without caches: nothing but instructions is judged, and it runs twice as fast.
    callgrind.args(["--cache-sim=no"]);
    if let Some(limit) = limit(scenario) {
        callgrind.hard_limits([(EventKind::Ir, limit)]);
    }
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

library_benchmark_group!(name = scheduler, benchmarks = [decide, place, join]);
main!(library_benchmark_groups = scheduler);
