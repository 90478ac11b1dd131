//! How many processes a second go through supervisor and launcher, beside what this machine can do without them.
//!
//! `cargo bench -p jobyard-benches --bench spawn -- --help`

#![forbid(unsafe_code)]

mod figure;
mod options;
mod place;
mod report;
mod row;

use std::hint::black_box;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

use figure::{Figure, Turn};
use options::Options;
use place::Places;
use report::Report;
use row::{Contender, Row};

fn main() -> Result<()> {
    // The launcher is this program a second time, so that the bench is one program as well.
    jobyard_executor::launcher::run_if_asked();
    let options = Options::read();
    let places = Places::make(&options)?;
    let runtime = runtime(&options)?;
    let report = Report::new(&options, &places);
    let mut figures = measure(&runtime, &options, &places, Row::small(&places))?;
    let ballast = black_box(vec![1_u8; options.ballast << 20]);
    let large = measure(&runtime, &options, &places, Row::large())?;
    drop(black_box(ballast));
    figures.extend(large);
    report.finish(&figures);
    Ok(())
}

/// Takes all rows in turns, each beside its yardstick, and prints them.
fn measure(
    runtime: &Runtime,
    options: &Options,
    places: &Places,
    mut rows: Vec<Row>,
) -> Result<Vec<Figure>> {
    rows.retain(|row| options.wants(&row.name));
    let mut contenders = Vec::new();
    let mut figures = Vec::new();
    for row in rows {
        match runtime.block_on(Contender::prepare(&row, options, places))? {
            Ok(contender) => {
                contenders.push(contender);
                figures.push(Figure::new(row));
            }
            Err(reason) => Report::left_out(&row, &reason),
        }
    }
    for _ in 0..options.rounds {
        for (contender, figure) in contenders.iter().zip(&mut figures) {
            figure.add(Turn::take(runtime, contender, options)?);
        }
    }
    for figure in &figures {
        Report::row(figure);
    }
    Ok(figures)
}

fn runtime(options: &Options) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(options.threads);
    Ok(builder.enable_all().build()?)
}
