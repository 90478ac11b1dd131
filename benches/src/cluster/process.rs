//! One program of the cluster.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// A program that runs; what it logs as a warning or an error is passed on. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts it, and returns once it has logged a line with this text, or at once. Blocks.
    pub(super) fn start(command: &mut Command, ready: Option<&str>) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        let log = child.stderr.take().context("the pipe was asked for")?;
        let process = Self { child };
        let mut lines = BufReader::new(log).lines();
        if let Some(ready) = ready {
            await_line(&mut lines, ready).with_context(|| name)?;
        }
        thread::spawn(move || pass_on(lines));
        Ok(process)
    }
}

impl Process {
    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Log = Lines<BufReader<ChildStderr>>;

fn await_line(log: &mut Log, text: &str) -> Result<()> {
    let mut said = Vec::new();
    for line in log {
        let line = line?;
        if line.contains(text) {
            return Ok(());
        }
        said.push(line);
    }
    bail!("it ended before it was ready:\n{}", said.join("\n"))
}

/// Reads to the end, so that the program never waits for its log to be read.
fn pass_on(log: Log) {
    for line in log.map_while(Result::ok) {
        if ["WARN", "ERROR"].iter().any(|level| line.contains(level)) {
            eprintln!("{line}");
        }
    }
}
