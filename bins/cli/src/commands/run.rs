//! `jobyard run`

use std::time::Duration;

use clap::Args;
use jobyard_core::{
    ControlError, Explanation, JobId, JobState, LogQuery, NewJob, Outcome, StopOptions, WaitVerdict,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::context::Context;
use crate::failure::{EXIT_CANCELLED, Failure, exit_of, sentence};
use crate::follow::{Followed, Follower};
use crate::interrupts::Interrupts;
use crate::job_options::JobOptions;
use crate::patience::insist;
use crate::printer::{PrintOptions, Printer};
use crate::submission::submit_all;
use crate::views::{LogLine, unenforced};

/// How long a job may say nothing before its follower asks whether it can run at all.
const ASK_AFTER: Duration = Duration::from_secs(2);

/// Interrupts closer together than this are one: `timeout` and supervisors signal a process and then its group, and
/// nobody presses a key twice so fast and means something else by it.
const ONE_PRESS: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    jobyard run -- make test\n  \
    jobyard run --tag os=linux --tag has=docker --timeout 30m --env CI_JOB=lint -- ./ci/lint\n  \
    jobyard run --tag 'os=linux|darwin' --tag '!gpu' --prefer ssd=10 -- make\n  \
    jobyard run --cpu 1.5 --memory 2GiB --resource gpu=1 -- ./train\n  \
    jobyard run --queue release --priority 5 --group deploy=1 -- ./deploy\n\n\
    Ctrl-C stops the job and shows its end; a second one leaves it alone and returns.")]
pub(crate) struct RunArgs {
    /// On a terminal: escape nothing that the job prints
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    pub(crate) job: JobOptions,
}

/// Submits a job, shows its output, and exits like it.
pub(crate) async fn run(
    context: &mut Context,
    args: RunArgs,
    interrupts: &mut Interrupts,
) -> Result<u8, Failure> {
    let options = PrintOptions {
        merge: args.job.merge,
        raw: args.raw,
        ..context.print_options()
    };
    let program = args.job.command.first().cloned().unwrap_or_default();
    let job = args.job.job()?.job;
    run_job(context, job, &program, options, interrupts).await
}

/// Submits a job and stays with it to its end.
pub(super) async fn run_job(
    context: &mut Context,
    job: NewJob,
    program: &str,
    options: PrintOptions,
    interrupts: &mut Interrupts,
) -> Result<u8, Failure> {
    let id = job.id;
    let log_limit = job.spec.log_limit;
    let is_limited = job.spec.effective_limits().kinds().next().is_some();
    tokio::select! {
        result = submit_all(context, vec![job], async |_, _| Ok(())) => result?,
        () = interrupts.next() => {
            return Err(Failure::interrupted("interrupted before the master had answered")
                .with_hint(format!("if it has accepted the job, `jobyard stop {id}` stops it")));
        }
    }
    if context.json {
        context
            .console
            .json(&LogLine::Submitted { job_id: id })
            .await?;
    }
    let ending = Watch::new(context, id, log_limit)
        .follow_to_the_end(context, options, interrupts)
        .await?;
    let Some(Ending { outcome, printed }) = ending else {
        return Ok(EXIT_CANCELLED);
    };
    // Where a job does not start, its executor may have said why in its output.
    let said = printed && matches!(outcome, Outcome::StartFailed { .. });
    if !context.json
        && !said
        && let Some(text) = sentence(id, &outcome, Some(program))
    {
        context.console.note(&text).await;
    }
    if is_limited && !context.json {
        warn_of_unenforced(context, id).await;
    }
    Ok(exit_of(&outcome))
}

/// Says if a limit was asked for in vain. The job is over: a master that cannot say so now does no harm.
async fn warn_of_unenforced(context: &mut Context, id: JobId) {
    let Ok(job) = context.control.job(&context.caller, id).await else {
        return;
    };
    let last = job.attempts.last();
    let limits = last.and_then(|last| last.residue.as_ref()).map(unenforced);
    if let Some(limits) = limits.filter(|limits| !limits.is_empty()) {
        let limits = limits.join(", ");
        context
            .console
            .note(&format!(
                "job {id} ran without these limits, which its worker cannot enforce: {limits}"
            ))
            .await;
    }
}

/// How a job ended.
#[derive(Debug, PartialEq)]
struct Ending {
    outcome: Outcome,
    /// Whether there was any output.
    printed: bool,
}

/// What was asked of the master beside the following, and has been answered.
enum Answer {
    Stopped(Result<JobState, ControlError>),
    Explained(Result<Explanation, ControlError>),
}

/// Stays with one job.
struct Watch {
    id: JobId,
    /// How many bytes of output are kept of each attempt.
    log_limit: u64,
    asked: JoinSet<Answer>,
    /// When Ctrl-C came, if it did.
    stopping: Option<Instant>,
    /// Whether any output has come.
    printed: bool,
    /// Nobody reads our standard output any more; the job goes on all the same.
    unread: bool,
    control: std::sync::Arc<dyn jobyard_core::Control>,
    caller: jobyard_core::Caller,
}

impl Watch {
    fn new(context: &Context, id: JobId, log_limit: u64) -> Self {
        Self {
            id,
            log_limit,
            asked: JoinSet::new(),
            stopping: None,
            printed: false,
            unread: false,
            control: std::sync::Arc::clone(&context.control),
            caller: context.request(),
        }
    }

    /// Shows everything up to the outcome; `None` if the person left before.
    async fn follow_to_the_end(
        mut self,
        context: &mut Context,
        options: PrintOptions,
        interrupts: &mut Interrupts,
    ) -> Result<Option<Ending>, Failure> {
        let mut query = LogQuery::new(self.id);
        query.follow = true;
        let mut follower = Follower::new(&*context.control, &context.caller, query);
        let mut printer = Printer::new(&mut context.console, options);
        let ask = tokio::time::sleep(ASK_AFTER);
        tokio::pin!(ask);
        let mut asked = false;
        loop {
            tokio::select! {
                followed = follower.next() => {
                    let followed = followed.map_err(|problem| self.lost(problem))?;
                    if let Some(outcome) = self.on_followed(followed, &mut printer).await? {
                        return Ok(Some(Ending { outcome, printed: self.printed }));
                    }
                }
                () = interrupts.next() => {
                    if let Some(since) = self.stopping {
                        if since.elapsed() < ONE_PRESS {
                            continue;
                        }
                        let id = self.id;
                        printer.note(&format!(
                            "job {id} is left alone: `jobyard logs --follow {id}` shows it again"
                        )).await;
                        return Ok(None);
                    }
                    self.stop();
                }
                () = &mut ask, if !asked => {
                    asked = true;
                    self.ask_why();
                }
                Some(Ok(answer)) = self.asked.join_next() => self.on_answer(answer, &mut printer).await,
            }
        }
    }

    /// Shows one piece; the outcome at the end.
    async fn on_followed(
        &mut self,
        followed: Followed,
        printer: &mut Printer<'_>,
    ) -> Result<Option<Outcome>, Failure> {
        let shown = match followed {
            Followed::Chunk { attempt, chunk } => {
                self.printed = true;
                if self.unread {
                    return Ok(None);
                }
                printer.chunk(attempt, &chunk).await
            }
            Followed::AttemptEnd { attempt, log } => {
                printer
                    .attempt_end(attempt, &log, Some(self.log_limit))
                    .await
            }
            Followed::Lost { problem } => {
                printer.note(&format!("{problem}; trying again")).await;
                return Ok(None);
            }
            Followed::End {
                outcome: Some(outcome),
            } => {
                self.tolerate(printer.end(Some(&outcome)).await)?;
                return Ok(Some(outcome));
            }
            // A master that ends a following without an outcome is about to go.
            Followed::End { outcome: None } => {
                return Err(self.lost(ControlError::unavailable("it ended the following")));
            }
        };
        self.tolerate(shown)?;
        Ok(None)
    }

    /// A closed pipe ends the printing, not the job.
    fn tolerate(&mut self, shown: std::io::Result<()>) -> Result<(), Failure> {
        match shown.map_err(Failure::from) {
            Err(failure) if failure.is_closed_pipe() => self.unread = true,
            other => other?,
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.stopping = Some(Instant::now());
        let (control, caller, id) = (self.control.clone(), self.caller.clone(), self.id);
        self.asked.spawn(async move {
            let options = StopOptions::default();
            Answer::Stopped(insist(|| control.stop(&caller, id, options)).await)
        });
    }

    fn ask_why(&mut self) {
        if self.printed {
            return;
        }
        let (control, caller, id) = (self.control.clone(), self.caller.clone(), self.id);
        self.asked
            .spawn(async move { Answer::Explained(control.explain(&caller, id).await) });
    }

    async fn on_answer(&mut self, answer: Answer, printer: &mut Printer<'_>) {
        let id = self.id;
        match answer {
            Answer::Stopped(Err(problem)) => {
                self.stopping = None;
                printer
                    .note(&format!("job {id} could not be stopped: {problem}"))
                    .await;
            }
            Answer::Explained(Ok(why)) if why.verdict == Some(WaitVerdict::Never) => {
                let reason = why
                    .reasons
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let help = why
                    .help
                    .first()
                    .map_or_else(String::new, |help| format!("; what would help is {help}"));
                printer.note(&format!(
                    "no worker can run the job: {reason}{help}; it waits, `jobyard explain {id}` says more"
                )).await;
            }
            // A stop shows itself by the end of the job. Why it waits a little is nobody's concern, and the question
            // was only asked to help.
            Answer::Stopped(Ok(_)) | Answer::Explained(_) => {}
        }
    }

    fn lost(&self, problem: ControlError) -> Failure {
        let id = self.id;
        Failure::from(problem)
            .with_context(format!("job {id} cannot be followed any more"))
            .with_hint(format!(
                "it goes on: `jobyard logs --follow {id}` shows it again"
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::job_file::read_limit;
    use crate::testing::{Reply, attempt, chunk, hopeless, job, job_id, piece, residue, worker_id};
    use jobyard_core::{Attempt, Exit, LogItem, LogStatus, OutputStream, StartFailure, Timestamp};
    use tokio::sync::mpsc;

    fn args(command: &str) -> RunArgs {
        RunArgs {
            raw: false,
            job: JobOptions {
                id: Some(job_id()),
                command: vec![command.to_owned()],
                ..JobOptions::default()
            },
        }
    }

    fn end(outcome: Outcome) -> Vec<Result<LogItem, ControlError>> {
        vec![
            Ok(LogItem::AttemptEnd {
                attempt: attempt(1),
                log: LogStatus::open(0),
            }),
            Ok(LogItem::End {
                outcome: Some(outcome),
            }),
        ]
    }

    fn no_interrupts() -> Interrupts {
        Interrupts::of_channel(mpsc::channel(1).1)
    }

    #[tokio::test(start_paused = true)]
    async fn exit_like_the_job_with_its_output_where_it_belongs() {
        let (mut context, control, out, err) = scripted();
        let mut items = vec![
            chunk(1, 0, "out"),
            piece(1, 3, OutputStream::Stderr, b"err"),
        ];
        items.extend(end(Outcome::of_exit(Exit::Exited(7))));
        control.logs([Reply::Stream(items)]);
        let exit = run(&mut context, args("make"), &mut no_interrupts()).await;
        assert_eq!(exit, Ok(7));
        assert_eq!((out.text().as_str(), err.text().as_str()), ("out", "err"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_is_not_there_is_said_so() {
        let (mut context, control, _, err) = scripted();
        let cause = StartFailure::NotFound;
        control.logs([Reply::Stream(end(Outcome::StartFailed { cause }))]);
        let exit = run(&mut context, args("nope"), &mut no_interrupts()).await;
        assert_eq!(exit, Ok(127));
        assert!(
            err.text().contains("`nope` was not found"),
            "{}",
            err.text()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_ends_by_a_limit_is_said_so_in_one_line() {
        let exit = Exit::Signaled(9);
        for (outcome, said) in [
            (Outcome::OutOfMemory { exit }, "out of memory: "),
            (Outcome::ProcessLimit { exit }, "too many processes: "),
        ] {
            let (mut context, control, _, err) = scripted();
            control.logs([Reply::Stream(end(outcome))]);
            let exit = run(&mut context, args("make"), &mut no_interrupts()).await;
            assert_eq!(exit, Ok(137));
            let said = format!("jobyard: {said}");
            assert!(err.text().starts_with(&said), "{}", err.text());
            assert_eq!(err.text().lines().count(), 1, "{}", err.text());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn limits_that_nothing_enforced_are_warned_of_where_there_are_any() {
        for (limit, said) in [
            (
                Some("read_rate=1MiB"),
                "cannot enforce: read_rate, write_rate",
            ),
            (None, ""),
        ] {
            let (mut context, control, _, err) = scripted();
            let mut job = job(job_id(), "make", JobState::Finished);
            let (id, at) = (attempt(1), Timestamp::default());
            let mut only = Attempt::new(id, worker_id(), "forge".to_owned(), at);
            only.residue = Some(residue());
            job.attempts.push(only);
            control.hold([job]);
            control.logs([Reply::Stream(end(Outcome::Succeeded))]);
            let mut args = args("make");
            let limits = limit.map(|limit| read_limit(limit).expect("a limit"));
            args.job.limits.extend(limits);
            let exit = run(&mut context, args, &mut no_interrupts()).await;
            assert_eq!(exit, Ok(0));
            assert!(err.text().contains(said), "{}", err.text());
            assert_eq!(err.text().is_empty(), said.is_empty(), "{}", err.text());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ctrl_c_stops_the_job_and_a_second_one_leaves_it_alone() {
        let (mut context, control, _, err) = scripted();
        control.logs([Reply::Silent(vec![chunk(1, 0, "x")])]);
        let (sender, receiver) = mpsc::channel(2);
        let mut interrupts = Interrupts::of_channel(receiver);
        let running = async {
            // Only once the job is followed: before, there is nothing to stop.
            sender.send(()).await.expect("room");
            // Signals of one press count once.
            sender.send(()).await.expect("room");
            while control.stopped().is_empty() {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(ONE_PRESS).await;
            sender.send(()).await.expect("room");
        };
        let mut context_run = async || {
            let watch = Watch::new(&context, job_id(), 1000);
            let options = PrintOptions::default();
            watch
                .follow_to_the_end(&mut context, options, &mut interrupts)
                .await
        };
        let (outcome, ()) = tokio::join!(context_run(), running);
        assert_eq!(outcome, Ok(None));
        assert_eq!(control.stopped().len(), 1);
        assert!(
            err.text().contains("jobyard logs --follow"),
            "{}",
            err.text()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_no_worker_can_run_gets_a_hint_once() {
        let (mut context, control, _, err) = scripted();
        control.logs([Reply::Silent(Vec::new())]);
        control.explain_with(hopeless());
        let mut interrupts = no_interrupts();
        let running = run(&mut context, args("make"), &mut interrupts);
        let waited = tokio::time::timeout(Duration::from_mins(10), running).await;
        assert!(waited.is_err(), "it waits on");
        assert_eq!(err.text().matches("no worker can run the job").count(), 1);
        assert!(
            err.text()
                .contains("what would help is one worker with `gpu`"),
            "{}",
            err.text()
        );
    }
}
