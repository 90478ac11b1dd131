//! Random faults under real jobs: a master, four workers, and everything that can go wrong.
//!
//! The program is `jobyard-chaos` of the package of tests. What it does follows from a seed, which it prints.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::command::{self, cargo};
use crate::workspace::{Metadata, Workspace};

/// How long it lasts in CI: long enough to see each kind of fault several times.
const CI_TIME: &str = "60s";

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// For how long, as in 60s or 10m.
    #[arg(long = "for", value_name = "TIME", default_value = "10m")]
    time: String,
    /// The seed of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
}

/// As long as a person likes.
///
/// # Errors
///
/// The programs do not build, or something was lost, ran twice, or was left.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut arguments = vec!["--for".to_owned(), options.time.clone()];
    if let Some(seed) = options.seed {
        arguments.extend(["--seed".to_owned(), seed.to_string()]);
    }
    start(workspace, &arguments).map(drop)
}

/// For a minute, as CI does; the lines that are worth repeating.
///
/// # Errors
///
/// As [`run`].
pub fn require(workspace: &Workspace) -> Result<Vec<String>> {
    start(workspace, &["--for".to_owned(), CI_TIME.to_owned()])
}

fn start(workspace: &Workspace, arguments: &[String]) -> Result<Vec<String>> {
    // With the features of all other steps, so that nothing is compiled again.
    command::run(cargo(workspace).args(["build", "--workspace", "--all-features", "--bins"]))?;
    let target = Metadata::of_members(workspace)?.target_directory;
    let mut program = Command::new(target.join("debug").join("jobyard-chaos"));
    program.current_dir(workspace.root()).args(arguments);
    command::run_remembering(&mut program, |line| line.starts_with("chaos: "))
}
