//! The Jobyard worker as a program: flags, a configuration file, signals. Everything else is in `jobyard-worker`.

#![forbid(unsafe_code)]

mod capacity;
mod cores;
mod duration;
mod file;
mod named_resource;
mod options;
mod settings;
mod size;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use jobyard_clock::SystemClock;
use jobyard_worker::agent::{ExitReason, ShutdownMode};
use jobyard_worker::{DataDirLock, Identity, Join, Worker, WorkerConfig, WorkerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use options::{LogFormat, Options};
use settings::Settings;

/// What shells expect of a program that was called wrongly.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let settings = match Options::parse().settle() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, ExitCode::from(USAGE)),
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("jobyard-worker: {}", sentence(error));
    code
}

/// The error and its causes, each said once: many an error of the crates names its cause itself.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if said.contains(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
    }
    said
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

fn start_logging(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(level).with_context(|| {
        format!("--log-level: `{level}` is no level; use error, warn, info, debug or trace")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_said_once() {
        let error = anyhow::anyhow!("the name is taken")
            .context("could not join: the name is taken")
            .context("the worker cannot start");
        assert_eq!(
            sentence(&error),
            "the worker cannot start: could not join: the name is taken"
        );
    }
}
