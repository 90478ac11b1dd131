//! Output from process to screen: how fast, with how much memory, for how many readers, and how soon.
//!
//! `cargo bench -p jobyard-benches --bench logs -- --help`

#![forbid(unsafe_code)]

mod bulk;
mod cost;
mod jobs;
mod lines;
mod options;
mod printer;
mod readers;
mod report;
mod starting_gun;
mod tiny_writes;

use std::path::Path;

use anyhow::{Context, Result};
use jobyard_benches::bare;
use jobyard_benches::cluster::Programs;
use jobyard_benches::machine::Machine;
use tokio::runtime::{Builder, Runtime};

use options::{Options, Part};
use printer::Printer;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [_, bare::UPLOAD_MASTER, dir] => {
            Runtime::new()?.block_on(bare::serve_upload(Path::new(dir)))
        }
        [_, bare::UPLOAD_WORKER, dir, port, bytes] => {
            let (port, bytes) = (port.parse()?, bytes.parse()?);
            Runtime::new()?.block_on(bare::upload(Path::new(dir), port, bytes))
        }
        [_, printer::PRINT, ref rest @ ..] => Printer::from_arguments(rest)
            .context("a job of the benchmark")?
            .run(),
        _ => measure(&Options::read()),
    }
}

fn measure(options: &Options) -> Result<()> {
    let programs = match &options.programs {
        Some(dir) => Programs::in_directory(dir)?,
        None => Programs::build()?,
    };
    report::begin(&Machine::this(), options);
    let runtime = runtime()?;
    let all = [
        (Part::Bulk, bulk::measure as fn(&_, &_, &_) -> _),
        (Part::Readers, readers::measure),
        (Part::Lines, lines::measure),
        (Part::Tiny, tiny_writes::measure),
    ];
    for (part, measure) in all {
        if options.wants(part) {
            measure(&runtime, &programs, options)?;
        }
    }
    Ok(())
}

/// As that of the command line.
fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}
