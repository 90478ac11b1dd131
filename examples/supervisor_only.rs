//! A host that uses the job supervisor alone: it runs a command with limits and a timeout, follows its output, and stops
//! it with all that it started. No master, no network; and the host is its own launcher, so that one program is enough.
//!
//! `cargo run -p jobyard-examples --example supervisor_only`

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Executor, ExecutorSpec, JobId, JobSpec, Output,
    OutputSink, OutputStream, PROCESS_EXECUTOR, StopCause,
};
use jobyard_executor::launcher::{Launcher, LauncherCommand, run_if_asked};
use jobyard_executor::{ProcessConfig, ProcessExecutor, SupervisorEvent, supervise};
use tokio::sync::mpsc;

/// A server that forks, leaves its process group, and takes no hint.
const JOB: &str = "trap '' TERM; setsid sleep 600 & echo \"listening as $$\"; wait";

/// Hands on what the job prints.
struct Follow(mpsc::Sender<String>);

#[async_trait::async_trait]
impl OutputSink for Follow {
    async fn write(&self, _stream: OutputStream, bytes: Bytes) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = self.0.send(text).await;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before anything else: the launcher is this program, started a second time.
    run_if_asked();
    tokio::runtime::Runtime::new()?.block_on(host())
}

async fn host() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir()?;
    let command = LauncherCommand::CurrentExe;
    let launcher = Launcher::open(home.path().join("launcher"), command).await?;
    let executor = Arc::new(ProcessExecutor::launched(launcher));
    let facts = executor.facts();
    println!("holds jobs: {}", facts.containment.as_str());

    let config = ProcessConfig::script(JOB).to_config_string();
    let mut spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config));
    spec.timeout = Some(Duration::from_mins(5));
    spec.limits.memory = Some(256 << 20);
    spec.limits.processes = Some(64);
    let job = JobId::from_uuid(uuid::Uuid::now_v7());
    let id = AttemptId::new(job, AttemptNumber::FIRST);
    let context = AttemptContext::new(id, spec.validate()?, home.path().join("jobs/first"));

    let (printed, mut output) = mpsc::channel(8);
    let (events, mut reports) = mpsc::channel(8);
    let sink = Output::new(Arc::new(Follow(printed)));
    let clock = Arc::new(SystemClock::new());
    let handle = supervise(executor.clone(), context, sink, clock, events);

    // The first line tells that it is up; then it is asked to end, and killed 200 ms later with its whole tree.
    print!("it says: {}", output.recv().await.ok_or("no output")?);
    let grace = Duration::from_millis(200);
    handle.stop(StopCause::Cancelled, grace).await;
    while let Some((_, event)) = reports.recv().await {
        if let SupervisorEvent::Finished(ending) = event {
            let residue = &ending.residue;
            println!(
                "{}; killed with it: {:?}",
                ending.outcome, residue.processes
            );
            println!(
                "not enforced: {:?}; used {:?}",
                residue.unenforced, residue.usage
            );
            assert!(!residue.unconfirmed, "nothing of it runs");
        }
    }
    // What has ended is kept by the launcher until it is written down here.
    executor.forget(id).await;
    Ok(())
}
