//! Jobs and their attempts.

use std::collections::BTreeMap;

use jobyard_core::{
    Attempt, Group, Job, JobId, LogCut, LogRemoval, LogState, PROCESS_EXECUTOR, Preference, Retry,
    RetryBudget,
};
use jobyard_executor::ProcessConfig;
use serde::Serialize;

use super::limits::LimitsView;
use super::log_line::log_state;
use super::outcome::OutcomeView;
use super::residue::{ResidueView, UsageView};
use super::resources::Cores;
use super::time::time;

/// One job, whole, in `show` and `jobs`.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    job_id: JobId,
    name: Option<String>,
    state: &'static str,
    outcome: Option<OutcomeView>,
    queue: String,
    priority: i32,
    group: Option<GroupView>,
    tags: Vec<String>,
    prefer: Vec<PreferenceView>,
    worker: Option<String>,
    labels: BTreeMap<String, String>,
    slots: u32,
    cpu: Option<Cores>,
    /// In bytes.
    memory: Option<u64>,
    resources: BTreeMap<String, u64>,
    limits: LimitsView,
    executor: String,
    command: Option<Vec<String>>,
    /// The names; the values are shown to nobody.
    secret_env: Vec<String>,
    queue_timeout_ms: Option<u64>,
    timeout_ms: Option<u64>,
    retries: u32,
    retry_on: Vec<u8>,
    infra_retries: u32,
    repeatable: bool,
    on_disconnect: &'static str,
    /// Why it was submitted.
    start_reason: &'static str,
    retry_of: Option<JobId>,
    /// When another attempt is due, while it waits for that.
    retry_at: Option<String>,
    /// Its place in the order of submission; the last one of a page is what `--after` takes.
    sequence: u64,
    submitted_at: String,
    submitted_by: String,
    finished_at: Option<String>,
    attempts: Vec<AttemptView>,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        let taken = &job.spec.resources;
        let some = |amount: u64| Some(amount).filter(|amount| *amount > 0);
        Self {
            job_id: job.id,
            name: job.spec.name.clone(),
            state: job.state.as_str(),
            outcome: job.outcome.as_ref().map(OutcomeView::from),
            queue: job.spec.queue.clone(),
            priority: job.spec.priority,
            group: job.spec.group.as_ref().map(GroupView::from),
            tags: job
                .spec
                .requirements
                .iter()
                .map(ToString::to_string)
                .collect(),
            prefer: job.spec.prefer.iter().map(PreferenceView::from).collect(),
            worker: job.spec.worker.clone(),
            labels: job.spec.labels.clone(),
            slots: taken.slots,
            cpu: some(taken.cpu_millis).map(Cores),
            memory: some(taken.memory_bytes),
            resources: taken.counts.clone(),
            limits: job.spec.limits.into(),
            executor: job.spec.executor.name.clone(),
            command: command(job),
            secret_env: job.spec.secret_env.keys().cloned().collect(),
            queue_timeout_ms: job.spec.queue_timeout.map(jobyard_core::millis::as_millis),
            timeout_ms: job.spec.timeout.map(jobyard_core::millis::as_millis),
            retries: job.spec.retries,
            retry_on: job.spec.retry_on.iter().copied().collect(),
            infra_retries: job.spec.infra_retries,
            repeatable: job.spec.repeatable,
            on_disconnect: job.spec.on_disconnect.as_str(),
            start_reason: job.origin.as_str(),
            retry_of: job.origin.retry_of(),
            retry_at: job.retry_at.map(time),
            sequence: job.sequence,
            submitted_at: time(job.submitted_at),
            submitted_by: job.submitted_by.clone(),
            finished_at: job.finished_at.map(time),
            attempts: attempts(job),
        }
    }
}

fn attempts(job: &Job) -> Vec<AttemptView> {
    let limit = job.spec.log_limit;
    let each = job.attempts.iter();
    each.map(|attempt| AttemptView::new(attempt, limit))
        .collect()
}

/// The command of a process job; `None` for scripts and other executors. Environments are not shown.
pub(crate) fn command(job: &Job) -> Option<Vec<String>> {
    let executor = &job.spec.executor;
    if executor.name != PROCESS_EXECUTOR {
        return None;
    }
    let command = ProcessConfig::parse(&executor.config).ok()?.command;
    (!command.is_empty()).then_some(command)
}

/// The group of which only so many run at once, as in a job file.
#[derive(Debug, Serialize)]
struct GroupView {
    key: String,
    limit: u32,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            key: group.key.clone(),
            limit: group.limit,
        }
    }
}

/// What a job would rather have, as in a job file.
#[derive(Debug, Serialize)]
struct PreferenceView {
    tag: String,
    weight: u32,
}

impl From<&Preference> for PreferenceView {
    fn from(preference: &Preference) -> Self {
        Self {
            tag: preference.tag.to_string(),
            weight: preference.weight,
        }
    }
}

