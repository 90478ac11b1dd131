//! One job with as small writes as can be.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jobyard_benches::cluster::{Cluster, Programs};
use jobyard_core::MAX_CHUNK_BYTES;
use tokio::runtime::Runtime;

use crate::cost::{Costs, Meter};
use crate::jobs::{self, SECRETS};
use crate::options::Options;
use crate::printer::{self, Printer, tiny_bytes};
use crate::report::{self, Column, Median};

/// One job.
struct Turn {
    secrets: usize,
    /// The program with nothing but a pipe that somebody empties.
    raw: Duration,
    /// The program as a job.
    printed: Duration,
    /// From submitting it until its follower has all.
    read: Duration,
    /// What the master's disk holds.
    stored: u64,
    costs: Costs,
}

/// Measures in turns with the yardstick.
pub(crate) fn measure(runtime: &Runtime, programs: &Programs, options: &Options) -> Result<()> {
    let mut turns = Vec::new();
    for _ in 0..options.rounds {
        for secrets in [0, SECRETS] {
            turns.push(runtime.block_on(turn(programs, options, secrets))?);
        }
    }
    print(&turns, options);
    Ok(())
}

async fn turn(programs: &Programs, options: &Options, secrets: usize) -> Result<Turn> {
    let writes = options.writes as u64;
    let cluster = Cluster::start(programs, &options.data, 1).await?;
    let control = cluster.control();
    jobs::warm_up(control).await?;
    let took = cluster.root().join("took");
    let printer = Printer::Tiny {
        writes,
        took: took.clone(),
    };
    let raw = raw_pipe(&printer, &took)?;
    let before = size(&cluster.logs())?;
    let meter = Meter::begin(&cluster)?;
    let begun = Instant::now();
    let job = jobs::submit(control, &printer, secrets).await?;
    let bytes = jobs::read(jobs::follow(control, job, 0).await?, |_| {}).await?;
    let read = begun.elapsed();
    ensure!(bytes == tiny_bytes(writes), "{bytes} bytes came");
    Ok(Turn {
        secrets,
        raw,
        printed: printer::read_time(&took)?,
        read,
        stored: size(&cluster.logs())? - before,
        costs: meter.read()?,
    })
}

/// The same program with a pipe that is emptied by whole chunks. Blocks.
fn raw_pipe(printer: &Printer, took: &Path) -> Result<Duration> {
    let command = printer.command()?;
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pipe = child.stdout.take().context("the pipe was asked for")?;
    let mut buffer = vec![0; MAX_CHUNK_BYTES];
    while pipe.read(&mut buffer)? > 0 {}
    ensure!(child.wait()?.success(), "the program failed");
    let raw = printer::read_time(took)?;
    fs::remove_file(took)?;
    Ok(raw)
}

/// How long all files below a directory are.
fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

fn print(turns: &[Turn], options: &Options) {
    let mut table = report::Table::new(&[
        Column::left("tiny writes"),
        Column::right("job s"),
        Column::right("raw pipe s"),
        Column::right("ratio"),
        Column::right("from-to"),
        Column::right("follower has all s"),
        Column::right("bytes on disk for each"),
        Column::right("master, worker, launcher MiB"),
        Column::right("their s of cpu"),
    ]);
    let bytes = report::figure(tiny_bytes(options.writes as u64));
    for secrets in [0, SECRETS] {
        let rounds = || turns.iter().filter(move |turn| turn.secrets == secrets);
        let over =
            |value: &dyn Fn(&Turn) -> f64| Median::of(&rounds().map(value).collect::<Vec<_>>());
        let seconds = |time: fn(&Turn) -> Duration| over(&|turn| time(turn).as_secs_f64()).middle;
        let ratio = over(&|turn| turn.printed.as_secs_f64() / turn.raw.as_secs_f64());
        let costs = Costs::medians(&rounds().map(|turn| turn.costs).collect::<Vec<_>>());
        table.row(&[
            format!("{} writes, {secrets} secrets", options.writes),
            format!("{:.2}", seconds(|turn| turn.printed)),
            format!("{:.2}", seconds(|turn| turn.raw)),
            format!("{:.2}", ratio.middle),
            format!("{:.2}-{:.2}", ratio.least, ratio.most),
            format!("{:.2}", seconds(|turn| turn.read)),
            format!(
                "{:.2}",
                over(&|turn| report::figure(turn.stored) / bytes).middle
            ),
            costs.memory(),
            costs.processor(),
        ]);
    }
    table.print(&format!(
        "{} writes of 1 to 10 bytes by one job, {} rounds",
        options.writes, options.rounds
    ));
}
