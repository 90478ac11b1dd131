//! The Jobyard master as a program: flags, a configuration file, signals. Everything else is in `jobyard-master`.

#![forbid(unsafe_code)]

mod options;
mod patience;
mod scheduling;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use jobyard::master::Daemon;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use options::{LogFormat, Options, Settings};

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
    eprintln!("jobyard-master: {}", sentence(error));
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
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let daemon = Daemon::open(settings.daemon).await?;
        info!(profile = %daemon.profile_path().display(), "the administrator's profile is here");
        tokio::select! {
            _ = terminate.recv() => info!("told to end"),
            _ = interrupt.recv() => info!("interrupted"),
            () = daemon.ended() => anyhow::bail!("the master cannot go on; its log says why"),
        }
        daemon.shutdown().await;
        Ok(())
    })
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
        let error = anyhow::anyhow!("the port is taken")
            .context("cannot listen: the port is taken; choose another")
            .context("the master cannot start");
        assert_eq!(
            sentence(&error),
            "the master cannot start: cannot listen: the port is taken; choose another"
        );
    }
}
