//! What the benchmark is told.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use jobyard_benches::at_least_one;

/// Output of jobs through launcher, worker and master to disk and readers, beside a raw upload of the same run.
#[derive(Debug, Parser)]
#[command(name = "logs")]
pub(crate) struct Options {
    /// Less than a minute: shows that everything runs, and judges no goal
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only this part; may be repeated
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,

    /// How many MiB one job prints
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least_one)]
    pub(crate) bulk: usize,

    /// How many read one log at once
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    pub(crate) readers: usize,

    /// How many MiB that log has
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub(crate) read: usize,

    /// How many jobs print lines at once
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one)]
    pub(crate) printers: usize,

    /// For how many seconds they print
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = at_least_one)]
    pub(crate) seconds: usize,

    /// How many tiny writes one job makes
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = at_least_one)]
    pub(crate) writes: usize,

    /// How often the bulk and the tiny writes are measured, in turns with their yardsticks; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub(crate) rounds: usize,

    /// Where the spool and the logs are
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) data: PathBuf,

    /// Take the programs from this directory instead of building them
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,

    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// One job that prints as fast as it can.
    Bulk,
    /// Many readers of one log.
    Readers,
    /// Many jobs that print some lines.
    Lines,
    /// One job with as small writes as can be.
    Tiny,
}

impl Options {
    /// As on the command line, or small.
    pub(crate) fn read() -> Self {
        let options = Self::parse();
        if !options.quick {
            return options;
        }
        Self {
            bulk: options.bulk.min(64),
            readers: options.readers.min(50),
            printers: options.printers.min(20),
            seconds: options.seconds.min(3),
            writes: options.writes.min(20_000),
            rounds: options.rounds.min(1),
            ..options
        }
    }

    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
