//! Starting.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{AttemptId, Execution, InfraReason, OutputPlace, StartError, StartFailure};
use jobyard_launcher::protocol::{self, Launch, LaunchFailure};
use rustix::io::Errno;
use tokio::task::{JoinError, spawn_blocking};

use super::super::executor::Job;
use super::super::unix::{
    Find, OUTPUT, Prepared, Scratch, explain_failed, is_plain, no_directories, prepare,
};
use super::copier::Copier;
use super::execution::LaunchedExecution;
use crate::launcher::{Launcher, Stage};

/// Starts an attempt. If this future is dropped, what was begun is ended: until the launcher is asked, that is to remove
/// files, and from then on, without anything to wait for in between, an execution that ends itself when it is dropped.
pub(crate) async fn start(
    launcher: Launcher,
    mut job: Box<Job>,
) -> Result<Box<dyn Execution>, StartError> {
    let attempt = job.context.attempt;
    refuse_what_runs(&launcher, attempt)?;
    let prepared = if let Some(prepared) = at_once(&job) {
        prepared?
    } else {
        let prepared = spawn_blocking(move || (with_time(&job), job)).await;
        let (prepared, same) = prepared.map_err(|error| interrupted(&error))?;
        job = same;
        prepared?
    };
    let current = launcher.keeper().current().await;
    let link = current.map_err(|error| StartError::Worker {
        reason: InfraReason::WorkerFault,
        problem: error.to_string(),
    })?;
    let place = job.output.place();
    let told = place.is_some().then(|| job.output.clone());
    let (launch, mut scratch) = describe(&job, prepared, place);
    let program = launch.program.clone();
    let own_output = told.is_none().then(|| launch.output.clone());
    let Job {
        output, unenforced, ..
    } = *job;

    let room = link.room().await;
    scratch.hand_over();
    let cell = link.start(room, launch, told);
    let copier = own_output.map(|dir| Copier::start(dir, cell.progress(), output.clone()));
    let execution = LaunchedExecution::new(
        &launcher,
        link,
        Arc::clone(&cell),
        attempt,
        scratch,
        output.clone(),
    )
    .with_unenforced(unenforced)
    .with_copier(copier);
    let stage = cell.reached(|stage| *stage != Stage::Asked).await;
    match refusal(&program, stage).await {
        Some(error) => {
            if cell.is_cut_short() {
                output.cut_short();
            }
            execution.discard().await;
            Err(error)
        }
        None => Ok(Box::new(execution)),
    }
}

/// Prepares a job without asking the file system for anything. `None`: this one needs it.
fn at_once(job: &Job) -> Option<Result<Prepared, StartError>> {
    if !is_plain(job) {
        return None;
    }
    let context = &job.context;
    let scratch = Scratch::at_once(&context.scratch, job.owner(), job.pool()?, context.attempt)?;
    Some(prepare(job, scratch, Find::AfterFailure))
}

/// Prepares a job. Blocks.
fn with_time(job: &Job) -> Result<Prepared, StartError> {
    let context = &job.context;
    let scratch = match job.pool() {
        Some(pool) => Scratch::pooled(&context.scratch, job.owner(), pool, context.attempt),
        None => Scratch::create(&context.scratch, job.owner()),
    };
    let scratch = scratch.map_err(|error| no_directories(job, &error))?;
    prepare(job, scratch, Find::AfterFailure)
}

/// Why the first answer to a start means that nothing runs. What may still run is no case for an error: it is handed
/// out as an execution that is lost, and its clean-up says so.
async fn refusal(program: &Path, answer: Stage) -> Option<StartError> {
    match answer {
        Stage::Refused(failure) => Some(explain(program, &failure).await),
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
        Some((_, cell)) if !cell.look(Stage::is_final) => Err(StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the attempt {attempt} runs already"),
        }),
        _ => Ok(()),
    }
}

fn describe(job: &Job, prepared: Prepared, place: Option<OutputPlace>) -> (Launch, Scratch) {
    let spec = &job.context.spec;
    let own = || OutputPlace::new(prepared.scratch.file(OUTPUT), spec.log_limit);
    let OutputPlace { dir, limit, .. } = place.unwrap_or_else(own);
    let mut launch = Launch::new(
        job.context.attempt,
        prepared.program,
        prepared.argv,
        prepared.place.dir,
        if dir.is_absolute() {
            dir
        } else {
            std::path::absolute(&dir).unwrap_or(dir)
        },
    );
    launch.env = prepared.env;
    launch.stdin = prepared.stdin;
    launch.merge = spec.merge;
    launch.output_limit = limit;
    launch.drain_ms = u64::try_from(job.drain(DRAIN).as_millis()).unwrap_or(u64::MAX);
    launch.limits = spec.effective_limits();
    launch.user = job.user.as_ref().map(|user| user.ids.clone());
    launch.isolation = job.isolation().clone();
    launch.until = job.context.until;
    launch.start_by = job.context.start_by;
    launch.masks = spec.secret_env.values().cloned().collect();
    (launch, prepared.scratch)
}

async fn explain(program: &Path, failure: &LaunchFailure) -> StartError {
    let problem = failure.problem.clone();
    // No failure of the system has the number 0, and some have none.
    let is_short = [
        Errno::AGAIN,
        Errno::NOMEM,
        Errno::NOSPC,
        Errno::MFILE,
        Errno::NFILE,
    ]
    .iter()
    .any(|errno| errno.raw_os_error() == failure.errno);
    match failure.stage {
        // What the machine is short of is no fault of the directory.
        protocol::Stage::Directory if !is_short => StartError::Job {
            cause: StartFailure::BadDirectory,
            problem,
        },
        protocol::Stage::Program => explain_execution(program, failure.errno).await,
        protocol::Stage::Expired => StartError::Worker {
            reason: InfraReason::NeverStarted,
            problem,
        },
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

async fn explain_execution(program: &Path, errno: i32) -> StartError {
    let program = program.to_owned();
    let explained = spawn_blocking(move || explain_failed(&program, errno)).await;
    explained.unwrap_or_else(|error| interrupted(&error))
}

/// A start whose thread was not started, or broke down.
fn interrupted(error: &JoinError) -> StartError {
    StartError::Worker {
        reason: InfraReason::WorkerFault,
        problem: format!("the start was interrupted: {error}"),
    }
}

/// How long the output may stay open after the main process has ended: `exec > >(tee log)` is no daemon.
const DRAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use jobyard_core::Residue;

    use super::*;

    #[tokio::test]
    async fn start_of_which_something_may_still_run_is_no_refusal() {
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
        assert!(refusal(program, lost(false)).await.is_some());
        assert_eq!(refusal(program, lost(true)).await, None);
    }
}
