//! The service `Jobs`.

use std::fmt;
use std::sync::Arc;

use jobyard_core::{
    Control, ControlError, Job, JobId, JobQuery, LogItem, LogQuery, MAX_SUBMIT_JOBS, NewJob,
    StopOptions,
};
use tonic::{Request, Response, Status};

use super::caller;
use super::frames::{Frames, Load, frames};
use crate::generated::v1;
use crate::generated::v1::jobs_server::Jobs;
use crate::grpc::status::{of_control_error, of_invalid};
use crate::limits::{LOG_ITEMS_PER_MESSAGE, OUTPUT_TARGET_BYTES};
use crate::wire::{InvalidMessage, id};

/// Hands calls over to control.
#[derive(Debug)]
pub(super) struct JobsService {
    control: Arc<dyn Control>,
}

impl JobsService {
    pub(super) fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }
}

#[tonic::async_trait]
impl Jobs for JobsService {
    type LogsStream = LogFrames;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let caller = caller::client(&request)?;
        let jobs = new_jobs(request.into_inner().jobs).map_err(of_invalid)?;
        let submitted = self.control.submit(&caller, jobs).await;
        let submitted = submitted.map_err(|error| of_control_error(&error))?;
        Ok(Response::new(v1::SubmitResponse {
            jobs: submitted.into_iter().map(Into::into).collect(),
        }))
    }

    async fn get(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::Job>, Status> {
        let caller = caller::client(&request)?;
        let id = job_id(&request.into_inner().id)?;
        answer(self.control.job(&caller, id).await)
    }

    async fn list(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let caller = caller::client(&request)?;
        let query = JobQuery::try_from(request.into_inner()).map_err(of_invalid)?;
        answer(self.control.jobs(&caller, query).await)
    }

    async fn wait(
        &self,
        request: Request<v1::WaitJobRequest>,
    ) -> Result<Response<v1::Job>, Status> {
        let caller = caller::client(&request)?;
        let id = job_id(&request.into_inner().id)?;
        let job: Result<Job, _> = self.control.wait(&caller, id).await;
        answer(job)
    }

    async fn stop(
        &self,
        request: Request<v1::StopJobRequest>,
    ) -> Result<Response<v1::StopJobResponse>, Status> {
        let caller = caller::client(&request)?;
        let request = request.into_inner();
        let id = job_id(&request.id)?;
        let options = StopOptions::try_from(request).map_err(of_invalid)?;
        let state = self.control.stop(&caller, id, options).await;
        let state = state.map_err(|error| of_control_error(&error))?;
        Ok(Response::new(v1::StopJobResponse {
            state: v1::JobState::from(state).into(),
        }))
    }

    async fn logs(&self, request: Request<v1::LogsRequest>) -> Result<Response<LogFrames>, Status> {
        let caller = caller::client(&request)?;
        let query = LogQuery::try_from(request.into_inner()).map_err(of_invalid)?;
        let items = self.control.logs(&caller, query).await;
        let items = items.map_err(|error| of_control_error(&error))?;
        let message = |items: Vec<LogItem>| v1::LogsResponse::from(items);
        let load = Load {
            items: LOG_ITEMS_PER_MESSAGE,
            bytes: OUTPUT_TARGET_BYTES,
            size: output_size,
        };
        Ok(Response::new(frames(items, load, message)))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::Explanation>, Status> {
        let caller = caller::client(&request)?;
        let id = job_id(&request.into_inner().id)?;
        answer(self.control.explain(&caller, id).await)
    }

    async fn retry(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::Submitted>, Status> {
        let caller = caller::client(&request)?;
        let request = request.into_inner();
        let (id, new_id) = (job_id(&request.id)?, job_id(&request.new_id)?);
        answer(self.control.retry(&caller, id, new_id).await)
    }
}

type LogFrames = Frames<v1::LogsResponse>;

/// What a piece of output takes in a message; the few bytes beside the output itself do not count.
fn output_size(item: &LogItem) -> usize {
    match item {
        LogItem::Chunk { chunk, .. } => chunk.bytes.len(),
        _ => 0,
    }
}

fn new_jobs(jobs: Vec<v1::NewJob>) -> Result<Vec<NewJob>, InvalidMessage> {
    if jobs.len() > MAX_SUBMIT_JOBS {
        let problem = format!("at most {MAX_SUBMIT_JOBS} go in one call");
        return Err(InvalidMessage::new("jobs", problem));
    }
    let read = |(at, job)| {
        NewJob::try_from(job).map_err(|error: InvalidMessage| error.within(&format!("jobs[{at}]")))
    };
    jobs.into_iter().enumerate().map(read).collect()
}

fn job_id(bytes: &[u8]) -> Result<JobId, Status> {
    id("id", bytes, JobId::from_uuid).map_err(of_invalid)
}

/// The answer to a call, or its error.
pub(super) fn answer<C, W: From<C> + fmt::Debug>(
    done: Result<C, ControlError>,
) -> Result<Response<W>, Status> {
    match done {
        Ok(value) => Ok(Response::new(value.into())),
        Err(error) => Err(of_control_error(&error)),
    }
}
