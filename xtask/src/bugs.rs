//! Compiling with the deliberate bugs: they are in the crates of this workspace behind a `--cfg`.
//!
//! A flag for all of `rustc` would have every dependency compiled again. So this program puts itself between cargo and
//! the compiler, which cargo allows for the crates of a workspace alone, and keeps what comes out of it apart.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Switches the code of the deliberate bugs on.
const FLAGS: [&str; 2] = ["--cfg", "jobyard_mutants"];

/// Says that this program was started in the place of the compiler.
const IN_PLACE: &str = "JOBYARD_XTASK_COMPILES";

/// Has a command of cargo compile the deliberate bugs into the crates of this workspace.
///
/// # Errors
///
/// It is not known where this program is.
pub fn compile_in(command: &mut Command) -> Result<&mut Command> {
    let this = env::current_exe().context("where is this program?")?;
    Ok(command
        .env("RUSTC_WORKSPACE_WRAPPER", this)
        .env(IN_PLACE, "1"))
}

/// Compiles, if that is what this program was started for: its arguments are then the compiler and those of the compiler.
#[must_use]
pub fn compile() -> Option<ExitCode> {
    env::var_os(IN_PLACE)?;
    let mut arguments = env::args_os().skip(1);
    let status = run(&arguments.next()?, arguments);
    Some(match status {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn run(compiler: &OsStr, arguments: impl Iterator<Item = OsString>) -> Result<bool> {
    let mut command = Command::new(compiler);
    command.args(arguments).args(FLAGS).env_remove(IN_PLACE);
    let status = command
        .status()
        .with_context(|| format!("could not start `{}`", compiler.display()))?;
    Ok(status.success())
}
