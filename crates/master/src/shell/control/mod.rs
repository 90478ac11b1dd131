//! The control contract, answered from the engine and the store.

mod admin;
mod fleet;
mod jobs;
mod submissions;

use jobyard_core::{
    Action, Caller, ControlError, Job, JobId, LoadError, LogState, MAX_PAGE, Record, RecordPage,
    RecordQuery, Room, TOMBSTONE, ValidSpec,
};

use super::requests::stopped;
use super::shared::Shared;
use crate::engine::{Answer, Input, ReplyTo};
use crate::records::{DamagedRecord, JOB, JobRecord, SPEC, Tomb, read};

/// How many records a page has if nobody says.
const DEFAULT_PAGE: usize = 100;

impl Shared {
    /// Tells the engine something that it answers. A call with an id may be a repeat: the engine knows.
    pub(super) async fn call(
        &self,
        caller: &Caller,
        input: impl FnOnce(ReplyTo) -> Input,
    ) -> Result<Answer, ControlError> {
        let (reply, answer) = self.replies.expect();
        let call = input(reply);
        let input = match caller.request {
            Some(request) => Input::Once {
                request,
                call: Box::new(call),
            },
            None => call,
        };
        self.inbox.tell(input).await?;
        answer.await.map_err(|_| stopped())
    }

    /// Refuses new work while the store needs its room for what has begun.
    async fn admit(&self) -> Result<(), ControlError> {
        match self.config.store.room().await {
            Room::Low {
                free_bytes,
                watermark_bytes,
            } if !jobyard_core::mutated("new work is taken without room") => {
                Err(ControlError::Exhausted {
                    problem: format!(
                        "its store has {} MiB left and keeps {} MiB for what has begun: make room on its disk",
                        free_bytes >> 20,
                        watermark_bytes >> 20
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// Where the store is, and whether it is short of room.
    async fn described_store(&self) -> String {
        let name = &self.config.store_name;
        match self.config.store.room().await {
            Room::Low {
                free_bytes,
                watermark_bytes,
            } => format!(
                "{name} (low on room: {} MiB left; new work is refused below {} MiB)",
                free_bytes >> 20,
                watermark_bytes >> 20
            ),
            _ => name.clone(),
        }
    }

    /// A page of records.
    async fn list(&self, query: RecordQuery) -> Result<RecordPage, ControlError> {
        self.config.store.list(query).await.map_err(failed)
    }

    /// A job's record, if the caller may see it.
    pub(in crate::shell) async fn job_record(
        &self,
        caller: &Caller,
        id: JobId,
    ) -> Result<JobRecord, ControlError> {
        let Some(record) = self.find_job(id).await? else {
            return Err(match self.find_tomb(caller, id).await? {
                Some(_) => ControlError::NotFound {
                    what: "job",
                    id: format!("{id} any more: it was over, and retention has removed it"),
                },
                None => ControlError::no_job(id),
            });
        };
        let owner = record.submitted_by.as_str();
        self.allow_on_job(caller, id, owner, Action::ReadJob { owner })?;
        Ok(record)
    }

    /// A job's record as it is now.
    pub(in crate::shell) async fn read_job(&self, id: JobId) -> Result<JobRecord, ControlError> {
        let record = self.find_job(id).await?;
        record.ok_or_else(|| ControlError::no_job(id))
    }

    /// The same, if there is one.
    async fn find_job(&self, id: JobId) -> Result<Option<JobRecord>, ControlError> {
        let record = self.config.store.get(JOB, &id.to_string()).await;
        let record = record.map_err(failed)?;
        record.as_ref().map(read).transpose().map_err(damaged)
    }

    /// What stays of a job that retention has removed, if the caller might have seen the job.
    async fn find_tomb(&self, caller: &Caller, id: JobId) -> Result<Option<Tomb>, ControlError> {
        let record = self.config.store.get(TOMBSTONE, &id.to_string()).await;
        let record = record.map_err(failed)?;
        let tomb: Option<Tomb> = record.as_ref().map(read).transpose().map_err(damaged)?;
        Ok(tomb.filter(|tomb| {
            let owner = tomb.owner.as_str();
            let authorizer = &self.config.authorizer;
            authorizer.allows(caller, Action::ReadJob { owner })
        }))
    }

    /// A job as its users see it.
    async fn shown(&self, record: JobRecord) -> Result<Job, ControlError> {
        let mut job = self.whole(record).await?;
        job.spec = job.spec.hide_secrets();
        Ok(job)
    }

    /// A job with its secrets: to be run again, and for nobody to see.
    async fn whole(&self, record: JobRecord) -> Result<Job, ControlError> {
        let key = record.id.to_string();
        let spec = self.config.store.get(SPEC, &key).await.map_err(failed)?;
        if spec.is_none() && record.state.is_finished() {
            // Retention may have removed both in between.
            self.read_job(record.id).await?;
        }
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
pub(in crate::shell) fn failed(problem: LoadError) -> ControlError {
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
pub(in crate::shell) fn damaged(problem: DamagedRecord) -> ControlError {
    ControlError::Internal {
        problem: problem.to_string(),
    }
}
