//! One job that prints as fast as it can.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jobyard_benches::bare::{RawUpload, raw_upload};
use jobyard_benches::cluster::{Cluster, Programs};
use tokio::runtime::Runtime;

use crate::cost::{Costs, Meter};
use crate::jobs::{self, SECRETS};
use crate::options::Options;
use crate::printer::Printer;
use crate::report::{self, Column, Median};

/// What one round came to.
struct Round {
    raw: RawUpload,
    /// For each way.
    turns: Vec<Turn>,
}

/// Who reads the log, and what is masked in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    name: &'static str,
    /// Somebody follows it.
    is_read: bool,
    /// How many values the job was given that nobody may see.
    secrets: usize,
}

const WAYS: [Way; 4] = [
    Way {
        name: "to the master's disk",
        is_read: false,
        secrets: 0,
    },
    Way {
        name: "to disk and one follower",
        is_read: true,
        secrets: 0,
    },
    Way {
        name: "to disk, 10 secrets",
        is_read: false,
        secrets: SECRETS,
    },
    Way {
        name: "to disk and one follower, 10 secrets",
        is_read: true,
        secrets: SECRETS,
    },
];

/// One job.
struct Turn {
    took: Duration,
    costs: Costs,
}

/// Measures each way in turns with the yardstick.
pub(crate) fn measure(runtime: &Runtime, programs: &Programs, options: &Options) -> Result<()> {
    let bytes = (options.bulk as u64) << 20;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let raw = raw_upload(bytes)?;
        let mut turns = Vec::new();
        for way in WAYS {
            turns.push(runtime.block_on(turn(programs, options, way, bytes))?);
        }
        rounds.push(Round { raw, turns });
    }
    print(&rounds, bytes, options);
    Ok(())
}

async fn turn(programs: &Programs, options: &Options, way: Way, bytes: u64) -> Result<Turn> {
    let cluster = Cluster::start(programs, &options.data, 1).await?;
    let control = cluster.control();
    jobs::warm_up(control).await?;
    let meter = Meter::begin(&cluster)?;
    let begun = Instant::now();
    let job = jobs::submit(control, &Printer::Bulk { bytes }, way.secrets).await?;
    // Who begins behind the last byte hears of nothing but the end.
    let from = if way.is_read { 0 } else { bytes };
    let read = jobs::read(jobs::follow(control, job, from).await?, |_| {}).await?;
    let took = begun.elapsed();
    ensure!(read == bytes - from, "{read} bytes came instead of {bytes}");
    Ok(Turn {
        took,
        costs: meter.read()?,
    })
}

fn print(rounds: &[Round], bytes: u64, options: &Options) {
    let rate = |took: Duration| report::figure(bytes) / 1e6 / took.as_secs_f64();
    let mut table = report::Table::new(&[
        Column::left("one job, as fast as it can"),
        Column::right("MB/s"),
        Column::right("raw MB/s"),
        Column::right("ratio"),
        Column::right("from-to"),
        Column::right("master, worker, launcher MiB"),
        Column::right("their s of cpu"),
        Column::right("raw s of cpu"),
    ]);
    for (number, way) in WAYS.iter().enumerate() {
        let over = |value: &dyn Fn(&Round, &Turn) -> f64| {
            let values = rounds
                .iter()
                .map(|round| value(round, &round.turns[number]));
            Median::of(&values.collect::<Vec<_>>())
        };
        let ratio = over(&|round, turn| round.raw.took.as_secs_f64() / turn.took.as_secs_f64());
        let costs = rounds.iter().map(|round| round.turns[number].costs);
        let costs = Costs::medians(&costs.collect::<Vec<_>>());
        table.row(&[
            way.name.to_owned(),
            format!("{:.0}", over(&|_, turn| rate(turn.took)).middle),
            format!("{:.0}", over(&|round, _| rate(round.raw.took)).middle),
            format!("{:.2}", ratio.middle),
            format!("{:.2}-{:.2}", ratio.least, ratio.most),
            costs.memory(),
            costs.processor(),
            format!(
                "{:.2}",
                over(&|round, _| round.raw.processor.as_secs_f64()).middle
            ),
        ]);
    }
    table.print(&format!(
        "{} MiB, {} rounds; goals: ratio 0.5, master and worker below 64 MiB",
        options.bulk, options.rounds
    ));
}
