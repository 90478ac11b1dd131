//! What the benchmark is told.

use std::path::PathBuf;

use clap::Parser;
use jobyard_benches::at_least_one;

/// Jobs of /bin/true through master and worker, a bare pair of the same transport, and the raw spawn rate.
#[derive(Debug, Parser)]
#[command(name = "end_to_end")]
pub(crate) struct Options {
    /// How many jobs each rate is taken over
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) jobs: usize,

    /// How many jobs the worker runs at once, and how many the bare pair keeps in flight
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(crate) slots: usize,

    /// How often everything is measured, in turns; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub(crate) rounds: usize,

    /// How many jobs run one after the other on the idle system
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one)]
    pub(crate) single: usize,

    /// Where the store and the spool are [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Take jobyard-master and jobyard-worker from this directory instead of building them
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,

    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Where directories for the run are made.
    pub(crate) fn parent(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(std::env::temp_dir)
    }
}
