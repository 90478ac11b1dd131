//! `jobyard logs`

use clap::{Args, ValueEnum};
use jobyard_core::{AttemptNumber, JobId, LogQuery, OutputStream};

use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Followed, Follower};
use crate::printer::{PrintOptions, Printer};
use crate::size::parse_size;

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

    /// Only the last so many lines of what is there now, and with --follow what comes after it
    #[arg(long, value_name = "N", conflicts_with = "from")]
    tail: Option<u64>,

    /// The same for bytes, as in 500, 64KiB or 2MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with_all = ["from", "tail"])]
    tail_bytes: Option<u64>,

    /// Only this stream; --tail then counts its lines
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
    query.tail = args.tail_bytes;
    query.tail_lines = args.tail;
    query.stream = args.stream.map(|stream| match stream {
        StreamName::Stdout => OutputStream::Stdout,
        StreamName::Stderr => OutputStream::Stderr,
    });
    let options = PrintOptions {
        merge: args.merge,
        raw: args.raw,
        timestamps: args.timestamps,
        only: query.stream,
        ..context.print_options()
    };
    let control = &*context.control;
    let mut follower = Follower::new(control, &context.caller, query);
    let mut printer = Printer::new(&mut context.console, options);
    let mut from = args.from;
    loop {
        match follower.next().await? {
            Followed::Chunk { attempt, chunk } => printer.chunk(attempt, &chunk).await?,
            Followed::AttemptEnd { attempt, log } => {
                if from > log.end {
                    let (number, end) = (attempt.number, log.end);
                    printer
                        .note(&format!(
                            "output of attempt {number} has {end} bytes: none from byte {from} on"
                        ))
                        .await;
                }
                // Later attempts are shown from their beginning.
                from = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::{Reply, attempt, chunk, job_id};
    use clap::Parser;
    use jobyard_core::{LogItem, LogStatus};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        logs: LogsArgs,
    }

    fn args(options: &[&str]) -> LogsArgs {
        let id = job_id().to_string();
        let words = [&["logs", id.as_str()], options].concat();
        Line::try_parse_from(words).expect("valid options").logs
    }

    #[tokio::test(start_paused = true)]
    async fn ask_for_lines_bytes_and_streams() {
        let cases: [(&[&str], _, _, _); 4] = [
            (&["--tail", "20"], Some(20), None, None),
            (&["--tail-bytes", "64KiB"], None, Some(65_536), None),
            (
                &["--tail", "3", "--stream", "stderr"],
                Some(3),
                None,
                Some(OutputStream::Stderr),
            ),
            (&[], None, None, None),
        ];
        for (options, lines, bytes, stream) in cases {
            let (mut context, control, ..) = scripted();
            control.logs([Reply::Stream(vec![Ok(LogItem::End { outcome: None })])]);
            assert_eq!(logs(&mut context, args(options)).await, Ok(0));
            let asked = &control.log_queries()[0];
            assert_eq!(
                (asked.tail_lines, asked.tail, asked.stream),
                (lines, bytes, stream)
            );
        }
        for wrong in [
            ["--tail", "3", "--from", "1"],
            ["--tail", "3", "--tail-bytes", "1"],
        ] {
            let id = job_id().to_string();
            let words = [&["logs", id.as_str()], wrong.as_slice()].concat();
            assert!(Line::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_end_there_is_nothing_and_that_is_said() {
        for (from, said) in [
            ("3", ""),
            ("4", "output of attempt 1 has 3 bytes: none from byte 4 on"),
        ] {
            let (mut context, control, out, err) = scripted();
            let log = LogStatus::open(3);
            let attempt = attempt(1);
            control.logs([Reply::Stream(vec![
                Ok(LogItem::AttemptEnd { attempt, log }),
                chunk(2, 0, "next"),
                Ok(LogItem::AttemptEnd {
                    attempt: crate::testing::attempt(2),
                    log,
                }),
                Ok(LogItem::End { outcome: None }),
            ])]);
            assert_eq!(logs(&mut context, args(&["--from", from])).await, Ok(0));
            assert_eq!(out.text(), "next");
            assert!(err.text().contains(said), "{}", err.text());
            assert_eq!(err.text().is_empty(), said.is_empty(), "{}", err.text());
        }
    }
}
