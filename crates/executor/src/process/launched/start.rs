//! Starting.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{AttemptId, Execution, InfraReason, OutputPlace, StartError, StartFailure};
use jobyard_launcher::protocol::{self, Launch, LaunchFailure};
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use super::super::executor::Job;
use super::super::unix::{OUTPUT, Prepared, explain_program, prepare};
use super::copier::Copier;
use super::execution::LaunchedExecution;
use crate::launcher::{Launcher, Stage};

/// Starts an attempt in a task of its own: if this future is dropped, the task goes on, and what it hands to nobody
/// ends itself when it is dropped.
pub(crate) async fn start(launcher: Launcher, job: Job) -> Result<Box<dyn Execution>, StartError> {
    let started = tokio::spawn(begin(launcher, job)).await;
    started.unwrap_or_else(|error| {
        Err(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the start was interrupted: {error}"),
        })
    })
}

async fn begin(launcher: Launcher, job: Job) -> Result<Box<dyn Execution>, StartError> {
    refuse_what_runs(&launcher, job.context.attempt)?;
    let prepared = spawn_blocking(move || (prepare(&job, Some(job.pool().clone())), job)).await;
    let (prepared, job) = prepared.map_err(|error| StartError::Worker {
        reason: InfraReason::WorkerFault,
        problem: format!("the start was interrupted: {error}"),
    })?;
    let prepared = prepared?;
    let link = launcher
        .keeper()
        .current()
        .await
        .map_err(|error| StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: error.to_string(),
        })?;
    let attempt = job.context.attempt;
    let place = job.output.place();
    let told = place.is_some().then(|| job.output.clone());
    let launch = describe(&job, &prepared, place);
    let program = launch.program.clone();
    let own_output = launch.output.clone();

    let cell = link.start(launch, told.clone()).await;
    let mut execution = LaunchedExecution::new(
        &launcher,
        link,
        Arc::clone(&cell),
        attempt,
        prepared.scratch,
    )
    .with_unenforced(job.unenforced);
    if told.is_none() {
        let copier = Copier::start(own_output, cell.progress(), job.output);
        execution = execution.with_copier(Some(copier));
    }
    let stage = cell.reached(|stage| *stage != Stage::Asked).await;
    match refusal(&program, stage) {
        Some(error) => {
            execution.discard().await;
            Err(error)
        }
        None => Ok(Box::new(execution)),
    }
}

/// Why the first answer to a start means that nothing runs. What may still run is no case for an error: it is handed
/// out as an execution that is lost, and its clean-up says so.
fn refusal(program: &Path, answer: Stage) -> Option<StartError> {
    match answer {
        Stage::Refused(failure) => Some(explain(program, &failure)),
        Stage::Lost {
            pid: None,
            problem,
            residue,
        } if !residue.unconfirmed => Some(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the launcher was lost during the start: {problem}"),
        }),
        _ => None,
    }
}

/// An attempt is started once. A second start would begin by removing the files of the first, and end by forgetting it.
fn refuse_what_runs(launcher: &Launcher, attempt: AttemptId) -> Result<(), StartError> {
    match launcher.keeper().find(attempt) {
        Some((_, cell)) if !cell.stage().is_final() => Err(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the attempt {attempt} runs already"),
        }),
        _ => Ok(()),
    }
}

fn describe(job: &Job, prepared: &Prepared, place: Option<OutputPlace>) -> Launch {
    let spec = &job.context.spec;
    let own = || OutputPlace::new(prepared.scratch.file(OUTPUT), spec.log_limit);
    let OutputPlace { dir, limit, .. } = place.unwrap_or_else(own);
    let mut launch = Launch::new(
        job.context.attempt,
        prepared.program.clone(),
        prepared.argv.clone(),
        prepared.place.dir.clone(),
        std::path::absolute(&dir).unwrap_or(dir),
    );
    launch.env = prepared.env.clone();
    launch.stdin.clone_from(&prepared.stdin);
    launch.merge = spec.merge;
    launch.output_limit = limit;
    launch.drain_ms = u64::try_from(job.drain(DRAIN).as_millis()).unwrap_or(u64::MAX);
    launch.limits = spec.effective_limits();
    launch.user = job.user.as_ref().map(|user| user.ids.clone());
    launch.isolation = job.isolation().clone();
    launch
}

fn explain(program: &Path, failure: &LaunchFailure) -> StartError {
    let problem = failure.problem.clone();
    let is_short = matches!(
        Errno::from_raw_os_error(failure.errno),
        Errno::AGAIN | Errno::NOMEM | Errno::NOSPC | Errno::MFILE | Errno::NFILE
    );
    match failure.stage {
        // What the machine is short of is no fault of the directory.
        protocol::Stage::Directory if !is_short => StartError::Job {
            cause: StartFailure::BadDirectory,
            problem,
        },
        protocol::Stage::Program => explain_program(program, failure.errno),
        protocol::Stage::Resources => StartError::Worker {
            reason: InfraReason::NoResources,
            problem,
        },
        _ if is_short => StartError::Worker {
            reason: InfraReason::NoResources,
            problem,
        },
        _ => StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem,
        },
    }
}

/// How long the output may stay open after the main process has ended: `exec > >(tee log)` is no daemon.
const DRAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use jobyard_core::Residue;

    use super::*;

    #[test]
    fn start_of_which_something_may_still_run_is_no_refusal() {
        let lost = |unconfirmed| {
            let mut residue = Residue::default();
            residue.unconfirmed = unconfirmed;
            Stage::Lost {
                pid: None,
                problem: "its launcher died".to_owned(),
                residue: Box::new(residue),
            }
        };
        let program = Path::new("/bin/true");
        assert!(refusal(program, lost(false)).is_some());
        assert_eq!(refusal(program, lost(true)), None);
    }
}
