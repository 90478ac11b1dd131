//! Everything that CI runs, in its order.

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::command::{self, cargo};
use crate::gates::{dependencies, licences, weight};
use crate::workspace::{Metadata, Workspace};
use crate::{chaos, codegen, examples, floors, package, portability, simulate, skips};

/// One check. The order here is the order in which they run.
///
/// All that compile use the same profile and the features of the whole workspace, so that a
/// dependency is compiled once for checking and once for running, and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Step {
    /// The code is laid out by rustfmt.
    Fmt,
    /// Clippy has no complaint.
    Clippy,
    /// The documentation builds without a warning.
    Doc,
    /// The tests pass.
    Test,
    /// Every test that was not run was expected not to be.
    Skips,
    /// The examples in the documentation pass.
    Doctest,
    /// The programs in `examples/` run to their end.
    Examples,
    /// Every invariant holds in ten thousand simulated worlds.
    Simulate,
    /// The simulation finds every deliberate bug.
    Mutants,
    /// Nothing is lost and nothing runs twice while everything fails at random, for a minute.
    Chaos,
    /// The executor compiles for other systems.
    Portability,
    /// The generated code is what the .proto files say.
    Codegen,
    /// Every crate can be published.
    Package,
    /// Crates depend downwards only.
    Floors,
    /// Nothing is depended upon that must not be.
    Dependencies,
}

impl Step {
    /// What is checked, as a headline.
    #[must_use]
    pub fn headline(self) -> &'static str {
        match self {
            Self::Fmt => "the code is formatted",
            Self::Clippy => "clippy has no complaint",
            Self::Doc => "the documentation builds without a warning",
            Self::Test => "the tests pass",
            Self::Skips => "no test is skipped unexpectedly",
            Self::Doctest => "the documentation's examples pass",
            Self::Chaos => {
                "nothing is lost and nothing runs twice while everything fails at random"
            }
            Self::Examples => "the example programs run to their end",
            Self::Simulate => "every invariant holds in simulated worlds",
            Self::Mutants => "the simulation finds every deliberate bug",
            Self::Portability => "the executor compiles for other systems",
            Self::Codegen => "the generated code is fresh",
            Self::Package => "every crate can be published",
            Self::Floors => "dependencies point down only",
            Self::Dependencies => "licences, versions, refusals and weight are in order",
        }
    }

    /// Runs the check; returns lines that are worth repeating at the very end.
    fn run(self, workspace: &Workspace) -> Result<Vec<String>> {
        match self {
            Self::Fmt => command::run(cargo(workspace).args(["fmt", "--all", "--check"]))?,
            Self::Clippy => clippy(workspace)?,
            Self::Doc => doc(workspace)?,
            Self::Test => return test(workspace),
            Self::Skips => skips::require(workspace)?,
            Self::Doctest => return doctest(workspace),
            Self::Examples => examples::require(workspace)?,
            Self::Simulate => return simulate::require(workspace),
            Self::Mutants => simulate::mutants(workspace, &simulate::Mutants::default())?,
            Self::Chaos => return chaos::require(workspace),
            Self::Portability => return portability::require(workspace),
            Self::Codegen => codegen::check(workspace)?,
            Self::Package => package::require(workspace)?,
            Self::Floors => floors::require(&Metadata::of_members(workspace)?)?,
            Self::Dependencies => dependency_gates(workspace)?,
        }
        Ok(Vec::new())
    }

    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// Which steps to run; all by default.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Run these steps alone (may be repeated, or separated by commas).
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub only: Vec<Step>,
    /// Run all but these steps (may be repeated, or separated by commas).
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub skip: Vec<Step>,
}

impl Selection {
    /// The chosen steps, in their order.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let all = Step::value_variants().iter().copied();
        all.filter(|step| self.only.is_empty() || self.only.contains(step))
            .filter(|step| !self.skip.contains(step))
            .collect()
    }
}

