//! `jobyard jobs`

use clap::Args;
use jobyard_core::{Job, JobQuery, JobState, MAX_PAGE};

use crate::context::Context;
use crate::failure::Failure;
use crate::job_options::{key_value, unique};
use crate::patience::repeat;
use crate::table::{or_dash, table};
use crate::views::{JobView, time};

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Only in this state: blocked, queued, assigned, running, stopping or finished
    #[arg(long, value_parser = job_state)]
    state: Option<JobState>,

    /// Only of this queue
    #[arg(long)]
    queue: Option<String>,

    /// Only with this label; repeatable, all must hold
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    label: Vec<(String, String)>,

    /// At most so many [default: 100]
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        hide_default_value = true
    )]
    limit: usize,

    /// Only older ones: the `sequence` of the last job of the page before
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
}

/// Prints a list of jobs, newest first.
pub(crate) async fn jobs(context: &mut Context, args: JobsArgs) -> Result<u8, Failure> {
    let mut query = JobQuery::default();
    query.state = args.state;
    query.queue = args.queue;
    query.labels = unique("--label", args.label)?;
    query.after = args.after;
    let (jobs, next) = pages(context, query, args.limit).await?;
    if context.json {
        let views: Vec<_> = jobs.iter().map(JobView::from).collect();
        context.console.json(&views).await?;
        return Ok(0);
    }
    let heading = ["JOB", "NAME", "STATE", "OUTCOME", "WORKER", "SUBMITTED"];
    let rows = jobs.iter().map(row).collect();
    context.console.line(&table(heading, rows)).await?;
    if let Some(next) = next {
        let note = format!("there are more: `jobyard jobs --after {next}` shows them");
        context.console.note(&note).await;
    }
    Ok(0)
}

/// Up to `limit` jobs, page by page, and where the rest begins.
pub(super) async fn pages(
    context: &Context,
    mut query: JobQuery,
    limit: usize,
) -> Result<(Vec<Job>, Option<u64>), Failure> {
    let mut jobs = Vec::new();
    while jobs.len() < limit {
        query.limit = (limit - jobs.len()).min(MAX_PAGE);
        let page = repeat(|| context.control.jobs(&context.caller, query.clone())).await?;
        jobs.extend(page.jobs);
        query.after = page.next;
        if page.next.is_none() {
            return Ok((jobs, None));
        }
    }
    Ok((jobs, query.after))
}

fn row(job: &Job) -> [String; 6] {
    let worker = job.attempts.last().map(|attempt| &attempt.worker_name);
    [
        job.id.to_string(),
        or_dash(job.spec.name.as_ref()),
        job.state.as_str().to_owned(),
        or_dash(job.outcome),
        or_dash(worker),
        time(job.submitted_at),
    ]
}

fn job_state(name: &str) -> Result<JobState, String> {
    JobState::from_name(name).ok_or_else(|| {
        "a state is one of blocked, queued, assigned, running, stopping, finished".to_owned()
    })
}
