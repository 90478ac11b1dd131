//! Many readers of one log.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use jobyard_benches::cluster::{Cluster, Programs};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cost::{Costs, Meter};
use crate::jobs;
use crate::options::Options;
use crate::printer::{self, Printer};
use crate::report::{self, Column};
use crate::starting_gun::StartingGun;

/// In how much time the job prints at the least: long enough that its readers are at work meanwhile.
const WITHIN: Duration = Duration::from_secs(5);

/// One job and its readers.
struct Turn {
    readers: usize,
    /// The job, from its first write to its last.
    printed: Duration,
    /// From its first write until a reader at the end hears that all is on the master's disk.
    stored: Duration,
    /// From its first write until the last reader has all.
    read: Duration,
    costs: Costs,
}

/// Measures one reader, and many.
pub(crate) fn measure(runtime: &Runtime, programs: &Programs, options: &Options) -> Result<()> {
    let mut turns = Vec::new();
    for readers in [1, options.readers] {
        turns.push(runtime.block_on(turn(programs, options, readers))?);
    }
    print(&turns, options);
    Ok(())
}

async fn turn(programs: &Programs, options: &Options, readers: usize) -> Result<Turn> {
    let bytes = (options.read as u64) << 20;
    let cluster = Cluster::start(programs, &options.data, 1).await?;
    let control = cluster.control();
    jobs::warm_up(control).await?;
    let meter = Meter::begin(&cluster)?;
    let gun = StartingGun::load(cluster.root())?;
    let took = cluster.root().join("took");
    let printer = Printer::Paced {
        bytes,
        within: WITHIN,
        gun: gun.path().to_owned(),
        took: took.clone(),
    };
    let job = jobs::submit(control, &printer, 0).await?;
    let mut reading: Vec<JoinHandle<Result<u64>>> = Vec::new();
    for _ in 0..readers {
        // Each with a connection of its own, as so many people have.
        let control = cluster.another_control()?;
        let log = jobs::follow(&control, job, 0).await?;
        reading.push(tokio::spawn(async move {
            let read = jobs::read(log, |_| {}).await;
            drop(control);
            read
        }));
    }
    let stored = jobs::follow(control, job, bytes).await?;
    spawn_blocking(|| gun.fire()).await??;
    let begun = Instant::now();
    let stored = tokio::spawn(async move {
        jobs::read(stored, |_| {}).await?;
        anyhow::Ok(begun.elapsed())
    });
    for read in try_join_all(reading).await? {
        let read = read.context("a reader")?;
        ensure!(read == bytes, "{read} bytes came instead of {bytes}");
    }
    Ok(Turn {
        readers,
        read: begun.elapsed(),
        stored: stored.await??,
        printed: printer::read_time(&took)?,
        costs: meter.read()?,
    })
}

fn print(turns: &[Turn], options: &Options) {
    let mut table = report::Table::new(&[
        Column::left("readers"),
        Column::right("job s"),
        Column::right("of one"),
        Column::right("end is heard s"),
        Column::right("of one"),
        Column::right("all have it s"),
        Column::right("MB/s to all"),
        Column::right("master MiB"),
        Column::right("KiB each"),
        Column::right("master s of cpu"),
    ]);
    let bytes = report::figure((options.read as u64) << 20);
    for turn in turns {
        let readers = report::figure(turn.readers as u64);
        let of_one = |time: fn(&Turn) -> Duration| {
            format!(
                "{:.2}",
                time(turn).as_secs_f64() / time(&turns[0]).as_secs_f64()
            )
        };
        let memory = turn.costs.master.memory_mib;
        table.row(&[
            turn.readers.to_string(),
            format!("{:.2}", turn.printed.as_secs_f64()),
            of_one(|turn| turn.printed),
            format!("{:.2}", turn.stored.as_secs_f64()),
            of_one(|turn| turn.stored),
            format!("{:.2}", turn.read.as_secs_f64()),
            format!("{:.0}", readers * bytes / 1e6 / turn.read.as_secs_f64()),
            format!("{memory:.0}"),
            format!("{:.0}", memory * 1024.0 / readers),
            format!("{:.2}", turn.costs.master.processor.as_secs_f64()),
        ]);
    }
    table.print(&format!(
        "{} MiB in {} s or more, each reader with a connection of its own; goal: the job is not slowed, memory is flat",
        options.read,
        WITHIN.as_secs()
    ));
}