/// One execution of a job.
#[derive(Debug, Serialize)]
struct AttemptView {
    number: u32,
    worker_id: String,
    worker_name: String,
    pid: Option<u32>,
    assigned_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    outcome: Option<OutcomeView>,
    log_bytes: u64,
    log: &'static str,
    /// When retention has removed the output, and why: `age` or `room`; null while it is there.
    log_removed: Option<RemovedView>,
    log_dropped: u64,
    /// Where the output was cut; null if it was not.
    log_truncated_at: Option<u64>,
    /// By what: `limit`, or `room` where its worker could not keep more; null if it was not cut.
    log_truncated_by: Option<LogCut>,
    /// Where it was measured.
    usage: Option<UsageView>,
    /// Once it is known.
    residue: Option<ResidueView>,
    /// Why there is this attempt; null for the first one.
    retry: Option<RetryView>,
}

/// What became of output that is gone.
#[derive(Debug, Serialize)]
struct RemovedView {
    at: String,
    why: LogRemoval,
}

/// The ending that an attempt follows, and who paid for another one.
#[derive(Debug, Serialize)]
struct RetryView {
    after: u32,
    outcome: OutcomeView,
    budget: RetryBudget,
}

impl From<&Retry> for RetryView {
    fn from(retry: &Retry) -> Self {
        Self {
            after: retry.after.get(),
            outcome: OutcomeView::from(&retry.outcome),
            budget: retry.budget,
        }
    }
}

impl AttemptView {
    /// An attempt of which so many bytes of output were to be kept.
    fn new(attempt: &Attempt, log_limit: u64) -> Self {
        let residue = attempt.residue.as_ref();
        Self {
            number: attempt.id.number.get(),
            worker_id: attempt.worker.to_string(),
            worker_name: attempt.worker_name.clone(),
            pid: attempt.pid,
            assigned_at: time(attempt.assigned_at),
            started_at: attempt.started_at.map(time),
            finished_at: attempt.finished_at.map(time),
            outcome: attempt.outcome.as_ref().map(OutcomeView::from),
            log_bytes: attempt.log_bytes,
            log: log_state(attempt.log),
            log_removed: match attempt.log {
                LogState::Removed { at, why } => Some(RemovedView { at: time(at), why }),
                _ => None,
            },
            log_dropped: attempt.log_dropped,
            log_truncated_at: (attempt.log_dropped > 0).then_some(attempt.log_bytes),
            log_truncated_by: LogCut::of(attempt.log_bytes, attempt.log_dropped, log_limit),
            usage: residue
                .and_then(|residue| residue.usage.as_ref())
                .map(UsageView::from),
            residue: residue.map(ResidueView::from),
            retry: attempt.retry.as_ref().map(RetryView::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{demanding_job, job_id, residue, worker_id};
    use crate::views::time::tests::at;
    use jobyard_core::{
        AttemptId, AttemptNumber, ExecutorSpec, Exit, JobSpec, JobState, LogState, Outcome,
    };

    fn finished_job() -> Job {
        let config = r#"{"command":["make","-j4"],"env":{"KEY":"hunter2"}}"#;
        let mut spec = JobSpec::new(ExecutorSpec::new("process", config));
        spec.name = Some("build".to_owned());
        spec.requirements = vec!["os=linux|darwin".parse().expect("a requirement")];
        spec.labels.insert("team".to_owned(), "core".to_owned());
        let spec = spec.validate().expect("a valid spec");
        let mut job = Job::new(job_id(), spec, 41, at(0), "ada".to_owned());
        let first = AttemptId::new(job.id, AttemptNumber::FIRST);
        let mut attempt = Attempt::new(first, worker_id(), "forge".to_owned(), at(1));
        attempt.pid = Some(4711);
        attempt.started_at = Some(at(1));
        attempt.finished_at = Some(at(5));
        attempt.outcome = Some(Outcome::of_exit(Exit::Signaled(9)));
        attempt.log_bytes = 12;
        attempt.log = LogState::LostFrom(12);
        attempt.residue = Some(residue());
        job.attempts.push(attempt);
        job.state = JobState::Finished;
        job.outcome = Some(Outcome::of_exit(Exit::Signaled(9)));
        job.finished_at = Some(at(5));
        job
    }

    #[test]
    fn job_has_the_keys_that_programs_rely_on() {
        let view = serde_json::to_value(JobView::from(&finished_job())).expect("JSON");
        assert!(
            !view.to_string().contains("hunter2"),
            "no environment is shown"
        );
        insta::assert_json_snapshot!(view);
    }

    #[test]
    fn what_a_job_asks_for_is_shown_as_in_a_job_file() {
        insta::assert_json_snapshot!(JobView::from(&demanding_job()));
    }
}
