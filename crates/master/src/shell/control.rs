//! The control contract, answered from the engine and the store.

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    Action, Admin, AuditEntry, AuditPage, AuditQuery, Caller, ControlError, CreatedToken,
    Explanation, Fleet, Job, JobId, JobPage, JobQuery, JobState, Jobs, LoadError, LogQuery,
    LogState, LogStream, MAX_PAGE, MAX_SUBMIT_JOBS, MasterStatus, NewJob, NewToken, QueueChange,
    QueueInfo, Record, RecordQuery, SecretText, StopOptions, Submitted, TokenInfo, ValidSpec,
    Worker, WorkerCommand,
};
use jobyard_pki::{JoinToken, TokenRecord};
use sha2::{Digest, Sha256};
use tracing::{Instrument, info, info_span};

use super::master::Master;
use super::requests::{Ask, stopped};
use super::shared::Shared;
use crate::engine::{Answer, Input, ReplyTo, Submission};
use crate::records::{AUDIT, DamagedRecord, Demand, JOB, JobRecord, SPEC, SpecDigest, read};

/// How many records a page has if nobody says.
const DEFAULT_PAGE: usize = 100;

#[async_trait]
impl Jobs for Master {
    async fn submit(
        &self,
        caller: &Caller,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submitted>, ControlError> {
        let request = caller
            .request
            .map(|request| request.to_string())
            .unwrap_or_default();
        let span = info_span!("submit", by = %caller.name, jobs = jobs.len(), request);
        async {
            self.shared.allow(caller, Action::Submit)?;
            let submissions = self.shared.prepare(jobs).await?;
            let by = caller.name.clone();
            let answer = self
                .shared
                .call(|reply| Input::Submit {
                    reply,
                    by,
                    jobs: submissions,
                })
                .await?;
            match answer {
                Answer::Submitted(submitted) => {
                    info!("accepted");
                    Ok(submitted)
                }
                other => Err(refused(other)),
            }
        }
        .instrument(span)
        .await
    }

    async fn job(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let record = self.shared.job_record(caller, id).await?;
        self.shared.whole(record).await
    }

    async fn jobs(&self, caller: &Caller, query: JobQuery) -> Result<JobPage, ControlError> {
        let mut records = RecordQuery::new(JOB, page_size(query.limit)?);
        records.state = query.state.map(|state| state.as_str().to_owned());
        records.group = query.queue;
        records.labels = query.labels.into_iter().collect();
        records.after = query.after;
        let page = self
            .shared
            .config
            .store
            .list(records)
            .await
            .map_err(failed)?;
        let mut visible = Vec::with_capacity(page.records.len());
        for record in &page.records {
            let record: JobRecord = read(record).map_err(damaged)?;
            let owner = record.submitted_by.as_str();
            if self
                .shared
                .config
                .authorizer
                .allows(caller, Action::ReadJob { owner })
            {
                visible.push(record);
            }
        }
        let keys: Vec<String> = visible.iter().map(|record| record.id.to_string()).collect();
        let specs = self
            .shared
            .config
            .store
            .get_many(SPEC, &keys)
            .await
            .map_err(failed)?;
        let mut jobs = Vec::with_capacity(visible.len());
        for (record, spec) in visible.into_iter().zip(specs) {
            jobs.push(
                self.shared
                    .with_live_logs(record.clone().into_job(spec_of(&record, spec)?))
                    .await,
            );
        }
        Ok(JobPage::new(jobs, page.next))
    }

    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let mut watch = self.shared.hub.watch(id);
        loop {
            let record = self.shared.job_record(caller, id).await?;
            if record.state.is_finished() {
                return self.shared.whole(record).await;
            }
            tokio::select! {
                () = watch.changed() => {}
                () = self.shared.stopping.cancelled() => return Err(stopped()),
            }
        }
    }

    async fn stop(
        &self,
        caller: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError> {
        let record = self.shared.read_job(id).await?;
        let owner = record.submitted_by.as_str();
        self.shared
            .allow_on_job(caller, id, owner, Action::StopJob { owner })?;
        if record.state.is_finished() {
            return Ok(record.state);
        }
        let by = caller.name.clone();
        let answer = self
            .shared
            .call(|reply| Input::Stop {
                reply,
                by,
                job: id,
                options,
            })
            .await?;
        match answer {
            Answer::Stopping(state) => Ok(state),
            // It has finished between the read and the call.
            Answer::Refused(ControlError::NotFound { .. }) => Ok(JobState::Finished),
            other => Err(refused(other)),
        }
    }

    async fn logs(&self, caller: &Caller, query: LogQuery) -> Result<LogStream, ControlError> {
        let record = self.shared.job_record(caller, query.job).await?;
        super::followers::follow(&self.shared, query, &record)
    }

    async fn explain(&self, caller: &Caller, id: JobId) -> Result<Explanation, ControlError> {
        let record = self.shared.job_record(caller, id).await?;
        let known = self.shared.inbox.ask(|to| Ask::Explain(id, to)).await?;
        Ok(known.unwrap_or_else(|| Explanation::not_waiting(record.state)))
    }
}

#[async_trait]
impl Fleet for Master {
    async fn workers(&self, caller: &Caller, removed: bool) -> Result<Vec<Worker>, ControlError> {
        self.shared.allow(caller, Action::ReadFleet)?;
        self.shared
            .inbox
            .ask(|to| Ask::Workers { removed, to })
            .await
    }

