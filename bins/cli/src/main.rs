//! The command line of Jobyard.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod console;
mod context;
mod escape;
mod failure;
mod follow;
mod interrupts;
mod job_file;
mod job_options;
mod patience;
mod printer;
mod profile;
mod requirement;
mod simulate;
mod size;
mod submission;
mod table;
#[cfg(test)]
mod testing;
mod views;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Ask, Cli, Command};
use commands::{
    audit, dev, events, explain, jobs, logs, queue, queues, retry, run, show, status, stop, submit,
    token, wait, worker, workers,
};
use console::Console;
use context::Context;
use failure::Failure;
use interrupts::Interrupts;
use requirement::Misread;

fn main() -> ExitCode {
    jobyard_executor::launcher::run_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let json = cli.json;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(cli));
            // Nothing is waited for that reads from a terminal or a pipe.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::jobyard(
            "runtime",
            format!("the runtime does not start: {error}"),
        )),
    };
    match result {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => report(&failure, json),
    }
}

async fn dispatch(cli: Cli) -> Result<u8, Failure> {
    log_warnings(matches!(cli.command, Command::Dev(_)));
    let Cli {
        profile,
        json,
        command,
    } = cli;
    let console = Console::of_process();
    let ask = match command {
        Command::Ask(ask) => ask,
        Command::Dev(args) => {
            let mut interrupts = Interrupts::of_process()?;
            return dev::dev(console, json, args, &mut interrupts).await;
        }
        Command::Simulate(args) => return commands::simulate::simulate(console, json, args).await,
        Command::Completions { shell } => {
            let mut to = std::io::stdout();
            clap_complete::generate(shell, &mut Cli::command(), "jobyard", &mut to);
            return Ok(0);
        }
    };
    let (control, caller) = profile::connect(&profile::find(profile.as_deref())?)?;
    let mut context = Context {
        control,
        caller,
        console,
        json,
    };
    ask_master(&mut context, ask).await
}

async fn ask_master(context: &mut Context, ask: Ask) -> Result<u8, Failure> {
    match ask {
        Ask::Run(args) => {
            let mut interrupts = Interrupts::of_process()?;
            run::run(context, args, &mut interrupts).await
        }
        Ask::Submit(args) => submit::submit(context, args).await,
        Ask::Jobs(args) => jobs::jobs(context, args).await,
        Ask::Show(args) => show::show(context, args).await,
        Ask::Wait(args) => wait::wait(context, args).await,
        Ask::Stop(args) => stop::stop(context, args).await,
        Ask::Retry(args) => retry::retry(context, args).await,
        Ask::Logs(args) => logs::logs(context, args).await,
        Ask::Explain(args) => explain::explain(context, args).await,
        Ask::Workers(args) => workers::workers(context, args).await,
        Ask::Worker(command) => worker::worker(context, command).await,
        Ask::Queues => queues::queues(context).await,
        Ask::Queue(command) => queue::queue(context, command).await,
        Ask::Token(command) => token::token(context, command).await,
        Ask::Status => status::status(context).await,
        Ask::Events(args) => events::events(context, args).await,
        Ask::Audit(args) => audit::audit(context, args).await,
    }
}

/// Diagnostics go to standard error; `JOBYARD_LOG` says which. Only `dev` has a master and a worker to warn of.
fn log_warnings(dev: bool) {
    let default = if dev { "warn" } else { "error" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("JOBYARD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// Says what is wrong with the command line, or prints the help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    let mut arguments = std::env::args().take_while(|argument| argument != "--");
    let json = arguments.any(|argument| argument == "--json");
    let misread = error
        .source()
        .and_then(|source| source.downcast_ref::<Misread>());
    if error.use_stderr() && (json || misread.is_some()) {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let failure = Failure::usage(message).with_hint("see --help");
        return report(
            &failure.with_pointer(misread.and_then(Misread::pointer)),
            json,
        );
    }
    // A closed pipe is nobody's fault.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::EXIT_USAGE))
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    if let Some(text) = failure.shown(json) {
        eprintln!("{text}");
    }
    // Only where somebody looks: programs get one line.
    if let Some(pointer) = failure
        .pointer()
        .filter(|_| !json && std::io::stderr().is_terminal())
    {
        eprintln!("{pointer}");
    }
    failure.exit_code()
}
