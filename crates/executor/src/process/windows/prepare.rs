//! Everything about a job that is decided before it is started.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use jobyard_core::{InfraReason, StartError, StartFailure};

use super::super::environment::Baseline;
use super::super::executor::Job;
use super::failure::worker_failure;
use super::program::find_program;
use super::scratch::Scratch;

/// A job that can be started.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) scratch: Scratch,
    /// Absolute.
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// Where it runs. Absolute.
    pub(super) dir: PathBuf,
    /// The file that it reads; `None`: nothing.
    pub(super) stdin: Option<PathBuf>,
}

/// Makes the directories and files, and finds the program. Blocks. An error leaves nothing behind.
pub(super) fn prepare(job: &Job) -> Result<Prepared, StartError> {
    let base = &job.context.scratch;
    let scratch = Scratch::create(base).map_err(|error| {
        let what = format!("the directories {}.* could not be made", base.display());
        worker_failure(&what, &error)
    })?;
    let baseline = Baseline {
        path: job.path(),
        home: &job.home(),
        tmp: &scratch.tmp(),
        user: None,
    };
    let env = baseline
        .build(&job.context.env, &job.config, &job.context.spec.secret_env)
        .map_err(|error| StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the worker's environment cannot be used: {error}"),
        })?;
    let dir = working_directory(job, &scratch)?;
    let Some((name, arguments)) = job.config.command.split_first() else {
        return Err(StartError::Job {
            cause: StartFailure::BadConfig,
            problem: "there is nothing on Windows that runs scripts; give a command".to_owned(),
        });
    };
    let path = env
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("PATH"))
        .map_or("", |(_, path)| path.as_str());
    let program = find_program(name, path, &dir)?;
    let arguments = arguments.to_vec();
    let stdin =
        match &job.config.stdin {
            None => None,
            Some(text) => Some(scratch.write_stdin(text).map_err(|error| {
                worker_failure("the standard input could not be written", &error)
            })?),
        };
    Ok(Prepared {
        scratch,
        program,
        arguments,
        env,
        dir,
        stdin,
    })
}

fn working_directory(job: &Job, scratch: &Scratch) -> Result<PathBuf, StartError> {
    let work = scratch.work();
    let Some(dir) = &job.config.dir else {
        return Ok(work);
    };
    let bad = |problem: &str| StartError::Job {
        cause: StartFailure::BadDirectory,
        problem: format!("{dir}: {problem}"),
    };
    let dir = Path::new(dir);
    if dir.is_relative() {
        // A path with a drive and no root, or the other way round, is relative, and would replace what it is joined to.
        let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !dir.components().all(stays) {
            return Err(bad(
                "it is neither absolute nor beneath the directory of the job",
            ));
        }
        let path = work.join(dir);
        fs::create_dir_all(&path).map_err(|error| bad(&error.to_string()))?;
        return Ok(path);
    }
    if let Some(allowed) = job.allowed_dirs() {
        check_allowed(dir, allowed).map_err(|problem| bad(&problem))?;
    }
    if !dir.is_dir() {
        return Err(bad("not a directory"));
    }
    Ok(dir.to_owned())
}

/// Whether a directory is in or beneath one of these, and neither `..` nor a link leads out of it. The path itself is used
/// further, since programs do not take the form in which the system resolves it.
fn check_allowed(dir: &Path, allowed: &[PathBuf]) -> Result<(), String> {
    let climbs = dir.components().any(|part| part == Component::ParentDir);
    if climbs || !allowed.iter().any(|root| dir.starts_with(root)) {
        return Err("it lies in no directory that is allowed here".to_owned());
    }
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| error.to_string());
    let real_dir = real(dir)?;
    let mut real_roots = allowed.iter().filter_map(|root| real(root).ok());
    if real_roots.any(|root| real_dir.starts_with(root)) {
        Ok(())
    } else {
        Err("a link leads out of the directory that is allowed".to_owned())
    }
}
