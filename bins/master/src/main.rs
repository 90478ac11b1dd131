//! The Jobyard master as a program: flags, a configuration file, signals. Everything else is in `jobyard-master`.

#![forbid(unsafe_code)]

mod copies;
mod options;
mod patience;
mod retention;
mod scheduling;
mod timings;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use jobyard::master::Daemon;
use jobyard_service::start_logging;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use options::{Options, Settings, Task};

fn main() -> ExitCode {
    jobyard_service::run("jobyard-master", Options::parse().task(), run)
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Serve(settings) => serve(*settings),
        Task::Do(command) => command.run(),
    }
}

fn serve(settings: Settings) -> anyhow::Result<()> {
    start_logging(settings.log_format, &settings.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let daemon = Daemon::open(settings.daemon).await?;
        info!(profile = %daemon.profile_path().display(), "the administrator's profile is here");
        tokio::select! {
            _ = terminate.recv() => info!("told to end"),
            _ = interrupt.recv() => info!("interrupted"),
            () = daemon.ended() => match daemon.why_ended() {
                Some(why) => return Err(why.into()),
                None => anyhow::bail!("the master cannot go on; its log says why"),
            },
        }
        daemon.shutdown().await;
        Ok(())
    })
}
