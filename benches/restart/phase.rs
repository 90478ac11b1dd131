//! The steps of a round, each in a process of its own.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, bail};
use tokio::runtime::Builder;

use crate::facts::Facts;
use crate::{rows, serve};

/// The first argument of such a process.
pub(crate) const CHILD: &str = "--as-child";

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A master accepts all jobs.
    Submit,
    /// The rows that it wrote, into another store without a master.
    Insert,
    /// The live rows, read with nothing but SQLite.
    Scan,
    /// The live rows, read by the store for nobody.
    Load,
    /// A master starts on them, and a worker comes.
    Restart,
}

impl Phase {
    /// In this order. The pages of the files are in memory for all that read.
    pub(crate) const ALL: [Self; 5] = [
        Self::Submit,
        Self::Insert,
        Self::Scan,
        Self::Load,
        Self::Restart,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Insert => "insert",
            Self::Scan => "scan",
            Self::Load => "load",
            Self::Restart => "restart",
        }
    }

    pub(crate) fn run(self, kind: Kind, jobs: usize, dir: &Path) -> Result<Facts> {
        // As the master's own program has it.
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        match self {
            Self::Submit => runtime.block_on(serve::submit(kind, jobs, dir)),
            Self::Insert => runtime.block_on(rows::insert(dir)),
            Self::Scan => rows::scan(dir),
            Self::Load => runtime.block_on(rows::load(dir)),
            Self::Restart => runtime.block_on(serve::restart(dir)),
        }
    }
}

impl FromStr for Phase {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|phase| phase.name() == text) {
            Some(phase) => Ok(phase),
            None => bail!("there is no phase {text}"),
        }
    }
}

/// What the jobs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All have the same spec.
    Shared,
    /// Each has an environment of its own.
    Own,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Own => "own",
        }
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "shared" => Ok(Self::Shared),
            "own" => Ok(Self::Own),
            other => bail!("there is no kind {other}"),
        }
    }
}
