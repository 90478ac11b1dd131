//! The client.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures_util::future::try_join_all;
use jobyard_core::{
    Admin, Caller, ExecutorSpec, Job, JobId, JobSpec, Jobs, MAX_SUBMIT_JOBS, NewJob, Outcome,
    PROCESS_EXECUTOR, ValidSpec,
};
use jobyard_transport::GrpcControl;
use uuid::Uuid;

use crate::PROGRAM;

/// Submits jobs of [`PROGRAM`] and waits for them. Every job that did not succeed is an error.
#[derive(Debug)]
pub struct Load<'a> {
    control: &'a GrpcControl,
    caller: Caller,
    spec: ValidSpec,
}

impl<'a> Load<'a> {
    /// For this master.
    pub fn new(control: &'a GrpcControl) -> Result<Self> {
        let config = serde_json::json!({ "command": [PROGRAM] }).to_string();
        let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config)).validate()?;
        Ok(Self {
            control,
            caller: Caller::host(),
            spec,
        })
    }

    /// Submits this many jobs in calls of the largest size, waits until all are finished, and says how long that took
    /// from the first call. A client that waited for each job would take a large part of a small machine itself, so
    /// this one waits for the `tail` jobs that were submitted last: jobs start in order, so that when these are
    /// finished no other is left, which the master's status then confirms. Each outcome is looked at afterwards.
    pub async fn run_many(&self, jobs: usize, tail: usize) -> Result<Duration> {
        let ids: Vec<JobId> = (0..jobs).map(|_| mint()).collect();
        let begun = Instant::now();
        for batch in ids.chunks(MAX_SUBMIT_JOBS) {
            self.submit(batch).await?;
        }
        self.wait_for(&ids[jobs.saturating_sub(tail)..]).await?;
        let mut took = begun.elapsed();
        let status = self.control.status(&self.caller).await?;
        let all_finished = status.jobs.values().all(|count| *count == 0);
        for part in ids.chunks(WAITS) {
            self.wait_for(part).await?;
        }
        if !all_finished {
            // One was left behind after all, for example because it was tried a second time.
            took = begun.elapsed();
        }
        Ok(took)
    }

    /// Runs this many jobs one after the other, and says how long each took from submitting it to its outcome.
    pub async fn run_one_by_one(&self, jobs: usize) -> Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(jobs);
        for _ in 0..jobs {
            let ids = [mint()];
            let begun = Instant::now();
            self.submit(&ids).await?;
            self.wait_for(&ids).await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    async fn submit(&self, ids: &[JobId]) -> Result<()> {
        let jobs = ids.iter().map(|id| NewJob::new(*id, self.spec.clone()));
        let submitted = self.control.submit(&self.caller, jobs.collect()).await?;
        ensure!(submitted.len() == ids.len(), "not all jobs were answered");
        Ok(())
    }

    async fn wait_for(&self, ids: &[JobId]) -> Result<()> {
        let waits = ids.iter().map(async |id| {
            let job = self.control.wait(&self.caller, *id).await?;
            check(&job)
        });
        try_join_all(waits).await.map(drop)
    }
}

/// How many jobs are waited for at once.
const WAITS: usize = 64;

fn mint() -> JobId {
    JobId::from_uuid(Uuid::now_v7())
}

fn check(job: &Job) -> Result<()> {
    match job.outcome {
        Some(Outcome::Succeeded) => Ok(()),
        other => bail!("job {} ended as {other:?}", job.id),
    }
}
