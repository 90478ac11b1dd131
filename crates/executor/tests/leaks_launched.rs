//! Nothing is left in the host program of what a launcher started. Alone in its file, since it counts what the whole
//! program holds.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Executor, ExecutorSpec, Exit, JobId, JobSpec, Output,
    OutputSink, OutputStream, PROCESS_EXECUTOR,
};
use jobyard_executor::{ProcessConfig, ProcessExecutor};
use tokio::task::JoinSet;

#[path = "launched/way.rs"]
mod way;

struct Nowhere;

#[async_trait]
impl OutputSink for Nowhere {
    async fn write(&self, _stream: OutputStream, _bytes: Bytes) {}
}

async fn run_many(executor: &ProcessExecutor, base: &Path, count: usize) {
    let mut jobs = JoinSet::new();
    for _ in 0..count {
        let config = ProcessConfig::command(["/bin/true"]).to_config_string();
        let spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config)).validate();
        let job = JobId::from_uuid(uuid::Uuid::now_v7());
        let scratch = base.join(job.to_string());
        let id = AttemptId::new(job, AttemptNumber::FIRST);
        let context = AttemptContext::new(id, spec.expect("valid"), scratch);
        let executor = executor.clone();
        jobs.spawn(async move {
            let output = Output::new(Arc::new(Nowhere));
            let started = executor.start(context, output).await;
            let execution = started.expect("it starts");
            assert_eq!(execution.wait().await, Ok(Exit::Exited(0)));
            let residue = execution.cleanup().await;
            assert_eq!((residue.killed, residue.unconfirmed), (0, false));
            executor.forget(id).await;
        });
    }
    while let Some(done) = jobs.join_next().await {
        done.expect("every one of them ends well");
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_attempts_leave_no_descriptor_and_no_file() {
    let base = tempfile::tempdir().expect("a directory");
    let executor = way::executor(base.path());
    run_many(&executor, base.path(), 8).await;
    let before = open_descriptors();
    run_many(&executor, base.path(), 200).await;
    assert_eq!(open_descriptors(), before);
    drop(executor);
    let left = fs::read_dir(base.path()).expect("there").count();
    assert_eq!(left, 0, "neither files nor directories that wait");
}
