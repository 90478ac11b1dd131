//! `jobyard stop`

use std::collections::HashSet;

use clap::{ArgGroup, Args};
use jobyard_core::{JobId, JobQuery, JobState, StopOptions};

use super::jobs::pages;
use crate::context::Context;
use crate::failure::Failure;
use crate::job_file::DurationText;
use crate::job_options::{key_value, unique};
use crate::patience::repeat;
use crate::views::StoppedView;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["job", "label", "queue"])))]
pub(crate) struct StopArgs {
    /// Their ids
    #[arg(conflicts_with_all = ["label", "queue"])]
    job: Vec<JobId>,

    /// All unfinished jobs with this label; repeatable, all must hold
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    label: Vec<(String, String)>,

    /// All unfinished jobs of this queue
    #[arg(long)]
    queue: Option<String>,

    /// How long they may take to end before they are killed [default: as each asked for]
    #[arg(long, value_name = "T")]
    grace: Option<DurationText>,

    /// End them in the books at once, even if their worker says nothing; what runs there is then unknown
    #[arg(long)]
    force: bool,
}

/// Stops jobs. Goes on with the others when one cannot be stopped.
pub(crate) async fn stop(context: &mut Context, args: StopArgs) -> Result<u8, Failure> {
    let options = StopOptions::new(args.grace.as_ref().map(|grace| grace.value), args.force);
    let jobs = if args.job.is_empty() {
        let mut query = JobQuery::default();
        query.queue = args.queue;
        query.labels = unique("--label", args.label)?;
        unfinished(context, query, args.force).await?
    } else {
        args.job
    };
    let mut failed = None;
    for job in jobs {
        let caller = context.request();
        match repeat(|| context.control.stop(&caller, job, options)).await {
            Ok(state) if context.json => {
                context.console.json(&StoppedView::new(job, state)).await?;
            }
            Ok(state) => {
                context
                    .console
                    .line(&format!("{job} {}", state.as_str()))
                    .await?;
            }
            Err(problem) => {
                let failure = Failure::from(problem).with_context(format!("job {job}"));
                if let Some(earlier) = failed.replace(failure) {
                    context.console.note(&earlier.to_string()).await;
                }
            }
        }
    }
    failed.map_or(Ok(0), Err)
}

/// Jobs that are not over yet. The states are asked for in the order in which a job passes through them, so that one
/// that moves on meanwhile is still found; what waits is stopped first, before it starts.
async fn unfinished(
    context: &Context,
    query: JobQuery,
    force: bool,
) -> Result<Vec<JobId>, Failure> {
    let mut states = vec![
        JobState::Blocked,
        JobState::Queued,
        JobState::Assigned,
        JobState::Running,
    ];
    if force {
        states.push(JobState::Stopping);
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for state in states {
        let mut query = query.clone();
        query.state = Some(state);
        let (jobs, _) = pages(context, query, usize::MAX).await?;
        found.extend(
            jobs.into_iter()
                .map(|job| job.id)
                .filter(|id| seen.insert(*id)),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;
    use crate::testing::job;
    use uuid::Uuid;

    fn id(number: u128) -> JobId {
        JobId::from_uuid(Uuid::from_u128(number))
    }

    fn args() -> StopArgs {
        StopArgs {
            job: Vec::new(),
            label: Vec::new(),
            queue: None,
            grace: None,
            force: false,
        }
    }

    #[tokio::test]
    async fn a_queue_is_stopped_from_its_waiting_end() {
        let (mut context, control, out, _) = scripted();
        control.hold([
            job(id(1), "a", JobState::Running),
            job(id(2), "a", JobState::Queued),
            job(id(3), "a", JobState::Finished),
            job(id(4), "a", JobState::Stopping),
        ]);
        let mut args = args();
        args.queue = Some("team".to_owned());
        args.grace = Some("2s".parse().expect("a duration"));
        assert_eq!(stop(&mut context, args).await, Ok(0));
        let stopped: Vec<_> = control.stopped().into_iter().map(|(id, _)| id).collect();
        assert_eq!(stopped, [id(2), id(1)]);
        assert!(out.text().contains(&format!("{} stopping", id(1))));
        let grace = control.stopped()[0].1.grace;
        assert_eq!(grace, Some(std::time::Duration::from_secs(2)));
    }

    #[tokio::test]
    async fn force_reaches_those_that_stop_already() {
        let (mut context, control, _, _) = scripted();
        control.hold([job(id(4), "a", JobState::Stopping)]);
        let mut args = args();
        args.queue = Some("team".to_owned());
        args.force = true;
        assert_eq!(stop(&mut context, args).await, Ok(0));
        assert_eq!(control.stopped().len(), 1);
    }
}
