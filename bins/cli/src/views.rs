//! What `--json` shows. Programs rely on these keys: they are only ever added to.

use std::collections::BTreeMap;

use jobyard_core::{
    Attempt, AuditEntry, CreatedToken, Exit, Explanation, Job, JobId, JobState, LogState,
    LogStatus, MasterStatus, Outcome, PROCESS_EXECUTOR, Requirement, Submitted, Tag, Timestamp,
    TokenInfo, WaitReason, Worker,
};
use jobyard_executor::ProcessConfig;
use serde::Serialize;

/// A moment as RFC 3339 in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| format!("{} us", at.as_micros()), |at| at.to_string())
}

/// One job, whole, in `show` and `jobs`.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    job_id: JobId,
    name: Option<String>,
    state: &'static str,
    outcome: Option<OutcomeView>,
    queue: String,
    tags: Vec<String>,
    worker: Option<String>,
    labels: BTreeMap<String, String>,
    slots: u32,
    executor: String,
    command: Option<Vec<String>>,
    timeout_ms: Option<u64>,
    /// Its place in the order of submission; the last one of a page is what `--after` takes.
    sequence: u64,
    submitted_at: String,
    submitted_by: String,
    finished_at: Option<String>,
    attempts: Vec<AttemptView>,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        Self {
            job_id: job.id,
            name: job.spec.name.clone(),
            state: job.state.as_str(),
            outcome: job.outcome.as_ref().map(OutcomeView::from),
            queue: job.spec.queue.clone(),
            tags: texts(&job.spec.requirements),
            worker: job.spec.worker.clone(),
            labels: job.spec.labels.clone(),
            slots: job.spec.slots,
            executor: job.spec.executor.name.clone(),
            command: command(job),
            timeout_ms: job.spec.timeout.map(jobyard_core::millis::as_millis),
            sequence: job.sequence,
            submitted_at: time(job.submitted_at),
            submitted_by: job.submitted_by.clone(),
            finished_at: job.finished_at.map(time),
            attempts: job.attempts.iter().map(AttemptView::from).collect(),
        }
    }
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

/// How a job or an attempt ended.
#[derive(Debug, Serialize)]
pub(crate) struct OutcomeView {
    kind: &'static str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    reason: Option<&'static str>,
}

impl From<&Outcome> for OutcomeView {
    fn from(outcome: &Outcome) -> Self {
        let rule = outcome.rule();
        let (exit_code, signal) = match outcome.exit() {
            Some(Exit::Exited(code)) => (Some(code), None),
            Some(Exit::Signaled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            kind: rule.kind,
            exit_code,
            signal,
            reason: Some(rule.reason).filter(|reason| !reason.is_empty()),
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
    log_dropped: u64,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
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
            log_dropped: attempt.log_dropped,
        }
    }
}

/// Whether the output has arrived, as one word.
pub(crate) const fn log_state(log: LogState) -> &'static str {
    match log {
        LogState::Uploading => "uploading",
        LogState::Complete => "complete",
        _ => "lost",
    }
}

/// A job that was submitted.
#[derive(Debug, Serialize)]
pub(crate) struct SubmittedView {
    job_id: JobId,
    /// False if the master had it already.
    created: bool,
}

impl From<Submitted> for SubmittedView {
    fn from(submitted: Submitted) -> Self {
        Self {
            job_id: submitted.id,
            created: submitted.created,
        }
    }
}

/// A job that was asked to stop.
#[derive(Debug, Serialize)]
pub(crate) struct StoppedView {
    job_id: JobId,
    state: &'static str,
}

impl StoppedView {
    /// Where a job stands after it was asked to stop.
    pub(crate) const fn new(job_id: JobId, state: JobState) -> Self {
        Self {
            job_id,
            state: state.as_str(),
        }
    }
}

/// One line of `logs --json` and `run --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum LogLine {
    /// `run` alone: the job was accepted.
    Submitted {
        /// Its id.
        job_id: JobId,
    },
    /// A piece of output.
    Output {
        attempt: u32,
        /// Of its first byte, in the one byte sequence of the attempt.
        offset: u64,
        stream: &'static str,
        time: String,
        /// The bytes, as base 64.
        data: String,
        /// The same as text, where the piece is valid UTF-8. A piece may end within a character.
        text: Option<String>,
    },
    /// The output of one attempt is over.
    AttemptEnd {
        attempt: u32,
        log_bytes: u64,
        log: &'static str,
        log_dropped: u64,
    },
    /// Nothing follows.
    End {
        /// `null` if the job is not finished.
        outcome: Option<OutcomeView>,
    },
}

