//! How fast this machine starts and reaps processes, with nothing around it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use crate::PROGRAM;
use crate::program::run_alone;

/// On how many threads processes are started: with more than two this rate does not grow on small machines, and the
/// figures of large ones stay comparable.
pub const THREADS: usize = 2;

/// Starts and reaps this many processes on [`THREADS`] threads, and says how long that took. Blocks.
pub fn spawn_and_reap(count: usize) -> Result<Duration> {
    on_threads(count, || {
        let code = run_alone().with_context(|| format!("{PROGRAM} could not be started"))?;
        ensure!(code == 0, "{PROGRAM} ended with {code}");
        Ok(())
    })
}

/// Starts a program as the standard library does, with what a job has too: no standard input, a pipe each for output
/// and errors, both read to their end. Nothing else: no directory, no group, an empty environment.
#[derive(Clone, Debug)]
pub struct RawSpawn {
    program: PathBuf,
    is_forked: bool,
}

impl RawSpawn {
    /// The fast way of the standard library (`posix_spawn`), which shares memory with the child until it executes.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            is_forked: false,
        }
    }

    /// The slow way, which the standard library takes as soon as something is to be done between fork and exec
    /// (`pre_exec`, another user): the child is a copy.
    pub fn forked(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            is_forked: true,
        }
    }

    /// Starts and reaps this many on [`THREADS`] threads, and says how long that took. Blocks.
    pub fn run_many(&self, count: usize) -> Result<Duration> {
        on_threads(count, || self.run())
    }

    /// Starts and reaps this many, one after the other, and says how long each took. Blocks.
    pub fn run_one_by_one(&self, count: usize) -> Result<Vec<Duration>> {
        (0..count)
            .map(|_| {
                let begun = Instant::now();
                self.run()?;
                Ok(begun.elapsed())
            })
            .collect()
    }

    fn run(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.is_forked {
            command.uid(geteuid().as_raw());
        }
        let program = self.program.display();
        let ended = command
            .output()
            .with_context(|| format!("{program} could not be started"))?;
        ensure!(
            ended.status.success(),
            "{program} ended with {}",
            ended.status
        );
        Ok(())
    }
}

fn on_threads(count: usize, run: impl Fn() -> Result<()> + Sync) -> Result<Duration> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..THREADS)
            .map(|at| {
                let share = count / THREADS + usize::from(at < count % THREADS);
                scope.spawn(move || (0..share).try_for_each(|_| run()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_succeed() {
        for way in [RawSpawn::new(PROGRAM), RawSpawn::forked(PROGRAM)] {
            way.run_many(4).expect("they succeed");
            assert_eq!(way.run_one_by_one(3).expect("they succeed").len(), 3);
        }
    }

    #[test]
    fn programs_that_fail_are_told() {
        assert!(RawSpawn::new("/bin/false").run_many(1).is_err());
    }
}
