//! A worker that runs functions of this program instead of processes: one executor of one's own, and everything else
//! (queue, log, stop, retries) as ever. The executor is in `function_executor.rs`.

#![forbid(unsafe_code)]

mod function_executor;

use std::error::Error;
use std::sync::Arc;

use function_executor::FunctionExecutor;
use futures_util::StreamExt;
use jobyard::master::{Daemon, DaemonConfig};
use jobyard::prelude::*;
use jobyard::transport::InProcess;
use jobyard::worker::agent::ShutdownMode;
use jobyard::worker::{Worker, WorkerConfig};
use jobyard_core::{Output, OutputStream};

/// Prints the sum of the numbers in its argument; fails with 2 if one of them is none.
async fn sum(argument: String, output: Output) -> i32 {
    let numbers: Result<Vec<i64>, _> = argument.split(' ').map(str::parse).collect();
    let (text, code) = match numbers {
        Ok(numbers) => (format!("{}\n", numbers.iter().sum::<i64>()), 0),
        Err(error) => (format!("{argument:?}: {error}\n"), 2),
    };
    output.write(OutputStream::Stdout, text.into()).await;
    code
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = tempfile::tempdir()?;
    let master = DaemonConfig::new(data.path().join("master"), "127.0.0.1:0".parse()?);
    let daemon = Daemon::open(master).await?;
    let id = daemon.master().admit_local("inside").await?;
    let transport = Arc::new(InProcess::new(id, Arc::new(daemon.master().clone())));
    let functions = FunctionExecutor::default()
        .with("sum", sum)
        .with("forever", |_, _| std::future::pending());
    let worker = WorkerConfig::new(
        data.path().join("worker"),
        id,
        transport,
        vec![Arc::new(functions)],
    );
    let worker = Worker::start(worker).await?;

    let (control, host) = (daemon.control(), Caller::host());
    for (call, stop, printed, exit) in [
        ("sum 1 2 39", false, "42\n", 0),
        (
            "sum 1 two",
            false,
            "\"1 two\": invalid digit found in string\n",
            2,
        ),
        ("forever", true, "", 130),
        (
            "dance",
            false,
            "jobyard: function: there is none called \"dance\"\n",
            126,
        ),
    ] {
        let spec = JobSpec::new(ExecutorSpec::new("function", call)).validate()?;
        let job = NewJob::new(new_job_id(), spec);
        let job_id = job.id;
        control.submit(&host, vec![job]).await?;
        if stop {
            control.stop(&host, job_id, StopOptions::default()).await?;
        }
        let mut query = LogQuery::new(job_id);
        query.follow = true;
        let (mut output, mut log) = (Vec::new(), control.logs(&host, query).await?);
        while let Some(item) = log.next().await {
            if let LogItem::Chunk { chunk, .. } = item? {
                output.extend_from_slice(&chunk.bytes);
            }
        }
        let ended = control.wait(&host, job_id).await?;
        let outcome = ended.outcome.ok_or("a finished job has an outcome")?;
        println!(
            "{call}: {outcome}; printed {:?}",
            String::from_utf8_lossy(&output)
        );
        assert_eq!((output, outcome.rule().cli_exit), (printed.into(), exit));
    }

    worker.shutdown(ShutdownMode::Stop).await;
    worker.wait().await;
    daemon.shutdown().await;
    Ok(())
}
