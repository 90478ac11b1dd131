//! Processes of Unix: everything that needs its pipes, groups and signals.

mod death_watch;
mod execution;
mod group;
#[cfg(target_os = "linux")]
mod home;
mod leader;
#[cfg(target_os = "linux")]
mod pool;
mod prepare;
mod program;
mod removal;
mod scratch;
#[cfg(target_os = "linux")]
mod slot;
mod spawn;
mod stream;

use std::path::Path;

use jobyard_core::{Execution, ExecutionTrace, Gone, InfraReason, StartError};
use tokio::task::spawn_blocking;

use super::executor::Job;

#[cfg(target_os = "linux")]
pub(crate) use death_watch::DeathWatch;
#[cfg(target_os = "linux")]
pub(super) use pool::Pool;
#[cfg(target_os = "linux")]
pub(super) use prepare::{Find, Prepared, explain_failed, is_plain, no_directories, prepare};
#[cfg(target_os = "linux")]
pub(super) use scratch::OUTPUT;
pub(super) use scratch::Scratch;

/// Starts an attempt on a thread where it may block: directories are made, and `posix_spawn` waits for the exec. If
/// this future is dropped, the thread goes on, and what it hands to nobody ends itself when it is dropped.
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

/// Ends what an earlier life of this program left of an attempt.
pub(super) async fn end_left_over(base: &Path, trace: Option<ExecutionTrace>) -> Gone {
    let ended = match trace {
        Some(trace) => group::end_left_over(&trace).await,
        None => group::Swept::default(),
    };
    Scratch::left_over(base).remove().await;
    Gone::new(ended.killed)
}

/// A user and a group.
type Owner = (u32, u32);

/// The name of the directory in which a job runs.
const WORK: &str = "work";
/// The name of that for its temporary files.
const TMP: &str = "tmp";
/// The mode of directories that nobody else may look into.
const PRIVATE: u32 = 0o700;
