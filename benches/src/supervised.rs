//! What supervision costs by itself: an executor and its supervisor, without a master, a network and a store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Clock, Executor, ExecutorSpec, JobId, JobSpec,
    Limits, Outcome, Output, OutputPlace, OutputSink, OutputStream, PROCESS_EXECUTOR, ValidSpec,
};
use jobyard_executor::{Events, ProcessConfig, SupervisorEvent, SupervisorHandle};
use tokio::sync::mpsc;
use uuid::Uuid;

/// One executor with one job, to be run again and again.
#[derive(Debug)]
pub struct Supervised {
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    spec: ValidSpec,
    dir: PathBuf,
}

impl Supervised {
    /// Attempts of this program by this executor, with their files below `dir`.
    pub fn new(executor: Arc<dyn Executor>, program: &Path, dir: &Path) -> Result<Self> {
        let program = program.to_str().context("the program has an odd name")?;
        let config = ProcessConfig::command([program]).to_config_string();
        let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config));
        Ok(Self {
            executor,
            clock: Arc::new(SystemClock::new()),
            spec: spec.validate()?,
            dir: dir.to_owned(),
        })
    }

    /// With limits for each attempt.
    pub fn with_limits(mut self, limits: Limits) -> Result<Self> {
        let mut spec = self.spec.to_spec();
        spec.limits = limits;
        self.spec = spec.validate()?;
        Ok(self)
    }

    /// Keeps `window` attempts running until this many have succeeded, and says how long that took. Needs a Tokio
    /// runtime.
    pub async fn run_many(&self, jobs: usize, window: usize) -> Result<Duration> {
        // Two reports for each attempt that runs: nobody waits.
        let (events, mut reports) = mpsc::channel(2 * window);
        let mut handles = HashMap::with_capacity(window);
        let mut started = 0;
        let begun = Instant::now();
        let mut finished = 0;
        while finished < jobs {
            while started < jobs && handles.len() < window {
                let (attempt, handle) = self.start(events.clone());
                handles.insert(attempt, handle);
                started += 1;
            }
            let (attempt, report) = reports.recv().await.context("the supervisors are gone")?;
            if self.take(attempt, report).await? {
                handles.remove(&attempt);
                finished += 1;
            }
        }
        Ok(begun.elapsed())
    }

    /// Runs this many attempts one after the other, and says how long each took, from asking for it to its outcome.
    pub async fn run_one_by_one(&self, jobs: usize) -> Result<Vec<Duration>> {
        let (events, mut reports) = mpsc::channel(2);
        let mut took = Vec::with_capacity(jobs);
        while took.len() < jobs {
            let begun = Instant::now();
            let (_, handle) = self.start(events.clone());
            loop {
                let (attempt, report) = reports.recv().await.context("the supervisor is gone")?;
                if matches!(report, SupervisorEvent::Finished(_)) {
                    took.push(begun.elapsed());
                }
                if self.take(attempt, report).await? {
                    break;
                }
            }
            drop(handle);
        }
        Ok(took)
    }

    /// Takes a report as a worker does, and says whether it was the last of its attempt.
    async fn take(&self, attempt: AttemptId, report: SupervisorEvent) -> Result<bool> {
        let SupervisorEvent::Finished(ending) = report else {
            return Ok(false);
        };
        if ending.outcome != Outcome::Succeeded {
            let (outcome, problem) = (ending.outcome, ending.problem);
            bail!("{attempt} ended as {outcome}: {problem:?}");
        }
        self.executor.forget(attempt).await;
        Ok(true)
    }

    fn start(&self, events: Events) -> (AttemptId, SupervisorHandle) {
        let job = JobId::from_uuid(Uuid::now_v7());
        let attempt = AttemptId::new(job, AttemptNumber::FIRST);
        let path = |name: &str| self.dir.join(name).join(job.to_string());
        let context = AttemptContext::new(attempt, self.spec.clone(), path("scratch"));
        let output = OutputPlace::new(path("output"), u64::MAX);
        let handle = jobyard_executor::supervise(
            Arc::clone(&self.executor),
            context,
            Output::new(Arc::new(Place(output))),
            Arc::clone(&self.clock),
            events,
        );
        (attempt, handle)
    }
}

/// Has a place for output, as the spool of a worker, and keeps none of what it is handed.
#[derive(Debug)]
struct Place(OutputPlace);

#[async_trait::async_trait]
impl OutputSink for Place {
    async fn write(&self, _: OutputStream, _: bytes::Bytes) {}

    fn place(&self) -> Option<OutputPlace> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use jobyard_executor::ProcessExecutor;

    use super::*;
    use crate::PROGRAM;

    #[tokio::test(flavor = "multi_thread")]
    async fn all_attempts_succeed_and_leave_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let executor = Arc::new(ProcessExecutor::new());
        let bench = Supervised::new(executor, Path::new(PROGRAM), dir.path()).expect("a bench");
        bench.run_many(20, 4).await.expect("they succeed");
        let one_by_one = bench.run_one_by_one(3).await.expect("they succeed");
        assert_eq!(one_by_one.len(), 3);
        let left = std::fs::read_dir(dir.path().join("scratch")).expect("there");
        assert_eq!(left.count(), 0);
    }
}
