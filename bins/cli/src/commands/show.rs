//! `jobyard show`

use std::fmt::Write;

use clap::Args;
use jobyard_core::{
    Attempt, Job, JobId, JobSpec, OnDisconnect, Requirement, ResourceKind, Retry, RetryBudget,
    show_amount,
};

use crate::context::Context;
use crate::escape::escape_line;
use crate::failure::Failure;
use crate::patience::repeat;
use crate::size::show_size;
use crate::table::{or_dash, pairs, table};
use crate::views::{JobView, command, duration, limits_text, log_state, residue_lines, time};

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id
    job: JobId,
}

/// Prints one job.
pub(crate) async fn show(context: &mut Context, args: ShowArgs) -> Result<u8, Failure> {
    let job = repeat(|| context.control.job(&context.caller, args.job)).await?;
    if context.json {
        context.console.json(&JobView::from(&job)).await?;
        return Ok(0);
    }
    context.console.line(&text(&job)).await?;
    Ok(0)
}

fn text(job: &Job) -> String {
    let mut lines = vec![
        ("job", job.id.to_string()),
        ("state", job.state.as_str().to_owned()),
    ];
    let mut add = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    add("outcome", job.outcome.map(|outcome| outcome.to_string()));
    add("name", job.spec.name.clone());
    add(
        "command",
        command(job).map(|command| escape_line(&command.join(" "))),
    );
    add("queue", Some(job.spec.queue.clone()));
    let priority = Some(job.spec.priority).filter(|priority| *priority != 0);
    add("priority", priority.map(|priority| priority.to_string()));
    add(
        "group",
        job.spec
            .group
            .as_ref()
            .map(|group| format!("{}, at most {} at once", group.key, group.limit)),
    );
    add("takes", taken(job));
    add("limits", limits_text(&job.spec.limits));
    add(
        "secrets",
        joined(job.spec.secret_env.keys().map(|name| escape_line(name))),
    );
    add("queue timeout", job.spec.queue_timeout.map(duration));
    add("timeout", job.spec.timeout.map(duration));
    add("retries", retries(&job.spec));
    let stops = job.spec.on_disconnect == OnDisconnect::Stop;
    add("on disconnect", stops.then(|| "stop".to_owned()));
    let retry_of = job.origin.retry_of();
    add("retry of", retry_of.map(|of| of.to_string()));
    add(
        "tags",
        joined(job.spec.requirements.iter().map(Requirement::to_string)),
    );
    add(
        "prefers",
        joined(
            job.spec
                .prefer
                .iter()
                .map(|preference| format!("{}={}", preference.tag, preference.weight)),
        ),
    );
    add("worker", job.spec.worker.clone());
    add(
        "labels",
        joined(
            job.spec
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        ),
    );
    add(
        "submitted",
        Some(format!(
            "{} by {}",
            time(job.submitted_at),
            job.submitted_by
        )),
    );
    add("tried again", job.retry_at.map(time));
    add("finished", job.finished_at.map(time));
    let mut text = pairs(&lines);
    if !job.attempts.is_empty() {
        let heading = [
            "ATTEMPT", "WORKER", "PID", "STARTED", "FINISHED", "OUTCOME", "OUTPUT",
        ];
        let rows = job.attempts.iter().map(row).collect();
        text.push_str("\n\n");
        text.push_str(&table(heading, rows));
    }
    for attempt in &job.attempts {
        let mut lines = Vec::new();
        lines.extend(attempt.retry.map(|retry| ("because", because(&retry))));
        lines.extend(attempt.residue.iter().flat_map(residue_lines));
        if !lines.is_empty() {
            let number = attempt.id.number;
            let _ = write!(text, "\n\nattempt {number}\n{}", pairs(&lines));
        }
    }
    text
}

/// What it takes of its worker, if that is more than the one slot that every job takes.
fn taken(job: &Job) -> Option<String> {
    let part = |(kind, amount): (ResourceKind<'_>, u64)| {
        let name = kind.to_string();
        let shown = show_amount(&name, amount);
        match kind {
            ResourceKind::Slots if amount == 1 => None,
            ResourceKind::Slots => Some(format!("{shown} slots")),
            ResourceKind::Cpu => Some(format!("{shown} cores")),
            ResourceKind::Memory => Some(shown),
            ResourceKind::Named(_) => Some(format!("{name}={shown}")),
        }
    };
    let parts: Vec<_> = job.spec.resources.iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How often, and for what, it is tried again when it fails by itself.
fn retries(spec: &JobSpec) -> Option<String> {
    let codes = joined(spec.retry_on.iter().map(u8::to_string));
    (spec.retries > 0).then(|| match codes {
        Some(codes) => format!("{}, after exit code {codes}", spec.retries),
        None => spec.retries.to_string(),
    })
}

/// Why there is another attempt.
fn because(retry: &Retry) -> String {
    let paid = match retry.budget {
        RetryBudget::User => "one of its retries",
        RetryBudget::Infra => "one of its retries for the infrastructure",
        RetryBudget::Free | RetryBudget::Final => "at no cost",
    };
    format!("attempt {} ended: {}; {paid}", retry.after, retry.outcome)
}

fn row(attempt: &Attempt) -> [String; 7] {
    [
        attempt.id.number.to_string(),
        attempt.worker_name.clone(),
        or_dash(attempt.pid),
        or_dash(attempt.started_at.map(time)),
        or_dash(attempt.finished_at.map(time)),
        or_dash(attempt.outcome),
        format!(
            "{} {}",
            show_size(attempt.log_bytes),
            log_state(attempt.log)
        ),
    ]
}

fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let text = texts.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attempt, demanding_job, job, job_id, residue, worker_id};
    use jobyard_core::{Exit, JobState, Outcome, Residue, Timestamp};

    #[test]
    fn what_a_job_asks_for_is_shown_where_it_asks() {
        let plain = job(job_id(), "make", JobState::Queued);
        let shown = [text(&plain), text(&demanding_job())];
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn what_attempts_used_and_left_behind_is_shown_beneath_them() {
        let mut job = job(job_id(), "make", JobState::Finished);
        let exit = Exit::Signaled(9);
        let outcome = Outcome::OutOfMemory { exit };
        job.outcome = Some(outcome);
        for residue in [Some(residue()), None, Some(Residue::default())] {
            let id = attempt(u32::try_from(job.attempts.len()).expect("few") + 1);
            let at = Timestamp::default();
            let mut one = Attempt::new(id, worker_id(), "forge".to_owned(), at);
            (one.outcome, one.residue) = (Some(outcome), residue);
            job.attempts.push(one);
        }
        let mut bare = Residue::default();
        bare.killed = 1;
        job.attempts[1].residue = Some(bare);
        insta::assert_snapshot!(text(&job));
    }
}
