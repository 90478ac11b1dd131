//! `jobyard wait`

use std::time::Duration;

use clap::Args;
use jobyard_core::{ControlError, Job, JobId, parse_duration};

use crate::context::Context;
use crate::failure::{Failure, exit_of, sentence};
use crate::patience::{FOLLOW_PATIENCE, Retry, repeat};
use crate::views::{JobView, command};

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Their ids
    #[arg(required = true)]
    jobs: Vec<JobId>,

    /// Give up after so long, with exit code 125
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// Waits for all jobs. Exits like the first that failed, in the order in which they were given.
pub(crate) async fn wait(context: &mut Context, args: WaitArgs) -> Result<u8, Failure> {
    let Some(limit) = args.timeout else {
        return wait_for_all(context, &args.jobs).await;
    };
    match tokio::time::timeout(limit, wait_for_all(context, &args.jobs)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::jobyard(
            "wait_timeout",
            "the time to wait is over and a job is not",
        )
        .with_hint("wait again, or ask `jobyard explain` why it takes so long")),
    }
}

async fn wait_for_all(context: &mut Context, jobs: &[JobId]) -> Result<u8, Failure> {
    let mut exit = 0;
    // The first question tells whether there is a master at all; from then on it is waited for.
    if let Some(first) = jobs.first() {
        repeat(|| context.control.job(&context.caller, *first)).await?;
    }
    for id in jobs {
        let job = finished(context, *id).await?;
        if context.json {
            context.console.json(&JobView::from(&job)).await?;
        }
        let Some(outcome) = &job.outcome else {
            continue;
        };
        if exit == 0 {
            exit = exit_of(outcome);
        }
        let program = command(&job).and_then(|command| command.into_iter().next());
        if !context.json
            && let Some(text) = sentence(job.id, outcome, program.as_deref())
        {
            context.console.note(&text).await;
        }
    }
    Ok(exit)
}

/// Waits for one job, across lost connections.
async fn finished(context: &Context, id: JobId) -> Result<Job, ControlError> {
    let mut retry = Retry::new(FOLLOW_PATIENCE);
    loop {
        match context.control.wait(&context.caller, id).await {
            Ok(job) => return Ok(job),
            Err(problem) => retry.pause(problem).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::job;
    use jobyard_core::{Exit, JobState, Outcome};
    use uuid::Uuid;

    fn id(number: u128) -> JobId {
        JobId::from_uuid(Uuid::from_u128(number))
    }

    fn over(number: u128, outcome: Outcome) -> Job {
        let mut job = job(id(number), "a", JobState::Finished);
        job.outcome = Some(outcome);
        job
    }

    #[tokio::test]
    async fn exit_like_the_first_that_failed_in_argument_order() {
        let (mut context, control, _, err) = scripted();
        control.hold([
            over(1, Outcome::Succeeded),
            over(2, Outcome::of_exit(Exit::Signaled(9))),
            over(3, Outcome::of_exit(Exit::Exited(7))),
        ]);
        let mut exit = async |numbers: &[u128]| {
            let args = WaitArgs {
                jobs: numbers.iter().copied().map(id).collect(),
                timeout: None,
            };
            wait(&mut context, args).await
        };
        assert_eq!(exit(&[1]).await, Ok(0));
        assert_eq!(exit(&[1, 3, 2]).await, Ok(7));
        assert_eq!(exit(&[2, 3]).await, Ok(137));
        assert!(err.text().contains("signal 9"));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_can_be_limited() {
        let (mut context, control, _, _) = scripted();
        control.hold([job(id(1), "a", JobState::Running)]);
        let args = WaitArgs {
            jobs: vec![id(1)],
            timeout: Some(Duration::from_secs(5)),
        };
        let error = wait(&mut context, args).await.expect_err("it runs");
        assert_eq!(error.code(), "wait_timeout");
        assert_eq!(error.exit_code(), std::process::ExitCode::from(125));
    }
}
