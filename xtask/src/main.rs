//! `cargo xtask`: the chores of this workspace. `cargo xtask help` lists them.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::bugs;
use xtask::chaos;
use xtask::codegen;
use xtask::floors;
use xtask::simulate;
use xtask::steps::{self, Selection};
use xtask::workspace::{Metadata, Workspace};

/// The chores of the Jobyard workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

/// One chore.
#[derive(Debug, Subcommand)]
enum Chore {
    /// Run everything that CI runs, in its order, and stop at the first failure.
    Test(Selection),
    /// Generate the Rust code of the wire protocol from its .proto files.
    Codegen {
        /// Write nothing; fail when the checked-in code differs from what would be generated.
        #[arg(long)]
        check: bool,
    },
    /// Check that the crates of the workspace depend downwards only.
    Floors,
    /// Simulate whole clusters under faults, each from a seed, until an invariant does not hold.
    Simulate(simulate::Worlds),
    /// Build the simulation with deliberate bugs, and see whether it finds each of them.
    Mutants(simulate::Mutants),
    /// Kill, cut off, stop and drain real programs at random under real jobs, and count what becomes of them.
    Chaos(chaos::Options),
}

fn main() -> ExitCode {
    if let Some(code) = bugs::compile() {
        return code;
    }
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match chore {
        Chore::Test(selection) => steps::run(&workspace, &selection),
        Chore::Codegen { check: true } => codegen::check(&workspace),
        Chore::Codegen { check: false } => codegen::write(&workspace),
        Chore::Chaos(options) => chaos::run(&workspace, &options),
        Chore::Floors => floors::require(&Metadata::of_members(&workspace)?),
        Chore::Simulate(worlds) => simulate::run(&workspace, &worlds),
        Chore::Mutants(mutants) => simulate::mutants(&workspace, &mutants),
    }
}
