//! Processes of Windows: everything that needs its job objects and its pipes.

mod execution;
mod failure;
mod job_object;
mod prepare;
mod program;
mod scratch;
mod spawn;
mod stream;

use std::path::Path;

use jobyard_core::{Execution, ExecutionTrace, Gone, InfraReason, StartError};
use tokio::task::spawn_blocking;

use self::scratch::Scratch;
use super::executor::Job;

/// Starts an attempt on a thread where it may block. If this future is dropped, the thread goes on, and what it hands to
/// nobody ends itself when it is dropped.
pub(super) async fn start(job: Job) -> Result<Box<dyn Execution>, StartError> {
    match spawn_blocking(move || spawn::spawn(&job)).await {
        Ok(Ok(execution)) => Ok(Box::new(execution)),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the start was interrupted: {error}"),
        }),
    }
}

/// Removes what an earlier life of this program left of an attempt. Its processes ended with that life, which alone had a
/// handle of their job object.
pub(super) async fn end_left_over(base: &Path, _trace: Option<ExecutionTrace>) -> Gone {
    Scratch::left_over(base).remove().await;
    Gone::new(0)
}
