//! Many worlds on many threads.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::scenario::Scenario;
use crate::summary::Summary;
use crate::world::simulate;

/// How many worlds lie between two reports of progress.
const REPORT_EVERY: u64 = 500;

/// What a [`run`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run {
    /// What happened in all worlds that held.
    pub summary: Summary,
    /// The failure with the lowest seed of those that were found before the threads heard of the first.
    pub failure: Option<Box<Failure>>,
    /// How long it took.
    pub took: Duration,
    /// On how many threads.
    pub threads: NonZeroUsize,
}

impl Run {
    /// How long one world kept one core busy on average, if each thread had a core to itself.
    pub fn core_time_per_world(&self) -> Duration {
        let threads = u32::try_from(self.threads.get()).unwrap_or(u32::MAX);
        let worlds = u32::try_from(self.summary.worlds.max(1)).unwrap_or(u32::MAX);
        self.took * threads / worlds
    }
}

/// Runs the worlds of these seeds, and stops at the first failure. Each thread is prepared once with `prepare`; every so
/// many worlds it is reported how many are done.
pub fn run(
    seeds: Range<u64>,
    scenario: &Scenario,
    threads: NonZeroUsize,
    prepare: impl Fn() + Sync,
    report: impl Fn(u64) + Sync,
) -> Run {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let found = Mutex::new((Summary::default(), None::<Box<Failure>>));
    let work = || {
        prepare();
        let mut summary = Summary::default();
        let mut failure = None;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            match guarded(seed, scenario) {
                Ok(world) => summary.add(&world),
                Err(found) => {
                    // Seeds below this one are being run already.
                    next.store(seeds.end, Ordering::Relaxed);
                    failure = Some(found);
                    break;
                }
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(REPORT_EVERY) {
                report(done);
            }
        }
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.0.add(&summary);
        let earlier = found.1.as_ref().map(|earlier| earlier.seed);
        if failure
            .as_ref()
            .is_some_and(|new| earlier.is_none_or(|seed| new.seed < seed))
        {
            found.1 = failure;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(work);
        }
    });
    let (summary, failure) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Run {
        summary,
        failure,
        took: began.elapsed(),
        threads,
    }
}

/// A program that panics has failed as well.
fn guarded(seed: u64, scenario: &Scenario) -> Result<Summary, Box<Failure>> {
    catch_unwind(|| simulate(seed, scenario)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Box::new(Failure {
            seed,
            scenario: scenario.name,
            invariant: "no program panics",
            problem: text.unwrap_or("without a word").to_owned(),
            histories: Vec::new(),
            last: Vec::new(),
        }))
    })
}
