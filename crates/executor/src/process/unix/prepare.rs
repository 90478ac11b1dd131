//! Everything about a job that is decided before it is started, whoever starts it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use jobyard_core::{InfraReason, StartError, StartFailure, mutated};
use jobyard_launcher::protocol::WorkDir;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::super::environment::Baseline;
use super::super::executor::Job;
use super::program::find_program;
use super::scratch::{SCRIPT, STDIN, Scratch};

/// A job that can be started.
#[derive(Debug)]
pub(in super::super) struct Prepared {
    pub(in super::super) scratch: Scratch,
    /// Absolute.
    pub(in super::super) program: PathBuf,
    pub(in super::super) argv: Vec<String>,
    pub(in super::super) env: BTreeMap<String, String>,
    pub(in super::super) place: Place,
    /// The file that it reads; `None`: nothing.
    pub(in super::super) stdin: Option<PathBuf>,
}

/// Where a job runs.
#[derive(Debug)]
pub(in super::super) struct Place {
    /// As a path, for those who can do no better.
    pub(in super::super) path: PathBuf,
    /// For a launcher, which makes sure of it.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "launchers are of Linux")
    )]
    pub(in super::super) dir: WorkDir,
}

/// When a program is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Find {
    /// Before it is started.
    Now,
    /// Only where that takes a search. A program that is named by its whole path is looked at if it cannot be executed, to
    /// say why: see [`explain_failed`].
    AfterFailure,
}

/// Whether nothing of a job but its directories is asked of the file system before it is started.
#[cfg(target_os = "linux")]
pub(in super::super) fn is_plain(job: &Job) -> bool {
    let config = &job.config;
    let is_whole = |program: &String| program.starts_with('/');
    config.script.is_none()
        && config.stdin.is_none()
        && config.dir.is_none()
        && config.command.first().is_some_and(is_whole)
}

/// Why the directories of a job could not be made.
pub(in super::super) fn no_directories(job: &Job, error: &io::Error) -> StartError {
    let base = job.context.scratch.display();
    worker_failure(
        &format!("the directories {base}.* could not be made"),
        error,
    )
}

/// Makes the files, and finds the program. Blocks, unless the job [is plain](is_plain) and the way to its directories is
/// known. An error leaves nothing behind.
pub(in super::super) fn prepare(
    job: &Job,
    mut scratch: Scratch,
    find: Find,
) -> Result<Prepared, StartError> {
    let tmp = scratch.tmp();
    if let (Some(user), Some(parent)) = (&job.user, tmp.parent())
        && !scratch.is_way_known()
    {
        user.check_way(parent)
            .map_err(|closed| StartError::Worker {
                reason: InfraReason::WorkerFault,
                problem: closed.to_string(),
            })?;
        scratch.on_way_seen();
    }
    let baseline = Baseline {
        path: job.path(),
        home: &job.home(),
        tmp: &tmp,
        user: job.user.as_ref().map(|user| user.name.as_str()),
    };
    let env = baseline
        .build(&job.context.env, &job.config, &job.context.spec.secret_env)
        .map_err(|error| StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the worker's environment cannot be used: {error}"),
        })?;
    let place = working_directory(job, &scratch)?;
    let argv = arguments(job, &scratch)?;
    let program = if find == Find::AfterFailure && argv[0].starts_with('/') {
        PathBuf::from(&argv[0])
    } else {
        let path = env.get("PATH").map_or("", String::as_str);
        find_program(&argv[0], path, &place.path)?
    };
    let stdin =
        match &job.config.stdin {
            None => None,
            Some(text) => Some(scratch.write(STDIN, text).map_err(|error| {
                worker_failure("the standard input could not be written", &error)
            })?),
        };
    Ok(Prepared {
        scratch,
        program,
        argv,
        env,
        place,
        stdin,
    })
}

/// What a number that the system gave for the execution of a program means that nobody may have looked at before. Blocks.
#[cfg(target_os = "linux")]
pub(in super::super) fn explain_failed(program: &Path, errno: i32) -> StartError {
    match program.to_str() {
        Some(name) => find_program(name, "", Path::new("/"))
            .err()
            .unwrap_or_else(|| explain_program(program, errno)),
        None => explain_program(program, errno),
    }
}

