//! Master and worker inside one program: a job is submitted, followed and awaited through the same trait that a client
//! across the network would use.

#![forbid(unsafe_code)]

use std::error::Error;
use std::sync::Arc;

use futures_util::StreamExt;
use jobyard::executor::{ProcessConfig, ProcessExecutor};
use jobyard::master::{Daemon, DaemonConfig};
use jobyard::prelude::*;
use jobyard::transport::InProcess;
use jobyard::worker::agent::ShutdownMode;
use jobyard::worker::{Worker, WorkerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = tempfile::tempdir()?;
    let host = Caller::host();

    // A master with its embedded store, also reachable by others over mutual TLS.
    let daemon = Daemon::open(DaemonConfig::new(
        data.path().join("master"),
        "127.0.0.1:0".parse()?,
    ))
    .await?;
    let control = daemon.control();

    // A worker in this program: no token and no socket between the two.
    let id = daemon.master().admit_local("inside").await?;
    let transport = Arc::new(InProcess::new(id, Arc::new(daemon.master().clone())));
    let executor = Arc::new(ProcessExecutor::new());
    let worker = Worker::start(WorkerConfig::new(
        data.path().join("worker"),
        id,
        transport,
        vec![executor],
    ))
    .await?;

    // A job.
    let command =
        ProcessConfig::command(["sh", "-c", "echo hello from $JOBYARD_WORKER_NAME; exit 7"]);
    let spec = JobSpec::new(ExecutorSpec::new("process", command.to_config_string())).validate()?;
    let job = NewJob::new(new_job_id(), spec);
    let job_id = job.id;
    control.submit(&host, vec![job]).await?;

    // Its output, live, and its end.
    let mut query = LogQuery::new(job_id);
    query.follow = true;
    let (mut output, mut log) = (Vec::new(), control.logs(&host, query).await?);
    while let Some(item) = log.next().await {
        match item? {
            LogItem::Chunk { chunk, .. } => output.extend_from_slice(&chunk.bytes),
            LogItem::End { outcome } => println!("ended: {outcome:?}"),
            _ => {}
        }
    }
    println!("{}", String::from_utf8_lossy(&output));
    assert_eq!(output, b"hello from inside\n");
    let outcome = control
        .wait(&host, job_id)
        .await?
        .outcome
        .ok_or("a finished job has an outcome")?;
    assert_eq!(outcome.rule().cli_exit, 7);

    worker.shutdown(ShutdownMode::Stop).await;
    worker.wait().await;
    daemon.shutdown().await;
    Ok(())
}
