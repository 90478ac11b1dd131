//! The pair as the benchmark sees it.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::certificates;
use super::order::Order;

/// The first argument with which a benchmark's program has to call [`serve`](super::serve); the second is the directory.
pub const MASTER: &str = "bare-master";

/// The first argument with which a benchmark's program has to call [`work`](super::work); then come the directory and
/// the port.
pub const WORKER: &str = "bare-worker";

/// A bare master and its worker, connected. Dropping it ends both.
#[derive(Debug)]
pub struct Pair {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    processes: Vec<Child>,
    dir: TempDir,
}

impl Pair {
    /// Starts both from the program that runs now. Blocks.
    pub fn start() -> Result<Self> {
        let program = env::current_exe()?;
        let dir = tempfile::tempdir()?;
        certificates::make(dir.path())?;
        let mut master = Command::new(&program)
            .arg(MASTER)
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = master.stdin.take().context("the pipe was asked for")?;
        let answers = master.stdout.take().context("the pipe was asked for")?;
        let mut pair = Self {
            orders,
            answers: BufReader::new(answers).lines(),
            processes: vec![master],
            dir,
        };
        let port = pair.answer()?;
        let worker = Command::new(&program)
            .arg(WORKER)
            .arg(pair.dir.path())
            .arg(port.to_string())
            .stdin(Stdio::null())
            .spawn()?;
        pair.processes.push(worker);
        Ok(pair)
    }

    /// Runs this many jobs with `window` of them in flight, and says how long that took. Blocks.
    pub fn run_many(&mut self, jobs: usize, window: usize) -> Result<Duration> {
        self.order(Order::Many {
            jobs: jobs as u64,
            window: window as u64,
        })?;
        self.answer().map(Duration::from_nanos)
    }

    /// Runs this many jobs one after the other, and says how long each took. Blocks.
    pub fn run_one_by_one(&mut self, jobs: usize) -> Result<Vec<Duration>> {
        self.order(Order::OneByOne { jobs: jobs as u64 })?;
        (0..jobs)
            .map(|_| self.answer().map(Duration::from_nanos))
            .collect()
    }

    fn order(&mut self, order: Order) -> Result<()> {
        writeln!(self.orders, "{order}").context("the bare master has ended")
    }

    fn answer(&mut self) -> Result<u64> {
        let line = self.answers.next().context("the bare master has ended")??;
        line.parse()
            .with_context(|| format!("the bare master says {line:?}"))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended already is what is wanted.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
