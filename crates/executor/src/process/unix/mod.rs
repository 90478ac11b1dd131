//! Processes of Unix: everything that needs its pipes, groups and signals.

mod execution;
mod group;
mod leader;
mod program;
mod pump;
mod scratch;
mod spawn;

use std::path::PathBuf;

use jobyard_core::{
    AttemptContext, Execution, ExecutionTrace, Gone, InfraReason, Output, StartError,
};
use tokio::task::spawn_blocking;

use super::{ProcessConfig, ProcessExecutor};
use scratch::Scratch;

/// Starts an attempt on a thread where it may block: directories are made, and `posix_spawn` waits for the exec. If
/// this future is dropped, the thread goes on, and what it hands to nobody ends itself when it is dropped.
pub(super) async fn start(
    executor: ProcessExecutor,
    config: ProcessConfig,
    context: AttemptContext,
    output: Output,
) -> Result<Box<dyn Execution>, StartError> {
    match spawn_blocking(move || spawn::spawn(&executor, &config, &context, &output)).await {
        Ok(Ok(execution)) => Ok(Box::new(execution)),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the start was interrupted: {error}"),
        }),
    }
}

/// Ends what an earlier life of this program left of an attempt.
pub(super) async fn end_left_over(scratch: PathBuf, trace: Option<ExecutionTrace>) -> Gone {
    let ended = match trace {
        Some(trace) => group::end_left_over(&trace).await,
        None => group::Swept::default(),
    };
    Scratch::left_over(scratch).remove().await;
    Gone::new(ended.killed)
}
