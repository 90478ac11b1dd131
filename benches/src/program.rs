//! The program that every job runs, and how it is started.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What every job runs: the smallest program that each system has.
pub const PROGRAM: &str = "/bin/true";

/// Starts the program as the process executor does (a built environment, a given directory, a process group of its
/// own, no standard input, a pipe each for output and errors), reads both pipes to their end, and reaps it. Answers its
/// exit code, or -1 if a signal ended it. Blocks.
pub(crate) fn run_with_pipes() -> io::Result<i32> {
    let ended = Command::new(PROGRAM)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    Ok(ended.status.code().unwrap_or(-1))
}

/// Starts the program with nothing around it, and reaps it. Blocks.
pub(crate) fn run_alone() -> io::Result<i32> {
    let status = Command::new(PROGRAM)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.code().unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_succeeds_both_ways() {
        assert_eq!(run_with_pipes().expect("it starts"), 0);
        assert_eq!(run_alone().expect("it starts"), 0);
    }
}
