//! What supervision costs by itself: the process executor and its supervisor, without a master, a network and a store.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Clock, Executor, ExecutorSpec, JobId, JobSpec,
    Outcome, Output, OutputSink, OutputStream, PROCESS_EXECUTOR, ValidSpec,
};
use jobyard_executor::{Events, ProcessConfig, ProcessExecutor, SupervisorEvent, SupervisorHandle};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::PROGRAM;

/// Keeps `window` attempts of [`PROGRAM`] running until this many have succeeded, with their files below `dir`, and
/// says how long that took. Needs a Tokio runtime with several threads, as a worker has.
pub async fn run_many(jobs: usize, window: usize, dir: &Path) -> Result<Duration> {
    // Two reports for each attempt that runs: nobody waits.
    let (events, mut reports) = mpsc::channel(2 * window);
    let bench = Bench::new(events)?;
    let mut handles = Vec::with_capacity(jobs);
    let begun = Instant::now();
    let mut finished = 0;
    while finished < jobs {
        while handles.len() < jobs && handles.len() - finished < window {
            handles.push(bench.start(dir));
        }
        let (attempt, report) = reports.recv().await.context("the supervisors are gone")?;
        if let SupervisorEvent::Finished(ending) = report {
            if ending.outcome != Outcome::Succeeded {
                bail!(
                    "{attempt} ended as {}: {:?}",
                    ending.outcome,
                    ending.problem
                );
            }
            finished += 1;
        }
    }
    Ok(begun.elapsed())
}

/// What all attempts share.
struct Bench {
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    output: Output,
    spec: ValidSpec,
    events: Events,
}

impl Bench {
    fn new(events: Events) -> Result<Self> {
        let config = ProcessConfig::command([PROGRAM]).to_config_string();
        let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config));
        Ok(Self {
            executor: Arc::new(ProcessExecutor::new()),
            clock: Arc::new(SystemClock::new()),
            output: Output::new(Arc::new(Nowhere)),
            spec: spec.validate()?,
            events,
        })
    }

    fn start(&self, dir: &Path) -> SupervisorHandle {
        let job = JobId::from_uuid(Uuid::now_v7());
        let attempt = AttemptId::new(job, AttemptNumber::FIRST);
        let context = AttemptContext::new(attempt, self.spec.clone(), dir.join(job.to_string()));
        jobyard_executor::supervise(
            Arc::clone(&self.executor),
            context,
            self.output.clone(),
            Arc::clone(&self.clock),
            self.events.clone(),
        )
    }
}

/// Takes output and keeps none.
#[derive(Debug)]
struct Nowhere;

#[async_trait::async_trait]
impl OutputSink for Nowhere {
    async fn write(&self, _: OutputStream, _: bytes::Bytes) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn all_attempts_succeed_and_leave_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        run_many(20, 4, dir.path()).await.expect("they succeed");
        let left = std::fs::read_dir(dir.path()).expect("readable").count();
        assert_eq!(left, 0);
    }
}
