//! What the benchmark is told.

use std::path::PathBuf;

use clap::Parser;
use jobyard_benches::at_least_one;

/// Processes through supervisor and launcher, without a master, beside the raw spawn rate of the same run.
#[derive(Debug, Parser)]
#[command(name = "spawn")]
pub(crate) struct Options {
    /// A few seconds: shows that everything runs, and judges no goal
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only rows that have this in their name
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,

    /// How many jobs each rate is taken over
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = at_least_one)]
    pub(crate) jobs: usize,

    /// How many jobs run at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(crate) slots: usize,

    /// How often every row is measured, in turns with its yardstick
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub(crate) rounds: usize,

    /// How many jobs of each row and round run one after the other
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = at_least_one)]
    pub(crate) single: usize,

    /// How much memory the benchmark holds while the last rows are measured, in MiB
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) ballast: usize,

    /// How many threads the runtime of the supervisors has; by default as many as that of a worker
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub(crate) threads: usize,

    /// Where directories on disk are made
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) data: PathBuf,

    /// Take this program as the launcher instead of the benchmark itself
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) launcher: Option<PathBuf>,

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
            jobs: options.jobs.min(400),
            rounds: options.rounds.min(1),
            single: options.single.min(40),
            ..options
        }
    }

    /// Whether a row of this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }
}