    async fn worker(&self, caller: &Caller, worker: &str) -> Result<Worker, ControlError> {
        self.shared.allow(caller, Action::ReadFleet)?;
        let found = self
            .shared
            .inbox
            .ask(|to| Ask::Worker(worker.to_owned(), to))
            .await?;
        found.ok_or_else(|| ControlError::NotFound {
            what: "worker",
            id: worker.to_owned(),
        })
    }

    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        to: WorkerCommand,
    ) -> Result<Worker, ControlError> {
        self.shared.allow(caller, Action::ChangeWorker)?;
        let (by, worker) = (caller.name.clone(), worker.to_owned());
        let answer = self
            .shared
            .call(|reply| Input::SetWorker {
                reply,
                by,
                worker,
                to,
            })
            .await?;
        match answer {
            Answer::Worker(worker) => Ok(*worker),
            other => Err(refused(other)),
        }
    }

    async fn queues(&self, caller: &Caller) -> Result<Vec<QueueInfo>, ControlError> {
        self.shared.allow(caller, Action::ReadFleet)?;
        self.shared.inbox.ask(Ask::Queues).await
    }

    async fn set_queue(
        &self,
        caller: &Caller,
        queue: &str,
        change: QueueChange,
    ) -> Result<QueueInfo, ControlError> {
        self.shared.allow(caller, Action::ChangeQueue)?;
        let (by, queue) = (caller.name.clone(), queue.to_owned());
        let answer = self
            .shared
            .call(|reply| Input::SetQueue {
                reply,
                by,
                queue,
                change,
            })
            .await?;
        match answer {
            Answer::Queue(queue) => Ok(*queue),
            other => Err(refused(other)),
        }
    }

