//! `jobyard-worker doctor`: what this machine can do to hold jobs, and whether it does.

mod checks;
mod lab;
mod report;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use jobyard_worker::protection::{Guard, Protection, Readings};

use crate::data_dir::{check_for, check_kind};
use crate::job_options::JobSettings;
use report::Report;

/// What to look at.
#[derive(Debug)]
pub(crate) struct DoctorSettings {
    pub(crate) data: PathBuf,
    pub(crate) jobs: JobSettings,
    pub(crate) protection: Protection,
    pub(crate) json: bool,
}

impl DoctorSettings {
    /// Why a worker with these settings would not start.
    fn refusal(&self) -> Option<String> {
        let checked = self
            .jobs
            .check_user()
            .and_then(|()| check_kind(&self.data))
            .and_then(|()| match self.jobs.other_user() {
                Some(user) if self.data.exists() => check_for(&self.data, user),
                _ => Ok(()),
            });
        checked.err().map(|problem| format!("{problem:#}"))
    }
}

/// Looks, tries, and prints. Fails if something does not do what it says; that it is weak is no failure.
pub(crate) fn run(settings: &DoctorSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let report = runtime.block_on(examine(settings))?;
    if settings.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    ensure!(
        report.is_sound(),
        "this machine does not do everything that it says"
    );
    Ok(())
}

async fn examine(settings: &DoctorSettings) -> anyhow::Result<Report> {
    let mut lab = lab::Lab::open(&settings.jobs).await?;
    let checks = checks::all(&mut lab).await;
    // The data directory may not be there yet; what lies above it is on the same disk, or will tell nothing.
    let data = std::path::absolute(&settings.data)?;
    let there = data.ancestors().find(|dir| dir.is_dir());
    let readings = Readings::of_this_machine(there.unwrap_or(&data));
    let judgement = Guard::new(settings.protection.clone()).judge(&readings);
    Ok(Report::new(
        settings,
        lab.facts(),
        &readings,
        &judgement,
        checks,
    ))
}
