//! A million queued jobs: what each costs in memory, how fast they are accepted, and how long a restart takes with them.
//!
//! `cargo bench -p jobyard-benches --bench restart -- --help`

#![forbid(unsafe_code)]

mod facts;
mod options;
mod phase;
mod report;
mod rows;
mod serve;

use std::path::Path;

use anyhow::{Context, Result, bail};

use facts::Facts;
use options::Options;
use phase::{CHILD, Kind, Phase};
use report::Report;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [_, CHILD, phase, kind, jobs, dir] = arguments[..] {
        let phase: Phase = phase.parse()?;
        let facts = phase.run(kind.parse()?, jobs.parse()?, Path::new(dir))?;
        println!("{}", serde_json::to_string(&facts)?);
        return Ok(());
    }
    measure(&Options::read())
}

/// Each phase in a process of its own, so that its memory is its own.
fn measure(options: &Options) -> Result<()> {
    let mut report = Report::new(options);
    for kind in [Kind::Shared, Kind::Own] {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let dir = tempfile::tempdir_in(&options.data)?;
            let mut facts = Facts::default();
            for phase in Phase::ALL {
                facts.extend(child(phase, kind, options.jobs, dir.path())?);
            }
            rounds.push(facts);
        }
        report.add(kind, &rounds);
    }
    report.finish();
    Ok(())
}

fn child(phase: Phase, kind: Kind, jobs: usize, dir: &Path) -> Result<Facts> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args([CHILD, phase.name(), kind.name(), &jobs.to_string()])
        .arg(dir)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the phase {} failed: {}", phase.name(), output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("the phase said nothing")?;
    Ok(serde_json::from_str(last)?)
}
