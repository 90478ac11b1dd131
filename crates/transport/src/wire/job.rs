//! Jobs and attempts as their users see them, and how they are asked for.

use jobyard_core::{
    Attempt, AttemptNumber, Job, JobId, JobOrigin, JobPage, JobQuery, JobState, LogItem, LogQuery,
    LogStatus, NewJob, Retry, StopOptions, Submitted, Timestamp, ValidSpec,
};

use super::InvalidMessage;
use super::field::{
    attempt_number, choice, duration, entries, id_bytes, job_id, kind, list, map, micros, millis,
    moment, optional, required, same_names, worker_id,
};
use crate::generated::v1;

same_names!(
    JobState,
    [Blocked, Queued, Assigned, Running, Stopping, Finished],
    Unspecified
);

impl From<NewJob> for v1::NewJob {
    fn from(job: NewJob) -> Self {
        Self {
            id: id_bytes(job.id.as_uuid()),
            spec: Some((&job.spec).into()),
        }
    }
}

impl TryFrom<v1::NewJob> for NewJob {
    type Error = InvalidMessage;

    fn try_from(wire: v1::NewJob) -> Result<Self, InvalidMessage> {
        let spec: ValidSpec = required("spec", wire.spec)?;
        Ok(Self::new(job_id("id", &wire.id)?, spec))
    }
}

impl From<Submitted> for v1::Submitted {
    fn from(submitted: Submitted) -> Self {
        Self {
            id: id_bytes(submitted.id.as_uuid()),
            created: submitted.created,
        }
    }
}

impl TryFrom<v1::Submitted> for Submitted {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Submitted) -> Result<Self, InvalidMessage> {
        Ok(Self::new(job_id("id", &wire.id)?, wire.created))
    }
}

impl From<Job> for v1::Job {
    fn from(job: Job) -> Self {
        Self {
            id: id_bytes(job.id.as_uuid()),
            spec: Some((&job.spec.hide_secrets()).into()),
            state: v1::JobState::from(job.state).into(),
            outcome: job.outcome.map(Into::into),
            sequence: job.sequence,
            submitted_at_us: job.submitted_at.as_micros(),
            submitted_by: job.submitted_by,
            finished_at_us: micros(job.finished_at),
            attempts: job.attempts.into_iter().map(Into::into).collect(),
            retry_of: job.origin.retry_of().map(|of| id_bytes(of.as_uuid())),
            retry_at_us: micros(job.retry_at),
        }
    }
}

impl TryFrom<v1::Job> for Job {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Job) -> Result<Self, InvalidMessage> {
        let mut job = Self::new(
            job_id("id", &wire.id)?,
            super::spec::shown("spec", wire.spec)?,
            wire.sequence,
            Timestamp::from_micros(wire.submitted_at_us),
            wire.submitted_by,
        );
        job.state = choice::<v1::JobState, _>("state", wire.state)?;
        job.outcome = optional("outcome", wire.outcome)?;
        job.finished_at = moment(wire.finished_at_us);
        // The size of the message bounds their number.
        job.attempts = list("attempts", wire.attempts, usize::MAX)?;
        if let Some(of) = wire.retry_of {
            let of = job_id("retry_of", &of)?;
            job.origin = JobOrigin::Retry { of };
        }
        job.retry_at = moment(wire.retry_at_us);
        Ok(job)
    }
}

impl From<Attempt> for v1::Attempt {
    fn from(attempt: Attempt) -> Self {
        Self {
            id: Some(attempt.id.into()),
            worker: id_bytes(attempt.worker.as_uuid()),
            worker_name: attempt.worker_name,
            pid: attempt.pid,
            assigned_at_us: attempt.assigned_at.as_micros(),
            started_at_us: micros(attempt.started_at),
            finished_at_us: micros(attempt.finished_at),
            outcome: attempt.outcome.map(Into::into),
            log_bytes: attempt.log_bytes,
            log: Some(attempt.log.into()),
            log_dropped: attempt.log_dropped,
            residue: attempt.residue.map(Into::into),
            retry: attempt.retry.map(Into::into),
        }
    }
}

impl TryFrom<v1::Attempt> for Attempt {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Attempt) -> Result<Self, InvalidMessage> {
        let mut attempt = Self::new(
            required("id", wire.id)?,
            worker_id("worker", &wire.worker)?,
            wire.worker_name,
            Timestamp::from_micros(wire.assigned_at_us),
        );
        attempt.pid = wire.pid;
        attempt.started_at = moment(wire.started_at_us);
        attempt.finished_at = moment(wire.finished_at_us);
        attempt.outcome = optional("outcome", wire.outcome)?;
        attempt.log_bytes = wire.log_bytes;
        attempt.log = required("log", wire.log)?;
        attempt.log_dropped = wire.log_dropped;
        attempt.residue = optional("residue", wire.residue)?;
        attempt.retry = optional("retry", wire.retry)?;
        Ok(attempt)
    }
}

same_names!(RetryBudget, [Final, User, Infra, Free]);

impl From<Retry> for v1::Retry {
    fn from(retry: Retry) -> Self {
        Self {
            after: retry.after.get(),
            outcome: Some(retry.outcome.into()),
            budget: v1::RetryBudget::from(retry.budget).into(),
        }
    }
}

