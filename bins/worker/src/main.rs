//! The Jobyard worker as a program: flags, a configuration file, signals. Everything else is in `jobyard-worker`.

#![forbid(unsafe_code)]

mod capacity;
mod cores;
mod data_dir;
mod doctor;
mod executors;
mod file;
mod job_options;
mod named_resource;
mod options;
mod protection_options;
mod settings;
mod size;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use jobyard_clock::SystemClock;
use jobyard_executor::launcher::LauncherCommand;
use jobyard_service::start_logging;
use jobyard_worker::agent::{ExitReason, ShutdownMode};
use jobyard_worker::{
    DataDirLock, Identity, Join, Worker, WorkerConfig, WorkerHandle, harden_process,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use executors::executors;
use options::Options;
use settings::{Settings, Task};

fn main() -> ExitCode {
    jobyard_executor::launcher::run_if_asked();
    jobyard_service::run(
        "jobyard-worker",
        Options::parse().settle(),
        |task| match task {
            Task::Serve(settings) => run(*settings),
            Task::Doctor(settings) => doctor::run(&settings),
        },
    )
}

fn run(settings: Settings) -> anyhow::Result<()> {
    start_logging(settings.log_format, &settings.log_level)?;
    harden(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
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

/// How many threads the agent has, beside those that wait for disks and names. It passes on messages and output, as fast as
/// one thread encrypts, and output that comes faster waits on the disk. A second thread would be woken for nearly every
/// message, to find that the first has dealt with it: that takes a tenth of the time that the agent needs for a short job,
/// on processors that are there for jobs.
const RUNTIME_THREADS: usize = 1;

/// Jobs that this program starts itself would inherit its place in the order of what the kernel kills.
fn harden(settings: &Settings) {
    if settings.jobs.launcher == LauncherCommand::None {
        warn!(
            "without a launcher jobs end with this program, and only their process group holds them"
        );
        return;
    }
    // Without rights nobody gets a better place, which is as it should be.
    for problem in harden_process() {
        info!("{problem}");
    }
}

/// Waits for the worker's end. The first signal asks for it, a second one insists.
async fn serve(worker: &WorkerHandle, signals: &mut Signals, mode: ShutdownMode) -> ExitReason {
    let mut mode = mode;
    loop {
        tokio::select! {
            reason = worker.wait() => return reason,
            () = signals.next() => {
                if mode == ShutdownMode::Detach {
                    info!("told to end; jobs run on for the next worker on this data");
                } else {
                    info!("told to end; a second signal stops what runs at once");
                }
                worker.shutdown(mode).await;
                mode = ShutdownMode::Stop;
            }
        }
    }
}

/// Joins the cluster, if this machine has not yet, and starts the worker.
async fn start(settings: Settings) -> anyhow::Result<WorkerHandle> {
    // Two programs that join with one data directory would overwrite each other's keys, and two that use one would take
    // each other's launchers away.
    let lock = DataDirLock::take(&settings.data)?;
    if let Some(user) = settings.jobs.other_user() {
        data_dir::check_for(&settings.data, user)?;
    }
    let identity = identity(&settings).await?;
    let transport = identity.transport(settings.masters.clone())?;
    let executors = executors(&settings.jobs, &settings.data).await?;
    let tags = settings.all_tags(&executors)?;
    let mut config = WorkerConfig::new(&settings.data, identity.worker(), transport, executors);
    config.facts = settings.facts;
    config.tags = tags;
    config.exclusive = settings.exclusive;
    config.capacity = settings.capacity;
    config.env = settings.env;
    config.protection = settings.protection;
    config.spool_budget = settings.spool_budget;
    config.identity = Some(identity.dir().to_owned());
    Ok(Worker::start_locked(config, lock).await?)
}

async fn identity(settings: &Settings) -> anyhow::Result<Identity> {
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
