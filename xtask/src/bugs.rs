//! Compiling with the deliberate bugs: they are in the crates of this workspace behind a `--cfg`.
//!
//! A flag for all of `rustc` would have every dependency compiled again. So this program puts itself between cargo and
//! the compiler, which cargo allows for the crates of a workspace alone, and keeps what comes out of it apart.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Switches the code of the deliberate bugs on.
const FLAGS: [&str; 2] = ["--cfg", "jobyard_mutants"];

/// Says that this program was started in the place of the compiler.
const IN_PLACE: &str = "JOBYARD_XTASK_COMPILES";

/// Where the copy of this program is that stands in the place of the compiler.
const COPY: &str = "target/xtask/compiler";

/// Has a command of cargo compile the deliberate bugs into the crates of this workspace.
///
/// # Errors
///
/// This program could not be copied into the target directory.
pub fn compile_in<'a>(workspace: &Workspace, command: &'a mut Command) -> Result<&'a mut Command> {
    let copy = workspace.path(COPY);
    keep_copy(&copy)
        .with_context(|| format!("could not copy this program to {}", copy.display()))?;
    Ok(command
        .env("RUSTC_WORKSPACE_WRAPPER", copy)
        .env(IN_PLACE, "1"))
}

/// Copies this program. Where it was started from is no place to start it again: with `cargo xtask test` cargo builds it
/// once more meanwhile, with the tests, and puts another file there. A copy that is the same already stays as it is, so
/// that cargo does not take it for another compiler.
fn keep_copy(copy: &Path) -> io::Result<()> {
    // On Linux this is the program that runs, even if its file was removed since.
    let running = Path::new("/proc/self/exe");
    let this = if running.exists() {
        running.to_owned()
    } else {
        env::current_exe()?
    };
    if fs::read(copy).is_ok_and(|copied| fs::read(&this).is_ok_and(|now| now == copied)) {
        return Ok(());
    }
    if let Some(folder) = copy.parent() {
        fs::create_dir_all(folder)?;
    }
    // Never written to in place: an earlier copy may be running.
    let new = copy.with_extension("new");
    fs::copy(this, &new)?;
    fs::rename(new, copy)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_that_is_the_same_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("below/compiler");
        keep_copy(&copy).unwrap();
        let first = fs::metadata(&copy).unwrap().modified().unwrap();
        assert_eq!(
            fs::read(&copy).unwrap(),
            fs::read("/proc/self/exe").unwrap()
        );
        keep_copy(&copy).unwrap();
        assert_eq!(fs::metadata(&copy).unwrap().modified().unwrap(), first);
    }
}
