//! The client: it submits jobs that print, and reads what they print.

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use jobyard_core::{
    Caller, ExecutorSpec, JobId, JobSpec, Jobs, LogItem, LogQuery, LogState, LogStatus, LogStream,
    NewJob, Outcome, PROCESS_EXECUTOR, SecretText,
};
use jobyard_transport::GrpcControl;
use uuid::Uuid;

use crate::printer::Printer;

/// Submits a job that is given this many secrets, none of which it prints.
pub(crate) async fn submit(
    control: &GrpcControl,
    printer: &Printer,
    secrets: usize,
) -> Result<JobId> {
    let config = serde_json::json!({ "command": printer.command()? }).to_string();
    let mut spec = JobSpec::new(ExecutorSpec::new(PROCESS_EXECUTOR, config));
    spec.log_limit = LOG_LIMIT;
    spec.secret_env = (0..secrets)
        .map(|number| {
            let value = format!("kept-to-itself-{number}-{}", Uuid::now_v7());
            (format!("SECRET_{number}"), SecretText::new(value))
        })
        .collect();
    let id = JobId::from_uuid(Uuid::now_v7());
    let job = NewJob::new(id, spec.validate()?);
    let submitted = control.submit(&Caller::host(), vec![job]).await?;
    ensure!(submitted.len() == 1, "the job was not answered");
    Ok(id)
}

/// How many secrets a job has in the rows with masking.
pub(crate) const SECRETS: usize = 10;

/// Above all that is printed here.
const LOG_LIMIT: u64 = 1 << 40;

/// Opens the log of a job, from this byte on.
pub(crate) async fn follow(control: &GrpcControl, job: JobId, from: u64) -> Result<LogStream> {
    let mut query = LogQuery::new(job);
    query.follow = true;
    query.from = from;
    Ok(control.logs(&Caller::host(), query).await?)
}

/// Reads to the end, which is where the whole log is durable, shows each piece, and says how many bytes came. A job that
/// failed, or a log that is not complete, is an error.
pub(crate) async fn read(mut log: LogStream, mut show: impl FnMut(&[u8])) -> Result<u64> {
    let mut bytes = 0;
    while let Some(item) = log.next().await {
        match item? {
            LogItem::Chunk { chunk, .. } => {
                bytes += chunk.bytes.len() as u64;
                show(&chunk.bytes);
            }
            LogItem::AttemptEnd { log, .. } => check(log)?,
            LogItem::End { outcome } => {
                ensure!(
                    outcome == Some(Outcome::Succeeded),
                    "the job ended as {outcome:?}"
                );
                return Ok(bytes);
            }
            _ => {}
        }
    }
    bail!("the log has no end")
}

fn check(log: LogStatus) -> Result<()> {
    ensure!(
        log.state == LogState::Complete && log.dropped == 0,
        "the log is not complete: {log:?}"
    );
    Ok(())
}

/// Runs a job that prints next to nothing: then the worker is there, and all programs have been read from disk.
pub(crate) async fn warm_up(control: &GrpcControl) -> Result<()> {
    let printer = Printer::Bulk { bytes: 1 };
    let job = submit(control, &printer, 0).await?;
    let log = follow(control, job, 0).await?;
    let bytes = read(log, |_| {}).await.context("the first job")?;
    ensure!(bytes == 1, "a byte is missing");
    Ok(())
}
