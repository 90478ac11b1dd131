//! Reports for people.

use std::collections::BTreeMap;

use jobyard_scheduler::simulate::{QueueReport, Report, WorkerReport};

use super::plan::Plan;
use super::spans::{show_part, show_span};
use crate::escape::escape_line;
use crate::table::{pairs, table};
use crate::views::verdict;

/// The sums, the queues, the workers, and why some jobs never started.
pub(crate) fn text(plan: &Plan, report: &Report) -> String {
    let mut parts = vec![sums(report), queues(report), workers(plan, report)];
    let never: Vec<_> = report
        .queues
        .iter()
        .filter_map(|queue| never_started(plan, queue))
        .collect();
    if !never.is_empty() {
        parts.push(never.join("\n"));
    }
    parts.join("\n\n")
}

fn sums(report: &Report) -> String {
    pairs(&[
        ("jobs", report.jobs.to_string()),
        ("finished", report.finished.to_string()),
        ("makespan", show_span(report.makespan)),
        ("jobs per hour", format!("{:.1}", report.jobs_per_hour())),
        ("longest queue", report.peak_queued.to_string()),
    ])
}

fn queues(report: &Report) -> String {
    let heading = [
        "QUEUE",
        "JOBS",
        "STARTED",
        "SHARE",
        "MEAN WAIT",
        "P50",
        "P90",
        "P99",
        "MAX",
    ];
    let row = |queue: &QueueReport| {
        let waits = queue.waits;
        [
            queue.queue.clone(),
            queue.jobs.to_string(),
            queue.started.to_string(),
            show_part(queue.share),
            show_span(waits.mean),
            show_span(waits.p50),
            show_span(waits.p90),
            show_span(waits.p99),
            show_span(waits.max),
        ]
    };
    table(heading, report.queues.iter().map(row).collect())
}

/// Workers that are alike share a row: their jobs together, and their average use.
fn workers(plan: &Plan, report: &Report) -> String {
    let heading = ["WORKERS", "JOBS", "USED"];
    let mut rest = report.workers.as_slice();
    let rows = plan.alike.iter().map(|(title, count)| {
        let (alike, others) = rest.split_at((*count).min(rest.len()));
        rest = others;
        let jobs: u64 = alike.iter().map(|worker| worker.jobs).sum();
        [title.clone(), jobs.to_string(), average_use(alike)]
    });
    table(heading, rows.collect())
}

/// Over the workers that were there at all.
fn average_use(workers: &[WorkerReport]) -> String {
    let present = workers.iter().filter(|worker| !worker.present.is_zero());
    let mut sums = BTreeMap::<&str, (u64, u64)>::new();
    for (resource, used) in present.flat_map(|worker| &worker.used) {
        let (sum, number) = sums.entry(resource).or_default();
        *sum += u64::from(*used);
        *number += 1;
    }
    // The one that every worker has comes first.
    let slots = sums.remove_entry("slots");
    let shown = slots.into_iter().chain(sums).map(|(name, (sum, number))| {
        let average = u32::try_from(sum / number).unwrap_or(u32::MAX);
        format!("{name} {}", show_part(average))
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    if shown.is_empty() {
        "-".to_owned()
    } else {
        shown
    }
}

fn never_started(plan: &Plan, queue: &QueueReport) -> Option<String> {
    let never = queue.never_started.as_ref()?;
    let mut lines = vec![format!(
        "of queue `{}` never started: {}",
        queue.queue, never.jobs
    )];
    if let Some((job, why)) = &never.example {
        lines.push(format!(
            "  for example {}: {}",
            plan.name_of(*job),
            verdict(why)
        ));
        let reasons = why.reasons.iter();
        lines.extend(reasons.map(|reason| format!("    {}", escape_line(&reason.to_string()))));
    }
    Some(lines.join("\n"))
}
