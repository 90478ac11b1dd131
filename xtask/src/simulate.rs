//! Simulated worlds by the thousand, and whether they find deliberate bugs.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::bugs;
use crate::command::{self, cargo};
use crate::program_mutants;
use crate::workspace::Workspace;

/// How many worlds CI simulates.
const CI_SEEDS: u64 = 10_000;

/// What the simulation runs most of the time. With these alone optimised it is nearly as fast as a release build, which
/// takes minutes more to compile where there is none, and it looks for overflows as tests do.
const OFTEN_RUN: [&str; 12] = [
    "jobyard-core",
    "jobyard-executor",
    "jobyard-master",
    "jobyard-scheduler",
    "jobyard-sim",
    "jobyard-worker",
    "serde",
    "serde_core",
    "serde_json",
    "uuid",
    "itoa",
    "memchr",
];

/// Which worlds to simulate.
#[derive(Debug, Clone, Default, Args)]
pub struct Worlds {
    /// How many.
    #[arg(long, default_value_t = CI_SEEDS)]
    pub seeds: u64,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Of this seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    pub seed: Option<u64>,
    /// Print everything that happens in the world of `--seed`.
    #[arg(long, requires = "seed")]
    pub trace: bool,
    /// What goes wrong in them: `rough` for everything, or `calm`, `apart`, `stopped`, `slow`, `forced`, `drained`,
    /// `unwritten`, `late`, `ordered`, `answered-late`, `intruded`.
    #[arg(long, default_value = "rough")]
    pub scenario: String,
    /// On how many threads; on all cores by default.
    #[arg(long, value_name = "THREADS")]
    pub jobs: Option<usize>,
    /// Faults and transitions that never occurred are no failure: with few worlds some do not.
    #[arg(long)]
    pub partial: bool,
}

impl Worlds {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--scenario".to_owned(), self.scenario.clone()];
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if let Some(seed) = self.seed {
            add("--seed", seed.to_string());
        } else {
            add("--seeds", self.seeds.to_string());
            add("--from", self.from.to_string());
        }
        if let Some(jobs) = self.jobs {
            add("--jobs", jobs.to_string());
        }
        let flags = [(self.trace, "--trace"), (self.partial, "--partial")];
        let set = flags.into_iter().filter(|(set, _)| *set);
        arguments.extend(set.map(|(_, flag)| flag.to_owned()));
        arguments
    }
}

/// Which deliberate bugs to look for.
#[derive(Debug, Clone, Default, Args)]
pub struct Mutants {
    /// Their names; all by default.
    pub names: Vec<String>,
    /// Not in the simulation: in the programs, which the tests of faults start. The names are then of tests, or parts of
    /// them.
    #[arg(long)]
    pub programs: bool,
}

/// Simulates worlds until one fails.
///
/// # Errors
///
/// The simulation could not be built, an invariant did not hold, or something that has to occur never did.
pub fn run(workspace: &Workspace, worlds: &Worlds) -> Result<()> {
    command::run(release(workspace).args(worlds.arguments()))
}

/// What CI simulates. Returns the line about its speed.
///
/// # Errors
///
/// As [`run`].
pub fn require(workspace: &Workspace) -> Result<Vec<String>> {
    let seeds = CI_SEEDS.to_string();
    let worlds = ["--", "--seeds", &seeds];
    command::run_remembering(simulation(workspace).args(worlds), |line| {
        line.contains(" worlds in ")
    })
}

/// Builds the simulation with the deliberate bugs, and looks for each of them.
///
/// # Errors
///
/// It could not be built, or a deliberate bug was not found.
pub fn mutants(workspace: &Workspace, mutants: &Mutants) -> Result<()> {
    if mutants.programs {
        return program_mutants::run(workspace, &mutants.names);
    }
    let mut simulation = simulation(workspace);
    bugs::compile_in(workspace, &mut simulation)?;
    command::run(simulation.args(["--", "--mutants"]).args(&mutants.names))
}

/// The simulation, so compiled that it is worth it in CI; the arguments of its own follow after `--`.
fn simulation(workspace: &Workspace) -> Command {
    let mut command = cargo(workspace);
    command.args(["run", "--quiet", "-p", "jobyard-sim"]);
    let packages = OFTEN_RUN.iter();
    let level = |name| format!("--config=profile.dev.package.{name}.opt-level=3");
    command.args(packages.map(level));
    command
}

fn release(workspace: &Workspace) -> Command {
    let mut command = cargo(workspace);
    command.args(["run", "--quiet", "--release", "-p", "jobyard-sim", "--"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_asked_for_alone() {
        let worlds = Worlds {
            seeds: 7,
            seed: Some(42),
            trace: true,
            scenario: "rough".to_owned(),
            ..Worlds::default()
        };
        let arguments = ["--scenario", "rough", "--seed", "42", "--trace"];
        assert_eq!(worlds.arguments(), arguments);
    }
}