impl LogLine {
    /// The end of an attempt's output.
    pub(crate) const fn attempt_end(attempt: u32, log: &LogStatus) -> Self {
        Self::AttemptEnd {
            attempt,
            log_bytes: log.end,
            log: log_state(log.state),
            log_dropped: log.dropped,
        }
    }
}

/// Why a job waits.
#[derive(Debug, Serialize)]
pub(crate) struct ExplanationView<'a> {
    job_id: JobId,
    state: &'static str,
    verdict: &'static str,
    reasons: Vec<ReasonView<'a>>,
}

#[derive(Debug, Serialize)]
struct ReasonView<'a> {
    text: String,
    #[serde(flatten)]
    reason: &'a WaitReason,
}

impl<'a> ExplanationView<'a> {
    /// What the master says of a job.
    pub(crate) fn new(job_id: JobId, explanation: &'a Explanation) -> Self {
        let view = |reason: &'a WaitReason| ReasonView {
            text: reason.to_string(),
            reason,
        };
        Self {
            job_id,
            state: explanation.state.as_str(),
            verdict: verdict(explanation),
            reasons: explanation.reasons.iter().map(view).collect(),
        }
    }
}

/// The verdict, or the job's state when it does not wait.
pub(crate) fn verdict(explanation: &Explanation) -> &'static str {
    explanation.verdict.map_or(
        explanation.state.as_str(),
        jobyard_core::WaitVerdict::as_str,
    )
}

/// One worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerView {
    worker_id: String,
    name: String,
    state: &'static str,
    tags: Vec<String>,
    slots: SlotsView,
    last_contact: Option<String>,
    version: String,
    /// Which attempts it holds.
    jobs: Vec<WorkerJobView>,
    host: String,
    os: String,
    arch: String,
    cores: u32,
    memory_bytes: u64,
    address: String,
    enrolled_at: String,
}

#[derive(Debug, Serialize)]
struct SlotsView {
    total: u32,
    used: u32,
}

#[derive(Debug, Serialize)]
struct WorkerJobView {
    job_id: JobId,
    attempt: u32,
}

impl From<&Worker> for WorkerView {
    fn from(worker: &Worker) -> Self {
        let job = |attempt: &jobyard_core::AttemptId| WorkerJobView {
            job_id: attempt.job,
            attempt: attempt.number.get(),
        };
        Self {
            worker_id: worker.id.to_string(),
            name: worker.name.clone(),
            state: worker.state().as_str(),
            tags: worker.tags.iter().map(|tag| tag.to_string()).collect(),
            slots: SlotsView {
                total: worker.slots,
                used: worker.slots_used,
            },
            last_contact: worker.last_contact.map(time),
            version: worker.facts.version.clone(),
            jobs: worker.attempts.iter().map(job).collect(),
            host: worker.facts.host.clone(),
            os: worker.facts.os.clone(),
            arch: worker.facts.arch.clone(),
            cores: worker.facts.cores,
            memory_bytes: worker.facts.memory_bytes,
            address: worker.address.clone(),
            enrolled_at: time(worker.enrolled_at),
        }
    }
}

/// A join token. The word itself is there only when it was just made and went nowhere else.
#[derive(Serialize)]
pub(crate) struct TokenView {
    token_id: String,
    created_at: String,
    expires_at: String,
    uses_left: u32,
    revoked: bool,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenView {
    /// A token with its word, to be shown this once.
    pub(crate) fn with_word(created: &CreatedToken) -> Self {
        Self {
            token: Some(created.token.expose().to_owned()),
            ..Self::from(&created.info)
        }
    }
}

impl From<&TokenInfo> for TokenView {
    fn from(token: &TokenInfo) -> Self {
        Self {
            token_id: token.id.clone(),
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
            uses_left: token.uses_left,
            revoked: token.revoked,
            tags: token.tags.iter().map(Tag::to_string).collect(),
            token: None,
        }
    }
}

/// How the master is.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView<'a> {
    name: &'a str,
    version: &'a str,
    epoch: u64,
    started_at: String,
    listen: Option<String>,
    store: &'a str,
    workers: &'a BTreeMap<String, u64>,
    jobs: &'a BTreeMap<String, u64>,
    queues: &'a BTreeMap<String, u64>,
    /// Jobs that finished since it started.
    finished: u64,
    logs: LogsView,
}

#[derive(Debug, Serialize)]
struct LogsView {
    attempts: u64,
    bytes: u64,
}

