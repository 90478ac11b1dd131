//! All three measured once, one after the other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jobyard_benches::PROGRAM;
use jobyard_benches::bare::Pair;
use jobyard_benches::cluster::{Cluster, Load, Programs};
use jobyard_benches::figures::{percentile, rate};
use jobyard_benches::raw;
use jobyard_benches::supervised::Supervised;
use jobyard_executor::ProcessExecutor;
use tokio::runtime::Runtime;

use crate::options::Options;

/// What one round came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Processes a second.
    pub(crate) raw: f64,
    /// The bare pair.
    pub(crate) bare: Figures,
    /// Attempts a second of the executor alone.
    pub(crate) supervised: f64,
    /// Master and worker.
    pub(crate) real: Figures,
}

/// Of one way to run jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Jobs a second.
    pub(crate) rate: f64,
    /// One job on the idle system, from submitting it to its outcome, in milliseconds.
    pub(crate) p50_ms: f64,
    /// As `p50_ms`: 99 of 100 are at most this.
    pub(crate) p99_ms: f64,
}

impl Round {
    /// Measures. The single jobs come first in both ways, so that connections and caches are warm for the many.
    pub(crate) fn measure(
        runtime: &Runtime,
        programs: &Programs,
        options: &Options,
    ) -> Result<Self> {
        let raw = rate(options.jobs, raw::spawn_and_reap(options.jobs)?);
        Ok(Self {
            raw,
            bare: bare(options)?,
            supervised: executor(options)?,
            real: runtime.block_on(real(programs, options))?,
        })
    }
}

fn bare(options: &Options) -> Result<Figures> {
    let mut pair = Pair::start()?;
    pair.run_one_by_one(WARM_UP)?;
    let singles = pair.run_one_by_one(options.single)?;
    let many = pair.run_many(options.jobs, options.slots)?;
    Ok(Figures::new(options.jobs, many, &singles))
}

fn executor(options: &Options) -> Result<f64> {
    let dir = tempfile::tempdir_in(options.parent())?;
    let executor = Arc::new(ProcessExecutor::new());
    let supervised = Supervised::new(executor, Path::new(PROGRAM), dir.path())?;
    let took = Runtime::new()?.block_on(supervised.run_many(options.jobs, options.slots))?;
    Ok(rate(options.jobs, took))
}

async fn real(programs: &Programs, options: &Options) -> Result<Figures> {
    let cluster = Cluster::start(programs, &options.parent(), options.slots).await?;
    let load = Load::new(cluster.control())?;
    load.run_one_by_one(WARM_UP).await?;
    let singles = load.run_one_by_one(options.single).await?;
    // Whatever runs last runs beside as many others as there are slots.
    let many = load.run_many(options.jobs, 2 * options.slots).await?;
    Ok(Figures::new(options.jobs, many, &singles))
}

/// How many jobs nobody counts: the first waits until the worker has joined.
const WARM_UP: usize = 10;

impl Figures {
    fn new(jobs: usize, many: Duration, singles: &[Duration]) -> Self {
        let ms = |percent| {
            percentile(singles, percent).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0)
        };
        Self {
            rate: rate(jobs, many),
            p50_ms: ms(50),
            p99_ms: ms(99),
        }
    }
}