impl TryFrom<v1::Retry> for Retry {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Retry) -> Result<Self, InvalidMessage> {
        Ok(Self::new(
            attempt_number("after", wire.after)?,
            required("outcome", wire.outcome)?,
            choice::<v1::RetryBudget, _>("budget", wire.budget)?,
        ))
    }
}

impl From<JobQuery> for v1::ListJobsRequest {
    fn from(query: JobQuery) -> Self {
        let state = query.state.map(v1::JobState::from);
        Self {
            state: state.unwrap_or_default().into(),
            queue: query.queue,
            labels: entries(query.labels),
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
            after: query.after,
        }
    }
}

impl TryFrom<v1::ListJobsRequest> for JobQuery {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ListJobsRequest) -> Result<Self, InvalidMessage> {
        let mut query = Self::default();
        query.state = match wire.state {
            0 => None,
            state => Some(choice::<v1::JobState, _>("state", state)?),
        };
        query.queue = wire.queue;
        query.labels = map("labels", wire.labels)?;
        query.limit = usize::try_from(wire.limit).unwrap_or(usize::MAX);
        query.after = wire.after;
        Ok(query)
    }
}

impl From<JobPage> for v1::ListJobsResponse {
    fn from(page: JobPage) -> Self {
        Self {
            jobs: page.jobs.into_iter().map(Into::into).collect(),
            next: page.next,
        }
    }
}

impl TryFrom<v1::ListJobsResponse> for JobPage {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ListJobsResponse) -> Result<Self, InvalidMessage> {
        Ok(Self::new(list("jobs", wire.jobs, usize::MAX)?, wire.next))
    }
}

impl TryFrom<v1::StopJobRequest> for StopOptions {
    type Error = InvalidMessage;

    fn try_from(wire: v1::StopJobRequest) -> Result<Self, InvalidMessage> {
        let grace = wire.grace_ms.map(|grace| duration("grace", grace));
        Ok(Self::new(grace.transpose()?, wire.force))
    }
}

impl TryFrom<v1::StopJobResponse> for JobState {
    type Error = InvalidMessage;

    fn try_from(wire: v1::StopJobResponse) -> Result<Self, InvalidMessage> {
        choice::<v1::JobState, _>("state", wire.state)
    }
}

impl From<LogQuery> for v1::LogsRequest {
    fn from(query: LogQuery) -> Self {
        Self {
            job: id_bytes(query.job.as_uuid()),
            attempt: query.attempt.map(AttemptNumber::get),
            from: query.from,
            tail: query.tail,
            follow: query.follow,
            tail_lines: query.tail_lines,
            stream: query
                .stream
                .map(|stream| v1::OutputStream::from(stream).into()),
        }
    }
}

impl TryFrom<v1::LogsRequest> for LogQuery {
    type Error = InvalidMessage;

    fn try_from(wire: v1::LogsRequest) -> Result<Self, InvalidMessage> {
        let number = |number| attempt_number("attempt", number);
        let mut query = Self::new(job_id("job", &wire.job)?);
        query.attempt = wire.attempt.map(number).transpose()?;
        query.from = wire.from;
        query.tail = wire.tail;
        query.follow = wire.follow;
        query.tail_lines = wire.tail_lines;
        let stream = |stream| choice::<v1::OutputStream, _>("stream", stream);
        query.stream = wire.stream.map(stream).transpose()?;
        Ok(query)
    }
}

impl From<LogItem> for v1::LogItem {
    fn from(item: LogItem) -> Self {
        use v1::log_item::Kind;

        let kind = match item {
            LogItem::Chunk { attempt, chunk } => Some(Kind::Chunk(v1::AttemptChunk {
                attempt: Some(attempt.into()),
                chunk: Some(chunk.into()),
            })),
            LogItem::AttemptEnd { attempt, log } => Some(Kind::AttemptEnd(v1::AttemptLogEnd {
                attempt: Some(attempt.into()),
                end: log.end,
                state: Some(log.state.into()),
                dropped: log.dropped,
            })),
            LogItem::End { outcome } => Some(Kind::End(v1::LogStreamEnd {
                outcome: outcome.map(Into::into),
            })),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::LogItem> for LogItem {
    type Error = InvalidMessage;

    fn try_from(wire: v1::LogItem) -> Result<Self, InvalidMessage> {
        use v1::log_item::Kind;

        Ok(match kind(wire.kind)? {
            Kind::Chunk(chunk) => Self::Chunk {
                attempt: required("chunk.attempt", chunk.attempt)?,
                chunk: required("chunk.chunk", chunk.chunk)?,
            },
            Kind::AttemptEnd(end) => {
                let mut log = LogStatus::open(end.end);
                log.state = required("attempt_end.state", end.state)?;
                log.dropped = end.dropped;
                Self::AttemptEnd {
                    attempt: required("attempt_end.attempt", end.attempt)?,
                    log,
                }
            }
            Kind::End(end) => Self::End {
                outcome: optional("end.outcome", end.outcome)?,
            },
        })
    }
}

/// How to stop a job, as a message.
pub(crate) fn stop_request(id: JobId, options: StopOptions) -> v1::StopJobRequest {
    v1::StopJobRequest {
        id: id_bytes(id.as_uuid()),
        grace_ms: options.grace.map(millis),
        force: options.force,
    }
}
