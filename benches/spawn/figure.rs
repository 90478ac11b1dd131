//! What one row came to.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jobyard_benches::consumption::{own_memory_kib, processor_time};
use jobyard_benches::figures::{median, percentile, rate};
use tokio::runtime::Runtime;

use crate::options::Options;
use crate::row::{Contender, Row, Runs};

/// The turns of a row.
pub(crate) struct Figure {
    pub(crate) row: Row,
    turns: Vec<Turn>,
}

/// A row and its yardstick, measured once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Jobs a second.
    pub(crate) rate: f64,
    /// Processes a second of the yardstick.
    pub(crate) raw_rate: f64,
    /// One job at a time.
    pub(crate) single: Latency,
    /// One process of the yardstick at a time.
    pub(crate) raw_single: Latency,
    /// Processor time that this program spent for each job, in microseconds.
    pub(crate) agent_us: f64,
    /// Processor time that the launcher spent for each job, in microseconds. 0 without one.
    pub(crate) launcher_us: f64,
    /// Memory of the launcher afterwards. 0 without one.
    pub(crate) launcher_kib: f64,
}

/// Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Figure {
    /// Of this row, without turns.
    pub(crate) fn new(row: Row) -> Self {
        Self {
            row,
            turns: Vec::new(),
        }
    }

    /// One turn more.
    pub(crate) fn add(&mut self, turn: Turn) {
        self.turns.push(turn);
    }

    /// The median of a value over all turns.
    pub(crate) fn of(&self, value: impl Fn(&Turn) -> f64) -> f64 {
        median(&self.all(value)).unwrap_or(f64::NAN)
    }

    /// The smallest and the largest of a value over all turns.
    pub(crate) fn spread(&self, value: impl Fn(&Turn) -> f64) -> (f64, f64) {
        let all = self.all(value);
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        (least, all.into_iter().fold(f64::NEG_INFINITY, f64::max))
    }

    fn all(&self, value: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.turns.iter().map(value).collect()
    }
}

impl Turn {
    /// Measures. The yardstick comes before and after the many, and its two rates are averaged: machines get faster and
    /// slower while one looks.
    pub(crate) fn take(
        runtime: &Runtime,
        contender: &Contender,
        options: &Options,
    ) -> Result<Self> {
        let raw = &contender.yardstick;
        runtime.block_on(contender.runs.one_by_one(WARM_UP))?;
        let raw_single = raw.run_one_by_one(options.single)?;
        let single = runtime.block_on(contender.runs.one_by_one(options.single))?;

        let half = options.jobs.div_ceil(2);
        let before = raw.run_many(half)?;
        let spent = Spent::so_far(contender)?;
        // Forks of a large process are so slow that fewer have to do.
        let jobs = contender.runs.reasonable(options.jobs);
        let many = runtime.block_on(contender.runs.many(jobs, options.slots))?;
        let spent = Spent::so_far(contender)?.since(spent);
        let after = raw.run_many(half)?;
        Ok(Self {
            rate: rate(jobs, many),
            raw_rate: rate(2 * half, before + after),
            single: Latency::of(&single),
            raw_single: Latency::of(&raw_single),
            agent_us: 1e6 / rate(jobs, spent.agent),
            launcher_us: 1e6 / rate(jobs, spent.launcher),
            launcher_kib: launcher_kib(contender)?,
        })
    }

    /// Jobs a second, of the yardstick.
    pub(crate) fn rate_ratio(&self) -> f64 {
        self.rate / self.raw_rate
    }

    /// The usual time of one job, of the yardstick.
    pub(crate) fn p50_ratio(&self) -> f64 {
        self.single.p50 / self.raw_single.p50
    }

    /// The time of a slow job, of the yardstick.
    pub(crate) fn p99_ratio(&self) -> f64 {
        self.single.p99 / self.raw_single.p99
    }
}

/// How many jobs nobody counts.
const WARM_UP: usize = 20;

impl Latency {
    fn of(samples: &[Duration]) -> Self {
        let us = |percent| {
            percentile(samples, percent).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
        };
        Self {
            p50: us(50),
            p99: us(99),
        }
    }
}

/// In a task, as the agent of a worker.
impl Runs {
    async fn many(&self, jobs: usize, slots: usize) -> Result<Duration> {
        match self {
            Self::Raw(raw) => raw.run_many(jobs),
            Self::Supervised(supervised) => {
                let supervised = Arc::clone(supervised);
                tokio::spawn(async move { supervised.run_many(jobs, slots).await }).await?
            }
        }
    }

    async fn one_by_one(&self, jobs: usize) -> Result<Vec<Duration>> {
        match self {
            Self::Raw(raw) => raw.run_one_by_one(self.reasonable(jobs)),
            Self::Supervised(supervised) => {
                let supervised = Arc::clone(supervised);
                tokio::spawn(async move { supervised.run_one_by_one(jobs).await }).await?
            }
        }
    }

    fn reasonable(&self, jobs: usize) -> usize {
        match self {
            Self::Raw(_) => jobs.div_ceil(20),
            Self::Supervised(_) => jobs,
        }
    }
}

/// Processor time.
#[derive(Clone, Copy)]
struct Spent {
    agent: Duration,
    launcher: Duration,
}

impl Spent {
    fn so_far(contender: &Contender) -> Result<Self> {
        let launcher = launcher_pid(contender).map_or(Ok(Duration::ZERO), processor_time)?;
        let agent = processor_time(std::process::id())?;
        Ok(Self { agent, launcher })
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            agent: self.agent.saturating_sub(earlier.agent),
            launcher: self.launcher.saturating_sub(earlier.launcher),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no launcher has 2^52 KiB")]
fn launcher_kib(contender: &Contender) -> Result<f64> {
    let kib = launcher_pid(contender).map_or(Ok(0), own_memory_kib)?;
    Ok(kib as f64)
}

fn launcher_pid(contender: &Contender) -> Option<u32> {
    contender.launcher.as_ref()?.pid()
}
