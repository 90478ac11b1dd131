//! The Jobyard worker as a program: flags, a configuration file, signals. Everything else is in `jobyard-worker`.

#![forbid(unsafe_code)]

mod capacity;
mod cores;
mod file;
mod named_resource;
mod options;
mod settings;
mod size;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use jobyard_clock::SystemClock;
use jobyard_service::start_logging;
use jobyard_worker::agent::{ExitReason, ShutdownMode};
use jobyard_worker::{DataDirLock, Identity, Join, Worker, WorkerConfig, WorkerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use options::Options;
use settings::Settings;

fn main() -> ExitCode {
    jobyard_service::run("jobyard-worker", Options::parse().settle(), run)
}

fn run(settings: Settings) -> anyhow::Result<()> {
    start_logging(settings.log_format, &settings.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    runtime.block_on(async {
        let mut signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let mode = settings.on_term;
        let worker = tokio::select! {
            worker = start(settings) => worker?,
            () = signals.next() => return Ok(()),
        };
        match serve(&worker, &mut signals, mode).await {
            ExitReason::Refused(error) => Err(anyhow::anyhow!(ExitReason::Refused(error))),
            reason @ ExitReason::Unfinished { .. } => {
                warn!("{reason}");
                Ok(())
            }
            reason => {
                info!("{reason}");
                Ok(())
            }
        }
    })
}

/// Waits for the worker's end. The first signal asks for it, a second one insists.
async fn serve(worker: &WorkerHandle, signals: &mut Signals, mode: ShutdownMode) -> ExitReason {
    let mut mode = mode;
    loop {
        tokio::select! {
            reason = worker.wait() => return reason,
            () = signals.next() => {
                info!("told to end; a second signal stops what runs at once");
                worker.shutdown(mode).await;
                mode = ShutdownMode::Stop;
            }
        }
    }
}

/// Joins the cluster, if this machine has not yet, and starts the worker.
async fn start(settings: Settings) -> anyhow::Result<WorkerHandle> {
    let identity = identity(&settings).await?;
    let transport = identity.transport(settings.masters.clone())?;
    let mut config = WorkerConfig::new(
        &settings.data,
        identity.worker(),
        transport,
        settings.executors,
    );
    config.facts = settings.facts;
    config.tags = settings.tags;
    config.exclusive = settings.exclusive;
    config.capacity = settings.capacity;
    config.env = settings.env;
    config.identity = Some(identity.dir().to_owned());
    Ok(Worker::start(config).await?)
}

async fn identity(settings: &Settings) -> anyhow::Result<Identity> {
    // Two programs that join with one data directory would overwrite each other's keys.
    let _lock = DataDirLock::take(&settings.data)?;
    let dir = Identity::dir_in(&settings.data);
    if let Some(identity) = Identity::load(&dir)? {
        info!(worker = %identity.worker(), "this machine has an identity; no token is used");
        return Ok(identity);
    }
    let token = settings.join.read(&settings.data)?;
    let join = Join {
        token,
        masters: settings.masters.clone(),
        name: settings.name.clone(),
        facts: settings.facts.clone(),
    };
    Ok(join.run(&dir, &SystemClock::new()).await?)
}

/// The signals that ask a worker to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
