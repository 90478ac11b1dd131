//! `jobyard dev`

mod local;
mod place;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use jobyard_core::{MAX_WORKER_SLOTS, Tag};
use jobyard_pki::ClientProfile;

use crate::console::Console;
use crate::context::Context;
use crate::failure::{EXIT_CANCELLED, Failure};
use crate::interrupts::Interrupts;
use crate::job_file::{CoresText, SizeText};
use crate::job_options::{JobOptions, count};
use crate::profile::connect;

use super::run::run_job;
use local::Local;
use place::Place;

/// What the administrator's profile is called in a data directory.
const PROFILE: &str = "admin.toml";

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    jobyard dev -- sh -c 'echo hello from $JOBYARD_JOB_ID'   run one command and end\n  \
    jobyard dev                                              stay up; `jobyard run -- CMD` here reaches it\n  \
    jobyard dev --slots 4 --memory 8GiB --resource gpu=1     stay up, and offer so much\n\n\
    A second one on the same data attaches to the first.")]
pub(crate) struct DevArgs {
    /// Where master and worker keep their state
    #[arg(long, value_name = "DIR", default_value = ".jobyard")]
    data: PathBuf,

    /// A tag that the worker offers; repeatable
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,

    /// How many slots the worker offers [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_WORKER_SLOTS)))]
    slots: Option<u32>,

    /// How many cores the worker offers, as in 4 or 1.5 [default: all that this process may use]
    #[arg(long, value_name = "CORES", allow_negative_numbers = true)]
    cpu: Option<CoresText>,

    /// How much memory the worker offers, as in 8GiB [default: all that this process may use]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory: Option<SizeText>,

    /// How much the worker offers of a named resource, as in gpu=1; repeatable
    #[arg(long = "resource", value_name = "NAME=N", value_parser = count)]
    resources: Vec<(String, u64)>,

    /// A tag that the worker offers only to jobs that name it; repeatable
    #[arg(long = "exclusive-tag", value_name = "TAG")]
    exclusive_tags: Vec<Tag>,

    /// Where the master listens [default: 127.0.0.1:7411, or any free port for one command]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// The program and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Starts a master and a worker, or finds those that run on the same data, and runs a command with them.
pub(crate) async fn dev(
    mut console: Console,
    json: bool,
    args: DevArgs,
    interrupts: &mut Interrupts,
) -> Result<u8, Failure> {
    let profile = args.data.join(PROFILE);
    let command = args.command.clone();
    match Place::take(args.data.clone()).await? {
        Place::Taken if command.is_empty() => {
            let text = format!(
                "a master runs on {} already: use it with --profile {}",
                args.data.display(),
                profile.display()
            );
            console.note(&text).await;
            Ok(0)
        }
        Place::Taken => run_command(console, json, profile, command, interrupts).await,
        Place::Ours(place) => {
            warn_of_root(&mut console).await;
            let local = Local::start(&args).await?;
            place.ready();
            if command.is_empty() {
                stay(&mut console, &local, interrupts).await;
                local.end(true, interrupts).await;
                return Ok(0);
            }
            let result = run_command(console, json, profile, command, interrupts).await;
            let given_up = !matches!(&result, Ok(exit) if *exit != EXIT_CANCELLED);
            local.end(given_up, interrupts).await;
            result
        }
    }
}

/// As `run` does, with the profile of this data.
async fn run_command(
    console: Console,
    json: bool,
    profile: PathBuf,
    command: Vec<String>,
    interrupts: &mut Interrupts,
) -> Result<u8, Failure> {
    let profile = ClientProfile::load(&profile)?;
    let (control, caller) = connect(&profile)?;
    let mut context = Context {
        control,
        caller,
        console,
        json,
    };
    let program = command.first().cloned().unwrap_or_default();
    let options = JobOptions {
        command,
        ..JobOptions::default()
    };
    let job = options.job()?.job;
    let print = context.print_options();
    run_job(&mut context, job, &program, print, interrupts).await
}

/// Says how to reach the master, and waits for its end.
async fn stay(console: &mut Console, local: &Local, interrupts: &mut Interrupts) {
    let text = format!(
        "a master listens on {} with one worker of {} slots; use it with `jobyard --profile {} run -- CMD`, end it with Ctrl-C",
        local.address(),
        local.slots(),
        local.profile().display(),
    );
    console.note(&text).await;
    tokio::select! {
        () = interrupts.next() => {}
        () = local.ended() => {
            console.note("the master or its worker has ended by itself; the messages above say why").await;
        }
    }
}

#[cfg(unix)]
async fn warn_of_root(console: &mut Console) {
    if rustix::process::geteuid().is_root() {
        console
            .note("you are root, and so are the jobs: fine for a try, not for other people's jobs")
            .await;
    }
}

#[cfg(not(unix))]
async fn warn_of_root(_: &mut Console) {}
