//! What the benchmark is told.

use std::path::PathBuf;

use clap::Parser;
use jobyard_benches::at_least_one;

/// A million queued jobs: memory for each, rate of submits, and the time from a restart to the first dispatch.
#[derive(Debug, Parser)]
#[command(name = "restart")]
pub(crate) struct Options {
    /// A few seconds: shows that everything runs, and judges no goal
    #[arg(long)]
    pub(crate) quick: bool,

    /// How many jobs are queued
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = at_least_one)]
    pub(crate) jobs: usize,

    /// How often everything is measured; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub(crate) rounds: usize,

    /// Where the stores are
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) data: PathBuf,

    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// As on the command line, or small.
    pub(crate) fn read() -> Self {
        let options = Self::parse();
        if !options.quick {
            return options;
        }
        Self {
            jobs: options.jobs.min(20_000),
            rounds: options.rounds.min(1),
            ..options
        }
    }
}
