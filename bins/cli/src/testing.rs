//! A control without a master: it answers what a test has written down, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jobyard_core::{
    Admin, AttemptId, AttemptNumber, AuditPage, AuditQuery, Caller, ControlError, CreatedToken,
    ExecutorSpec, Explanation, Fleet, Job, JobId, JobPage, JobQuery, JobSpec, JobState, Jobs,
    LogChunk, LogItem, LogQuery, LogStream, MasterStatus, NewJob, NewToken, OutputStream,
    SecretText, StopOptions, Submitted, Timestamp, TokenInfo, Worker, WorkerCommand,
};

pub(crate) fn job_id() -> JobId {
    "0190a0b0-0000-7000-8000-000000000001"
        .parse()
        .expect("an id")
}

pub(crate) fn attempt(number: u32) -> AttemptId {
    AttemptId::new(job_id(), AttemptNumber::new(number).expect("not zero"))
}

pub(crate) fn chunk(number: u32, offset: u64, text: &str) -> Result<LogItem, ControlError> {
    piece(number, offset, OutputStream::Stdout, text.as_bytes())
}

#[expect(clippy::unnecessary_wraps, reason = "stands among results")]
pub(crate) fn piece(
    number: u32,
    offset: u64,
    stream: OutputStream,
    bytes: &[u8],
) -> Result<LogItem, ControlError> {
    let at = Timestamp::from_micros(1_800_000_000_000_000);
    Ok(LogItem::Chunk {
        attempt: attempt(number),
        chunk: LogChunk::new(offset, stream, at, Bytes::copy_from_slice(bytes)),
    })
}

/// A job of the process executor in a state.
pub(crate) fn job(id: JobId, command: &str, state: JobState) -> Job {
    let config = format!(r#"{{"command":["{command}"]}}"#);
    let spec = JobSpec::new(ExecutorSpec::new("process", config))
        .validate()
        .expect("a valid spec");
    let mut job = Job::new(id, spec, 1, Timestamp::default(), "ada".to_owned());
    job.state = state;
    job
}

/// How a question for output is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Not at all.
    Error(ControlError),
    /// With these items.
    Stream(Vec<Result<LogItem, ControlError>>),
    /// With these items, and then with silence.
    Silent(Vec<Result<LogItem, ControlError>>),
}

/// Answers from lists; when a list is at its end, the master is away.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    submits: VecDeque<ControlError>,
    logs: VecDeque<Reply>,
    jobs: Vec<Job>,
    explanation: Option<Explanation>,
    submitted: Vec<Vec<NewJob>>,
    log_queries: Vec<LogQuery>,
    stopped: Vec<(JobId, StopOptions)>,
}

impl Scripted {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().expect("no panic while answering")
    }

    /// The next submits fail like this; those after them succeed.
    pub(crate) fn fail_submits(&self, errors: impl IntoIterator<Item = ControlError>) {
        self.script().submits.extend(errors);
    }

    pub(crate) fn logs(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script().logs.extend(replies);
    }

    pub(crate) fn hold(&self, jobs: impl IntoIterator<Item = Job>) {
        self.script().jobs.extend(jobs);
    }

    pub(crate) fn explain_with(&self, explanation: Explanation) {
        self.script().explanation = Some(explanation);
    }

    pub(crate) fn log_queries(&self) -> Vec<LogQuery> {
        self.script().log_queries.clone()
    }

    /// What was submitted, call by call.
    pub(crate) fn submitted(&self) -> Vec<Vec<NewJob>> {
        self.script().submitted.clone()
    }

    pub(crate) fn stopped(&self) -> Vec<(JobId, StopOptions)> {
        self.script().stopped.clone()
    }
}

fn away() -> ControlError {
    ControlError::unavailable("away")
}

#[async_trait]
impl Jobs for Scripted {
    async fn submit(&self, _: &Caller, jobs: Vec<NewJob>) -> Result<Vec<Submitted>, ControlError> {
        let mut script = self.script();
        let answer = jobs
            .iter()
            .map(|job| Submitted::new(job.id, true))
            .collect();
        script.submitted.push(jobs);
        script.submits.pop_front().map_or(Ok(answer), Err)
    }

    async fn job(&self, _: &Caller, id: JobId) -> Result<Job, ControlError> {
        let script = self.script();
        let found = script.jobs.iter().find(|job| job.id == id);
        found.cloned().ok_or_else(|| ControlError::no_job(id))
    }

    async fn jobs(&self, _: &Caller, query: JobQuery) -> Result<JobPage, ControlError> {
        let script = self.script();
        let wanted = |job: &&Job| query.state.is_none_or(|state| job.state == state);
        let jobs = script.jobs.iter().filter(wanted).cloned().collect();
        Ok(JobPage::new(jobs, None))
    }

    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let job = self.job(caller, id).await?;
        if !job.state.is_finished() {
            std::future::pending::<()>().await;
        }
        Ok(job)
    }

    async fn stop(
        &self,
        _: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError> {
        self.script().stopped.push((id, options));
        Ok(JobState::Stopping)
    }

    async fn logs(&self, _: &Caller, query: LogQuery) -> Result<LogStream, ControlError> {
        let mut script = self.script();
        script.log_queries.push(query);
        match script.logs.pop_front() {
            Some(Reply::Stream(items)) => Ok(Box::pin(stream::iter(items))),
            Some(Reply::Silent(items)) => {
                Ok(Box::pin(stream::iter(items).chain(stream::pending())))
            }
            Some(Reply::Error(error)) => Err(error),
            None => Err(away()),
        }
    }

    async fn explain(&self, _: &Caller, _: JobId) -> Result<Explanation, ControlError> {
        self.script().explanation.clone().ok_or_else(away)
    }
}

#[async_trait]
impl Fleet for Scripted {
    async fn workers(&self, _: &Caller, _: bool) -> Result<Vec<Worker>, ControlError> {
        Ok(Vec::new())
    }

    async fn worker(&self, _: &Caller, worker: &str) -> Result<Worker, ControlError> {
        Err(ControlError::NotFound {
            what: "worker",
            id: worker.to_owned(),
        })
    }

    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        _: WorkerCommand,
    ) -> Result<Worker, ControlError> {
        self.worker(caller, worker).await
    }

    async fn create_token(
        &self,
        _: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError> {
        let at = Timestamp::default();
        let info = TokenInfo::new("abc".to_owned(), at, at, token.uses);
        Ok(CreatedToken::new(info, SecretText::new("jyt1.word")))
    }

    async fn tokens(&self, _: &Caller) -> Result<Vec<TokenInfo>, ControlError> {
        Ok(Vec::new())
    }

    async fn revoke_token(&self, _: &Caller, _: &str) -> Result<(), ControlError> {
        Ok(())
    }
}

#[async_trait]
impl Admin for Scripted {
    async fn status(&self, _: &Caller) -> Result<MasterStatus, ControlError> {
        Ok(MasterStatus::default())
    }

    async fn audit(&self, _: &Caller, _: AuditQuery) -> Result<AuditPage, ControlError> {
        Ok(AuditPage::default())
    }
}
