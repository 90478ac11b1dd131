//! What came out.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{Explanation, JobId, WorkerId};

/// How a load went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many jobs there were.
    pub jobs: u64,
    /// How many of them got a worker, and so ended.
    pub finished: u64,
    /// From the arrival of the first job to the end of the last one that ended.
    pub makespan: Duration,
    /// How many jobs waited at the same time at most.
    pub peak_queued: u64,
    /// Every queue that had jobs, by name.
    pub queues: Vec<QueueReport>,
    /// Every worker, in the order of the load.
    pub workers: Vec<WorkerReport>,
}

impl Report {
    /// How many jobs ended in an hour on average, over the makespan; 0 if that is zero.
    pub fn jobs_per_hour(&self) -> f64 {
        let seconds = self.makespan.as_secs_f64();
        // At most a million.
        let finished = u32::try_from(self.finished).unwrap_or(u32::MAX);
        if seconds > 0.0 {
            f64::from(finished) * 3600.0 / seconds
        } else {
            0.0
        }
    }
}

/// How the jobs of one queue went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueReport {
    /// Its name.
    pub queue: String,
    /// How many jobs it had.
    pub jobs: u64,
    /// How many of them got a worker.
    pub started: u64,
    /// Those that did not.
    pub never_started: Option<NeverStarted>,
    /// How long those waited that got a worker, from arrival to start.
    pub waits: Waits,
    /// Its part of what all queues used, in thousandths: running time, times the largest part of any resource of the
    /// whole fleet that a job took.
    pub share: u32,
}

/// Jobs that never got a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeverStarted {
    /// How many.
    pub jobs: u64,
    /// How many of them the scheduler gave up, because no worker could have run them.
    pub given_up: u64,
    /// The first to arrive of those that still wait in the end, and why it waits. `None` if all were given up.
    pub example: Option<(JobId, Explanation)>,
}

/// How long jobs waited. The percentiles are times that a job did wait: for the 90th, the shortest that is not exceeded
/// by nine jobs of ten. All zero if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// The average.
    pub mean: Duration,
    /// Half of them waited no longer.
    pub p50: Duration,
    /// Nine of ten waited no longer.
    pub p90: Duration,
    /// All but one in a hundred waited no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Waits {
    /// Of these times, in any order.
    pub(super) fn of(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        let all = micros.len();
        let Some(max) = micros.last() else {
            return Self::default();
        };
        let at = |percent: usize| {
            let rank = (all * percent).div_ceil(100).max(1);
            Duration::from_micros(micros[rank - 1])
        };
        let sum: u128 = micros.iter().copied().map(u128::from).sum();
        let mean = u64::try_from(sum / all as u128).unwrap_or(u64::MAX);
        Self {
            mean: Duration::from_micros(mean),
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: Duration::from_micros(*max),
        }
    }
}

/// How one worker was used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Which.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// How many jobs it ran.
    pub jobs: u64,
    /// For how long it was there: from when it joined, or the first job arrived if that was later, until it had left and
    /// was empty, or the last job of the load ended.
    pub present: Duration,
    /// Of each resource that it has (`slots`, `cpu`, `memory`, or a name), the part that was taken, in thousandths, over
    /// the time that it was there.
    pub used: BTreeMap<String, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_a_job_did_wait() {
        let waits = Waits::of((1..=200).rev().collect());
        let micros = |duration: Duration| duration.as_micros();
        assert_eq!(micros(waits.p50), 100);
        assert_eq!(micros(waits.p90), 180);
        assert_eq!(micros(waits.p99), 198);
        assert_eq!(micros(waits.max), 200);
        assert_eq!(micros(waits.mean), 100);
        assert_eq!(Waits::of(vec![7]).p50, Duration::from_micros(7));
        assert_eq!(Waits::of(Vec::new()), Waits::default());
    }
}
