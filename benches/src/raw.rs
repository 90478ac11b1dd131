//! How fast this machine starts and reaps processes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::PROGRAM;
use crate::program::run_alone;

/// On how many threads processes are started: with more than two this rate does not grow on small machines, and the
/// figures of large ones stay comparable.
pub const THREADS: usize = 2;

/// Starts and reaps this many processes on [`THREADS`] threads, and says how long that took. Blocks.
pub fn spawn_and_reap(count: usize) -> Result<Duration> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|at| {
                let share = count / THREADS + usize::from(at < count % THREADS);
                scope.spawn(move || (0..share).try_for_each(|_| run_once()))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(begun.elapsed())
}

fn run_once() -> Result<()> {
    let code = run_alone().with_context(|| format!("{PROGRAM} could not be started"))?;
    ensure!(code == 0, "{PROGRAM} ended with {code}");
    Ok(())
}
