//! How many jobs a second go through master and worker, beside what this machine can do without them.
//!
//! `cargo bench -p jobyard-benches --bench end_to_end -- --help`

#![forbid(unsafe_code)]

mod options;
mod report;
mod round;

use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;
use jobyard_benches::bare;
use jobyard_benches::cluster::Programs;
use jobyard_benches::machine::Machine;
use tokio::runtime::{Builder, Runtime};

use options::Options;
use report::Report;
use round::Round;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [_, bare::MASTER, dir] => one_thread()?.block_on(bare::serve(Path::new(dir))),
        [_, bare::WORKER, dir, port] => {
            let port = port.parse().context("the port")?;
            Runtime::new()?.block_on(bare::work(Path::new(dir), port))
        }
        _ => measure(&Options::parse()),
    }
}

fn measure(options: &Options) -> Result<()> {
    let programs = match &options.programs {
        Some(dir) => Programs::in_directory(dir)?,
        None => Programs::build()?,
    };
    let mut report = Report::new(&Machine::this(), options);
    let runtime = one_thread()?;
    for _ in 0..options.rounds {
        report.add(Round::measure(&runtime, &programs, options)?);
    }
    report.finish();
    Ok(())
}

fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