    async fn create_token(
        &self,
        caller: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError> {
        self.shared.allow(caller, Action::ManageTokens)?;
        let minted = JoinToken::mint(self.shared.config.pins.clone()).map_err(|problem| {
            ControlError::Internal {
                problem: problem.to_string(),
            }
        })?;
        let now = self.shared.config.clock.now().wall;
        let record = TokenRecord::new(&minted, &token, now)
            .map_err(|problem| ControlError::invalid("token", problem.to_string()))?;
        let info = record.info();
        let by = caller.name.clone();
        let record = Box::new(record);
        let answer = self
            .shared
            .call(|reply| Input::CreateToken {
                reply,
                by,
                record,
                terms: token,
            })
            .await?;
        match answer {
            Answer::Done => Ok(CreatedToken::new(
                info,
                SecretText::new(minted.expose().as_str()),
            )),
            other => Err(refused(other)),
        }
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<TokenInfo>, ControlError> {
        self.shared.allow(caller, Action::ManageTokens)?;
        self.shared.inbox.ask(Ask::Tokens).await
    }

    async fn revoke_token(&self, caller: &Caller, token: &str) -> Result<(), ControlError> {
        self.shared.allow(caller, Action::ManageTokens)?;
        let (by, token) = (caller.name.clone(), token.to_owned());
        match self
            .shared
            .call(|reply| Input::RevokeToken { reply, by, token })
            .await?
        {
            Answer::Done => Ok(()),
            other => Err(refused(other)),
        }
    }
}

#[async_trait]
impl Admin for Master {
    async fn status(&self, caller: &Caller) -> Result<MasterStatus, ControlError> {
        self.shared.allow(caller, Action::ReadStatus)?;
        let (tally, counters) = self.shared.inbox.ask(Ask::Tally).await?;
        let usage = self.shared.config.logs.usage().await;
        let mut status = MasterStatus::default();
        status.name.clone_from(&self.shared.config.name);
        env!("CARGO_PKG_VERSION").clone_into(&mut status.version);
        status.epoch = counters.epoch;
        status.started_at = self.shared.started_at;
        status.listen = self.shared.config.listen;
        status.store.clone_from(&self.shared.config.store_name);
        status.workers = tally.workers;
        status.jobs = tally.jobs;
        status.queues = tally.queues;
        status.finished = tally.finished;
        status.logs = usage.map_err(|problem| ControlError::Internal {
            problem: problem.to_string(),
        })?;
        Ok(status)
    }

    async fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage, ControlError> {
        self.shared.allow(caller, Action::ReadAudit)?;
        let mut records = RecordQuery::new(AUDIT, page_size(query.limit)?);
        records.after = query.after;
        let page = self
            .shared
            .config
            .store
            .list(records)
            .await
            .map_err(failed)?;
        let entries: Result<Vec<AuditEntry>, _> = page.records.iter().map(read).collect();
        Ok(AuditPage::new(entries.map_err(damaged)?, page.next))
    }
}

impl Shared {
    /// Tells the engine something that it answers.
    async fn call(&self, input: impl FnOnce(ReplyTo) -> Input) -> Result<Answer, ControlError> {
        let (reply, answer) = self.replies.expect();
        self.inbox.tell(input(reply)).await?;
        answer.await.map_err(|_| stopped())
    }

    /// Checks what a submit asks for, and looks up which of its jobs are known already.
    async fn prepare(&self, jobs: Vec<NewJob>) -> Result<Vec<Submission>, ControlError> {
        if jobs.len() > MAX_SUBMIT_JOBS {
            let problem = format!("{} jobs at once, at most {MAX_SUBMIT_JOBS}", jobs.len());
            return Err(ControlError::invalid("jobs", problem));
        }
        for job in &jobs {
            if let Some(check) = self.config.checks.get(&job.spec.executor.name) {
                check(&job.spec.executor.config).map_err(|problem| {
                    ControlError::invalid(
                        format!("executor.config: {}", problem.field),
                        problem.problem,
                    )
                })?;
            }
        }
        let keys: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let known = self
            .config
            .store
            .get_many(JOB, &keys)
            .await
            .map_err(failed)?;
        let mut submissions = Vec::with_capacity(jobs.len());
        for (job, known) in jobs.into_iter().zip(known) {
            let known = known.map(|record| read::<JobRecord>(&record)).transpose();
            let known = known.map_err(damaged)?.map(|record| record.digest);
            let submission = submission(&job, known)?;
            self.specs.insert(&submission.digest, job.spec);
            submissions.push(submission);
        }
        Ok(submissions)
    }

    /// A job's record, if the caller may see it.
    pub(super) async fn job_record(
        &self,
        caller: &Caller,
        id: JobId,
    ) -> Result<JobRecord, ControlError> {
        let record = self.read_job(id).await?;
        let owner = record.submitted_by.as_str();
        self.allow_on_job(caller, id, owner, Action::ReadJob { owner })?;
        Ok(record)
    }

    /// A job's record as it is now.
    pub(super) async fn read_job(&self, id: JobId) -> Result<JobRecord, ControlError> {
        let record = self
            .config
            .store
            .get(JOB, &id.to_string())
            .await
            .map_err(failed)?;
        let record = record.ok_or_else(|| ControlError::no_job(id))?;
        read(&record).map_err(damaged)
    }

    async fn whole(&self, record: JobRecord) -> Result<Job, ControlError> {
        let key = record.id.to_string();
        let spec = self.config.store.get(SPEC, &key).await.map_err(failed)?;
        let spec = spec_of(&record, spec)?;
        Ok(self.with_live_logs(record.into_job(spec)).await)
    }

    /// While output arrives, the log store knows better than the record how much there is.
    async fn with_live_logs(&self, mut job: Job) -> Job {
        for attempt in &mut job.attempts {
            if attempt.log == LogState::Uploading
                && let Ok(status) = self.config.logs.status(attempt.id).await
            {
                attempt.log_bytes = status.end;
            }
        }
        job
    }
}

fn submission(job: &NewJob, known: Option<SpecDigest>) -> Result<Submission, ControlError> {
    let spec_json = serde_json::to_vec(&job.spec).map_err(|problem| ControlError::Internal {
        problem: problem.to_string(),
    })?;
    Ok(Submission {
        id: job.id,
        demand: Demand::of(&job.spec),
        name: job.spec.name.clone(),
        labels: job.spec.labels.clone(),
        digest: digest(&spec_json),
        spec_json: Bytes::from(spec_json),
        known,
    })
}

/// Half of a SHA-256 is plenty: it has to tell apart the specs that one client gives one id.
fn digest(spec_json: &[u8]) -> SpecDigest {
    use std::fmt::Write;

    let hash = Sha256::digest(spec_json);
    let mut text = String::with_capacity(32);
    for byte in &hash[..16] {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    SpecDigest(text)
}

fn spec_of(job: &JobRecord, record: Option<Record>) -> Result<ValidSpec, ControlError> {
    let record = record.ok_or_else(|| ControlError::Internal {
        problem: format!("the spec of job {} is missing", job.id),
    })?;
    read(&record).map_err(damaged)
}

fn page_size(limit: usize) -> Result<usize, ControlError> {
    match limit {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => Ok(limit),
        _ => Err(ControlError::invalid(
            "limit",
            format!("{limit} is more than {MAX_PAGE}"),
        )),
    }
}

fn refused(answer: Answer) -> ControlError {
    match answer {
        Answer::Refused(error) => error,
        other => ControlError::Internal {
            problem: format!("an answer of the wrong kind: {other:?}"),
        },
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` calls"
)]
pub(super) fn failed(problem: LoadError) -> ControlError {
    match problem {
        LoadError::Storage { .. } | LoadError::Fenced { .. } => {
            ControlError::unavailable(problem.to_string())
        }
        _ => ControlError::Internal {
            problem: problem.to_string(),
        },
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` calls"
)]
pub(super) fn damaged(problem: DamagedRecord) -> ControlError {
    ControlError::Internal {
        problem: problem.to_string(),
    }
}
