//! Running other programs: what is run is printed, what it prints is passed on.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// A cargo command in the root of the workspace.
///
/// It is the cargo that started us, without the variables that `cargo run` adds for the program
/// that it runs: build scripts that watch them would be run again for nothing.
#[must_use]
pub fn cargo(workspace: &Workspace) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace.root());
    for (name, _) in env::vars_os() {
        if is_of_the_running_package(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end, its output going where ours goes.
///
/// # Errors
///
/// It could not be started, or it did not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command like [`run`], and returns the lines of its output that `memorable` chooses,
/// without their colours.
///
/// # Errors
///
/// As [`run`].
pub fn run_remembering(
    command: &mut Command,
    memorable: impl Fn(&str) -> bool + Sync,
) -> Result<Vec<String>> {
    announce(command);
    if io::stderr().is_terminal() && env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    let lines = pass_on(&mut child, &memorable)?;
    let status = child.wait().context("could not wait for a command")?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(lines)
}

/// Runs a command silently and returns what it wrote to its standard output.
///
/// # Errors
///
/// It could not be started, or it did not succeed; then its standard error is in the message.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed: {}\n{complaint}",
            shown(command),
            output.status
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is not UTF-8", shown(command)))
}

/// Whether a command can be run at all: it starts and succeeds. Its output is dropped.
#[must_use]
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints the command as one would type it.
pub fn announce(command: &Command) {
    println!("$ {}", shown(command));
    // What the command prints comes after; a failing flush would show in the next line anyway.
    io::stdout().flush().ok();
}

fn shown(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| {
        let value = value?;
        Some(format!(
            "{}={:?}",
            name.display(),
            value.display().to_string()
        ))
    });
    let program = command.get_program();
    let name = std::path::Path::new(program).file_name().unwrap_or(program);
    let words = command.get_args().map(|word| word.display().to_string());
    set.chain([name.display().to_string()])
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_of_the_running_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// Copies both outputs of a child to ours until they end.
fn pass_on(child: &mut Child, memorable: &(impl Fn(&str) -> bool + Sync)) -> Result<Vec<String>> {
    let stdout = child.stdout.take().context("the output is not piped")?;
    let stderr = child
        .stderr
        .take()
        .context("the error output is not piped")?;
    thread::scope(|scope| {
        let errors = scope.spawn(|| copy(stderr, io::stderr(), memorable));
        let mut lines = copy(stdout, io::stdout(), memorable)?;
        match errors.join() {
            Ok(more) => lines.extend(more?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        Ok(lines)
    })
}

fn copy(
    from: impl Read,
    mut to: impl Write,
    memorable: &impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let mut from = BufReader::new(from);
    let mut remembered = Vec::new();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        let plain = without_colours(&String::from_utf8_lossy(&line));
        if memorable(&plain) {
            remembered.push(plain.trim().to_owned());
        }
        line.clear();
    }
    Ok(remembered)
}

/// Drops the escape sequences that set colours (ECMA-48 "select graphic rendition").
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remember_a_line_without_its_colours() {
        let mut copied = Vec::new();
        let text = "one\n\u{1b}[32;1m     Summary\u{1b}[0m 3 tests run\nlast";
        let lines = copy(text.as_bytes(), &mut copied, &|line| {
            line.contains("Summary")
        })
        .unwrap();
        assert_eq!(lines, ["Summary 3 tests run"]);
        assert_eq!(copied, text.as_bytes());
    }

    #[test]
    fn report_a_command_that_fails() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("`false` failed"), "{error}");
    }

    #[test]
    fn report_a_command_that_does_not_exist() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("could not start"), "{error}");
    }
}
