//! `jobyard logs`

use clap::{Args, ValueEnum};
use jobyard_core::{AttemptNumber, JobId, LogQuery, OutputStream};

use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Followed, Follower};
use crate::printer::{PrintOptions, Printer};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct LogsArgs {
    /// Its id
    job: JobId,

    /// Only this attempt, from 1 [default: the newest; with --follow those that come after it, too]
    #[arg(long, value_name = "N", value_parser = attempt_number)]
    attempt: Option<AttemptNumber>,

    /// Go on until the job is over and all of its output is here
    #[arg(long, short = 'f')]
    follow: bool,

    /// Begin at this byte
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 0,
        hide_default_value = true
    )]
    from: u64,

    /// Begin so many bytes before the present end
    #[arg(long, value_name = "BYTES", conflicts_with = "from")]
    tail: Option<u64>,

    /// Only this stream
    #[arg(long)]
    stream: Option<StreamName>,

    /// Print both streams to standard output
    #[arg(long)]
    merge: bool,

    /// Begin each line with the time at which its beginning was read
    #[arg(long)]
    timestamps: bool,

    /// On a terminal: escape nothing
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StreamName {
    Stdout,
    Stderr,
}

/// Prints the output of a job.
pub(crate) async fn logs(context: &mut Context, args: LogsArgs) -> Result<u8, Failure> {
    let mut query = LogQuery::new(args.job);
    query.attempt = args.attempt;
    query.follow = args.follow;
    query.from = args.from;
    query.tail = args.tail;
    let options = PrintOptions {
        merge: args.merge,
        raw: args.raw,
        timestamps: args.timestamps,
        only: args.stream.map(|stream| match stream {
            StreamName::Stdout => OutputStream::Stdout,
            StreamName::Stderr => OutputStream::Stderr,
        }),
        ..context.print_options()
    };
    let control = &*context.control;
    let mut follower = Follower::new(control, &context.caller, query);
    let mut printer = Printer::new(&mut context.console, options);
    loop {
        match follower.next().await? {
            Followed::Chunk { attempt, chunk } => printer.chunk(attempt, &chunk).await?,
            Followed::AttemptEnd { attempt, log } => {
                let mut limit = None;
                if log.dropped > 0 {
                    // Only says why: a master that cannot tell it now does no harm.
                    let job = control.job(&context.caller, args.job).await;
                    limit = job.ok().map(|job| job.spec.log_limit);
                }
                printer.attempt_end(attempt, &log, limit).await?;
            }
            Followed::Lost { problem } => {
                printer.note(&format!("{problem}; trying again")).await;
            }
            Followed::End { outcome } => {
                printer.end(outcome.as_ref()).await?;
                return Ok(0);
            }
        }
    }
}

fn attempt_number(text: &str) -> Result<AttemptNumber, String> {
    text.parse()
        .ok()
        .and_then(AttemptNumber::new)
        .ok_or_else(|| "attempts are numbered from 1".to_owned())
}