impl<'a> From<&'a MasterStatus> for StatusView<'a> {
    fn from(status: &'a MasterStatus) -> Self {
        Self {
            name: &status.name,
            version: &status.version,
            epoch: status.epoch.0,
            started_at: time(status.started_at),
            listen: status.listen.map(|address| address.to_string()),
            store: &status.store,
            workers: &status.workers,
            jobs: &status.jobs,
            queues: &status.queues,
            finished: status.finished,
            logs: LogsView {
                attempts: status.logs.logs,
                bytes: status.logs.bytes,
            },
        }
    }
}

/// Somebody did something.
#[derive(Debug, Serialize)]
pub(crate) struct AuditView<'a> {
    seq: u64,
    time: String,
    who: &'a str,
    action: &'a str,
    subject: &'a str,
    result: &'a str,
}

impl<'a> From<&'a AuditEntry> for AuditView<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            time: time(entry.at),
            who: &entry.who,
            action: &entry.action,
            subject: &entry.subject,
            result: &entry.result,
        }
    }
}

fn texts(requirements: &[Requirement]) -> Vec<String> {
    requirements.iter().map(Requirement::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::{
        AttemptId, AttemptNumber, Contact, Epoch, ExecutorSpec, JobSpec, LogUsage, SecretText,
        StartFailure, WaitVerdict, WorkerId,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + second * 1_000_000)
    }

    fn job_id() -> JobId {
        "0190a0b0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id")
    }

    fn worker_id() -> WorkerId {
        "0190a0b0-0000-7000-8000-0000000000aa"
            .parse()
            .expect("an id")
    }

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
    fn outcomes_keep_exit_codes_and_signals_apart() {
        let view =
            |outcome: Outcome| serde_json::to_string(&OutcomeView::from(&outcome)).expect("JSON");
        let lines = [
            view(Outcome::Succeeded),
            view(Outcome::of_exit(Exit::Exited(7))),
            view(Outcome::of_exit(Exit::Signaled(15))),
            view(Outcome::TimedOut {
                exit: Some(Exit::Signaled(9)),
            }),
            view(Outcome::Cancelled { exit: None }),
            view(Outcome::StartFailed {
                cause: StartFailure::NotFound,
            }),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn worker_has_the_keys_that_programs_rely_on() {
        let mut worker = Worker::new(worker_id(), "forge".to_owned(), at(0));
        worker.contact = Contact::Connected;
        worker.slots = 8;
        worker.slots_used = 1;
        worker.attempts = vec![AttemptId::new(job_id(), AttemptNumber::FIRST)];
        worker
            .tags
            .insert("os=linux".parse().expect("a tag"))
            .expect("room");
        worker.last_contact = Some(at(7));
        insta::assert_json_snapshot!(WorkerView::from(&worker));
    }

    #[test]
    fn explanation_has_verdict_and_reasons_with_text() {
        let reasons = vec![
            WaitReason::RequirementUnmet {
                requirement: "gpu".parse().expect("a requirement"),
                failing: 2,
                workers: 2,
            },
            WaitReason::NoWorkers,
        ];
        let waiting = Explanation::waiting(WaitVerdict::Never, reasons);
        insta::assert_json_snapshot!(ExplanationView::new(job_id(), &waiting));
        let running = Explanation::not_waiting(JobState::Running);
        assert_eq!(verdict(&running), "running");
    }

    #[test]
    fn token_shows_its_word_once() {
        let info = TokenInfo::new("abc".to_owned(), at(0), at(3600), 10);
        let listed = serde_json::to_string(&TokenView::from(&info)).expect("JSON");
        assert!(!listed.contains("\"token\""), "{listed}");
        let created = CreatedToken::new(info, SecretText::new("jyt1.word"));
        insta::assert_json_snapshot!(TokenView::with_word(&created));
    }

    #[test]
    fn status_and_audit_have_their_keys() {
        let mut status = MasterStatus::default();
        status.name = "ci".to_owned();
        status.version = "0.1.0".to_owned();
        status.epoch = Epoch(3);
        status.started_at = at(0);
        status.listen = "127.0.0.1:7411".parse().ok();
        status.workers.insert("active".to_owned(), 2);
        status.logs = LogUsage::new(3, 4096);
        insta::assert_json_snapshot!("status", StatusView::from(&status));
        let mut entry = AuditEntry::new(at(1), "ada", "token.create", "abc", "ok");
        entry.seq = 9;
        insta::assert_json_snapshot!("audit", AuditView::from(&entry));
    }

    #[test]
    fn log_lines_say_what_they_are() {
        let mut log = LogStatus::open(5);
        log.dropped = 3;
        let lines = [
            LogLine::Submitted { job_id: job_id() },
            LogLine::attempt_end(1, &log),
            LogLine::End { outcome: None },
        ];
        let lines: Vec<_> = lines
            .iter()
            .map(|line| serde_json::to_string(line).expect("JSON"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
