//! The program as a person starts it, without a master; one group of behaviours per file.

mod simulate;
mod usage;

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in a directory of its own, without the profile of whoever runs the tests.
fn jobyard(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobyard"))
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env_remove("JOBYARD_PROFILE")
        .output()
        .expect("the program runs")
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