/// Runs the chosen steps, stops at the first that fails, and sums up.
///
/// # Errors
///
/// A step failed, or none was chosen.
pub fn run(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let steps = selection.steps();
    if steps.is_empty() {
        bail!("no step is left to run");
    }
    let mut done: Vec<Done> = Vec::new();
    let mut failure = None;
    for (index, &step) in steps.iter().enumerate() {
        let place = format!("[{}/{}]", index + 1, steps.len());
        println!("\n==> {place} {}: {}", step.name(), step.headline());
        let start = Instant::now();
        let result = step.run(workspace);
        let took = start.elapsed();
        match result {
            Ok(notes) => done.push(Done { step, took, notes }),
            Err(error) => {
                failure = Some((step, took, error));
                break;
            }
        }
    }
    sum_up(
        &done,
        failure.as_ref().map(|(step, took, _)| (*step, *took)),
    );
    match failure {
        None => Ok(()),
        Some((step, _, error)) => {
            let again = format!(
                "step `{0}` failed (alone: cargo xtask test --only {0})",
                step.name()
            );
            Err(error.context(again))
        }
    }
}

/// A step that passed.
struct Done {
    step: Step,
    took: Duration,
    notes: Vec<String>,
}

fn sum_up(done: &[Done], failed: Option<(Step, Duration)>) {
    println!("\n==> summary");
    for Done { step, took, notes } in done {
        println!("  ok      {:>7.1} s  {}", took.as_secs_f64(), step.name());
        for note in notes {
            println!("                       {note}");
        }
    }
    if let Some((step, took)) = failed {
        println!("  FAILED  {:>7.1} s  {}", took.as_secs_f64(), step.name());
    }
    let total: Duration = done
        .iter()
        .map(|step| step.took)
        .chain(failed.map(|(_, took)| took))
        .sum();
    println!("  total   {:>7.1} s", total.as_secs_f64());
}

fn clippy(workspace: &Workspace) -> Result<()> {
    command::run(
        cargo(workspace)
            .args(["clippy", "--workspace", "--all-targets", "--all-features"])
            .args(["--", "-D", "warnings"]),
    )
}

fn doc(workspace: &Workspace) -> Result<()> {
    command::run(
        cargo(workspace)
            .args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn test(workspace: &Workspace) -> Result<Vec<String>> {
    if !command::succeeds(cargo(workspace).args(["nextest", "--version"])) {
        bail!("cargo-nextest is missing: install it with `cargo install cargo-nextest --locked`");
    }
    let profile = if is_ci() { "ci" } else { "default" };
    command::run_remembering(
        cargo(workspace)
            .args(["nextest", "run", "--workspace", "--all-features"])
            .args(["--profile", profile]),
        |line| line.trim_start().starts_with("Summary ["),
    )
}

fn doctest(workspace: &Workspace) -> Result<Vec<String>> {
    command::run_remembering(
        cargo(workspace).args(["test", "--doc", "--workspace", "--all-features"]),
        |line| line.starts_with("test result:") && !line.contains(" 0 passed"),
    )
}

fn dependency_gates(workspace: &Workspace) -> Result<()> {
    let everything =
        Metadata::of_everything(workspace).context("could not list the dependencies")?;
    dependencies::require(&everything)?;
    weight::require(workspace, &everything)?;
    licences::require(workspace, &everything)
}

/// CI systems set `CI`, most of them to `true`.
fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_all_steps_by_default() {
        assert_eq!(Selection::default().steps(), Step::value_variants());
    }

    #[test]
    fn keep_the_order_of_chosen_steps() {
        let selection = Selection {
            only: vec![Step::Floors, Step::Fmt],
            skip: Vec::new(),
        };
        assert_eq!(selection.steps(), [Step::Fmt, Step::Floors]);
    }

    #[test]
    fn leave_out_skipped_steps() {
        let selection = Selection {
            only: vec![Step::Fmt, Step::Doc],
            skip: vec![Step::Doc],
        };
        assert_eq!(selection.steps(), [Step::Fmt]);
    }
}
