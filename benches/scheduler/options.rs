//! What the benchmark is told.

use clap::Parser;

/// The scheduler alone, on one thread, beside a scan-all matcher and an ordered set of a million keys.
#[derive(Debug, Parser)]
#[command(name = "scheduler")]
pub(crate) struct Options {
    /// Small loads, in seconds: shows that everything runs, and judges no goal
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only what has this in its name; `goals` for the goals alone
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,

    /// Leave out the scan-all matcher
    #[arg(long)]
    pub(crate) no_scan_all: bool,

    /// Given by `cargo bench`; means nothing
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether something of this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }
}