fn working_directory(job: &Job, scratch: &Scratch) -> Result<Place, StartError> {
    let work = scratch.work();
    let Some(dir) = &job.config.dir else {
        return Ok(Place::at(work));
    };
    let bad = |problem: &str| StartError::Job {
        cause: StartFailure::BadDirectory,
        problem: format!("{dir}: {problem}"),
    };
    let dir = Path::new(dir);
    if dir.is_relative() {
        // The checked configuration has no `..`, and nobody else writes into a fresh directory.
        let path = scratch
            .make_beneath(dir)
            .map_err(|error| bad(&error.to_string()))?;
        let dir = WorkDir::beneath(work, dir.to_owned());
        return Ok(Place { path, dir });
    }
    let place = match job.allowed_dirs() {
        None => anywhere(dir, bad)?,
        Some(allowed) => among(dir, allowed, bad)?,
    };
    // The way there is looked at again by who goes it.
    if !place.path.is_dir() {
        return Err(bad("not a directory"));
    }
    if job.user.is_none() {
        accessat(CWD, &place.path, Access::EXEC_OK, AtFlags::EACCESS)
            .map_err(|error| bad(&io::Error::from(error).to_string()))?;
    }
    Ok(place)
}

impl Place {
    fn at(path: PathBuf) -> Self {
        let dir = WorkDir::at(path.clone());
        Self { path, dir }
    }
}

/// Any directory but those of the process table, through whose links a job would get into other processes.
fn anywhere(dir: &Path, bad: impl Fn(&str) -> StartError) -> Result<Place, StartError> {
    // Resolved here, where links into /proc/self lead to what they name and not to a descriptor of ours.
    let real = fs::canonicalize(dir).map_err(|error| bad(&error.to_string()))?;
    if real.starts_with("/proc") || dir.starts_with("/proc") {
        return Err(bad("a directory of the process table is not allowed"));
    }
    Ok(Place::at(real))
}

/// A directory in or beneath one of these, which neither `..` nor a link leads out of.
fn among(
    dir: &Path,
    allowed: &[PathBuf],
    bad: impl Fn(&str) -> StartError,
) -> Result<Place, StartError> {
    let climbs = dir.components().any(|part| part == Component::ParentDir);
    let fits = |root: &&PathBuf| dir.starts_with(root);
    let deepest = |root: &&PathBuf| root.components().count();
    let root = allowed.iter().filter(fits).max_by_key(deepest);
    let Some(root) = root.filter(|_| !climbs) else {
        return Err(bad("it lies in no directory that is allowed here"));
    };
    let rest = dir.strip_prefix(root).unwrap_or(Path::new(""));
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| bad(&error.to_string()));
    let (real_root, real_dir) = (real(root)?, real(dir)?);
    if !real_dir.starts_with(&real_root) {
        return Err(bad("a link leads out of the directory that is allowed"));
    }
    let dir = if rest.as_os_str().is_empty() {
        WorkDir::at(real_root)
    } else {
        WorkDir::beneath(real_root, rest.to_owned())
    };
    Ok(Place {
        path: real_dir,
        dir,
    })
}

/// The program and its arguments; never empty.
fn arguments(job: &Job, scratch: &Scratch) -> Result<Vec<String>, StartError> {
    let Some(script) = &job.config.script else {
        return Ok(job.config.command.clone());
    };
    // As a file, since an argument may not be as long as a script, and everybody can read arguments.
    let file = scratch
        .write(SCRIPT, script)
        .map_err(|error| worker_failure("the script could not be written", &error))?;
    let file = file.to_string_lossy().into_owned();
    Ok(["/bin/sh", "-eu", &file].map(str::to_owned).to_vec())
}

/// What a number that the system gave for the execution of an existing program means.
pub(in super::super) fn explain_program(program: &Path, errno: i32) -> StartError {
    let program = program.display();
    let errno_name = io::Error::from_raw_os_error(errno);
    match Errno::from_raw_os_error(errno) {
        Errno::TOOBIG if !mutated("what is too long is a fault of the worker") => StartError::Job {
            cause: StartFailure::ArgumentsTooLong,
            problem: format!(
                "{program}: arguments and environment are longer than the system takes"
            ),
        },
        Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE
            if !mutated("a lack of processes is a fault of the job") =>
        {
            worker_failure("no process could be started", &errno_name)
        }
        Errno::TXTBSY => StartError::Worker {
            reason: InfraReason::NoResources,
            problem: format!("{program}: somebody keeps it open for writing"),
        },
        // It was there a moment ago: what is missing is the interpreter or the loader that it names.
        Errno::NOENT => not_executable(format!("{program}: its interpreter does not exist")),
        Errno::IO => worker_failure("the program could not be read", &errno_name),
        Errno::TOOBIG => worker_failure("the program could not be started", &errno_name),
        _ => not_executable(format!("{program}: {errno_name}")),
    }
}

fn not_executable(problem: String) -> StartError {
    StartError::Job {
        cause: StartFailure::NotExecutable,
        problem,
    }
}

/// A failure that is no fault of the job.
pub(in super::super) fn worker_failure(what: &str, error: &io::Error) -> StartError {
    let reason = match Errno::from_io_error(error) {
        Some(
            Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::DQUOT,
        ) => InfraReason::NoResources,
        _ => InfraReason::WorkerFault,
    };
    StartError::Worker {
        reason,
        problem: format!("{what}: {error}"),
    }
}
