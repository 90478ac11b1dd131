//! Many jobs that print some lines.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use jobyard_benches::cluster::{Cluster, Programs};
use tokio::runtime::Runtime;

use crate::cost::{Costs, Meter};
use crate::jobs::{self, SECRETS};
use crate::options::Options;
use crate::printer::{self, Printer};
use crate::report::{self, Column, millis};

/// How many lines each job prints in a second.
const LINES_PER_SECOND: u32 = 100;

/// How often the disk alone is asked to keep a line.
const SYNCS: usize = 500;

/// All of it.
struct Turn {
    secrets: usize,
    lines: u64,
    delays: Vec<Duration>,
    costs: Costs,
    syncs: Vec<Duration>,
}

/// Measures with a reader for each job.
pub(crate) fn measure(runtime: &Runtime, programs: &Programs, options: &Options) -> Result<()> {
    let turns: Result<Vec<_>> = [0, SECRETS]
        .into_iter()
        .map(|secrets| runtime.block_on(turn(programs, options, secrets)))
        .collect();
    print(&turns?, options);
    Ok(())
}

async fn turn(programs: &Programs, options: &Options, secrets: usize) -> Result<Turn> {
    let syncs = syncs(&options.data)?;
    let seconds = u32::try_from(options.seconds)?;
    let printer = Printer::Lines {
        lines: LINES_PER_SECOND * seconds,
        within: Duration::from_secs(u64::from(seconds)),
    };
    let cluster = Cluster::start(programs, &options.data, options.printers).await?;
    let control = cluster.control();
    jobs::warm_up(control).await?;
    let meter = Meter::begin(&cluster)?;
    let mut reading = Vec::new();
    for _ in 0..options.printers {
        let job = jobs::submit(control, &printer, secrets).await?;
        let log = jobs::follow(control, job, 0).await?;
        reading.push(tokio::spawn(async move {
            let mut reader = Reader::default();
            jobs::read(log, |bytes| reader.read(bytes)).await?;
            anyhow::Ok(reader)
        }));
    }
    let mut delays = Vec::new();
    for reader in try_join_all(reading).await? {
        delays.extend(reader?.delays);
    }
    let lines = u64::from(LINES_PER_SECOND * seconds) * options.printers as u64;
    ensure!(delays.len() as u64 == lines, "lines are missing");
    Ok(Turn {
        secrets,
        lines,
        delays,
        costs: meter.read()?,
        syncs,
    })
}

/// Takes lines apart.
#[derive(Default)]
struct Reader {
    rest: Vec<u8>,
    delays: Vec<Duration>,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_micros();
        self.rest.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = self.rest[begin..].iter().position(|byte| *byte == b'\n') {
            if let Some(written) = printer::time_of_line(&self.rest[begin..]) {
                let micros = u64::try_from(now.saturating_sub(written)).unwrap_or(u64::MAX);
                self.delays.push(Duration::from_micros(micros));
            }
            begin += length + 1;
        }
        self.rest.drain(..begin);
    }
}

/// The yardstick: lines that the disk alone makes durable, one after the other.
fn syncs(dir: &Path) -> Result<Vec<Duration>> {
    let dir = tempfile::tempdir_in(dir)?;
    let mut file = File::create(dir.path().join("lines"))?;
    let sync = |_| {
        let begun = Instant::now();
        file.write_all(&[b'x'; 100])?;
        file.sync_data()?;
        Ok(begun.elapsed())
    };
    (0..SYNCS)
        .map(sync)
        .collect::<Result<_>>()
        .context("the disk")
}

fn print(turns: &[Turn], options: &Options) {
    let mut table = report::Table::new(&[
        Column::left("from write to follower"),
        Column::right("p50 ms"),
        Column::right("p99 ms"),
        Column::right("sync p50 ms"),
        Column::right("sync p99 ms"),
        Column::right("p50 of sync"),
        Column::right("master us/line"),
        Column::right("worker"),
        Column::right("launcher"),
        Column::right("master, worker, launcher MiB"),
    ]);
    for turn in turns {
        let per_line = |cpu: Duration| {
            format!(
                "{:.1}",
                cpu.as_secs_f64() * 1e6 / report::figure(turn.lines)
            )
        };
        let costs = &turn.costs;
        table.row(&[
            format!("{} jobs, {} secrets each", options.printers, turn.secrets),
            format!("{:.2}", millis(&turn.delays, 50)),
            format!("{:.2}", millis(&turn.delays, 99)),
            format!("{:.2}", millis(&turn.syncs, 50)),
            format!("{:.2}", millis(&turn.syncs, 99)),
            format!("{:.0}", millis(&turn.delays, 50) / millis(&turn.syncs, 50)),
            per_line(costs.master.processor),
            per_line(costs.worker.processor),
            per_line(costs.launcher.processor),
            costs.memory(),
        ]);
    }
    table.print(&format!(
        "{} jobs, {LINES_PER_SECOND} lines a second each for {} s, a follower each",
        options.printers, options.seconds
    ));
}
