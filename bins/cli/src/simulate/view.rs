//! What `simulate --json` shows. Programs rely on these keys: they are only ever added to.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::millis::as_millis;
use jobyard_scheduler::simulate::{NeverStarted, QueueReport, Report, Waits, WorkerReport};
use serde::Serialize;

use super::plan::Plan;
use crate::views::ExplanationView;

/// How a load went.
#[derive(Debug, Serialize)]
pub(crate) struct SimulationView<'a> {
    jobs: u64,
    finished: u64,
    /// Recorded jobs that were left out because they never ran.
    skipped: u64,
    makespan_ms: u64,
    jobs_per_hour: f64,
    peak_queued: u64,
    queues: Vec<QueueView<'a>>,
    workers: Vec<WorkerView<'a>>,
}

#[derive(Debug, Serialize)]
struct QueueView<'a> {
    queue: &'a str,
    jobs: u64,
    started: u64,
    never_started: Option<NeverStartedView<'a>>,
    wait_ms: WaitView,
    /// From 0 to 1, of what all queues used.
    share: f64,
}

#[derive(Debug, Serialize)]
struct NeverStartedView<'a> {
    jobs: u64,
    /// Which job the explanation is of, in words.
    example: Option<String>,
    explanation: Option<ExplanationView<'a>>,
}

#[derive(Debug, Serialize)]
struct WaitView {
    mean: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

#[derive(Debug, Serialize)]
struct WorkerView<'a> {
    worker: &'a str,
    jobs: u64,
    present_ms: u64,
    /// From 0 to 1, of each resource that it has, over the time that it was there.
    used: BTreeMap<&'a str, f64>,
}

impl<'a> SimulationView<'a> {
    /// The report of a plan.
    pub(crate) fn new(plan: &Plan, report: &'a Report) -> Self {
        let queue = |queue| QueueView::new(plan, queue);
        Self {
            jobs: report.jobs,
            finished: report.finished,
            skipped: plan.skipped,
            makespan_ms: as_millis(report.makespan),
            jobs_per_hour: report.jobs_per_hour(),
            peak_queued: report.peak_queued,
            queues: report.queues.iter().map(queue).collect(),
            workers: report.workers.iter().map(WorkerView::from).collect(),
        }
    }
}

impl<'a> QueueView<'a> {
    fn new(plan: &Plan, report: &'a QueueReport) -> Self {
        let never = report.never_started.as_ref();
        Self {
            queue: &report.queue,
            jobs: report.jobs,
            started: report.started,
            never_started: never.map(|never| NeverStartedView::new(plan, never)),
            wait_ms: report.waits.into(),
            share: part(report.share),
        }
    }
}

impl<'a> NeverStartedView<'a> {
    fn new(plan: &Plan, never: &'a NeverStarted) -> Self {
        let example = never.example.as_ref();
        Self {
            jobs: never.jobs,
            example: example.map(|(job, _)| plan.name_of(*job)),
            explanation: example.map(|(job, why)| ExplanationView::new(*job, why)),
        }
    }
}

impl From<Waits> for WaitView {
    fn from(waits: Waits) -> Self {
        let millis = |wait: Duration| as_millis(wait);
        Self {
            mean: millis(waits.mean),
            p50: millis(waits.p50),
            p90: millis(waits.p90),
            p99: millis(waits.p99),
            max: millis(waits.max),
        }
    }
}

impl<'a> From<&'a WorkerReport> for WorkerView<'a> {
    fn from(report: &'a WorkerReport) -> Self {
        let used = report.used.iter();
        Self {
            worker: &report.name,
            jobs: report.jobs,
            present_ms: as_millis(report.present),
            used: used
                .map(|(resource, used)| (resource.as_str(), part(*used)))
                .collect(),
        }
    }
}

fn part(thousandths: u32) -> f64 {
    f64::from(thousandths) / 1000.0
}
