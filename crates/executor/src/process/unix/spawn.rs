//! Starts the program of an attempt.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, Write as _, pipe};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jobyard_core::{AttemptContext, InfraReason, Output, OutputStream, StartError, StartFailure};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::super::environment::Baseline;
use super::super::{ProcessConfig, ProcessExecutor};
use super::execution::ProcessExecution;
use super::group;
use super::leader::Leader;
use super::program::find_program;
use super::pump::Pump;
use super::scratch::Scratch;

/// Makes the directories, finds the program and starts it. Blocks. Needs a runtime, for the tasks that serve it.
pub(super) fn spawn(
    executor: &ProcessExecutor,
    config: &ProcessConfig,
    context: &AttemptContext,
    output: &Output,
) -> Result<ProcessExecution, StartError> {
    let scratch = Scratch::create(&context.scratch).map_err(|error| {
        let what = format!(
            "the directory {} could not be made",
            context.scratch.display()
        );
        worker_failure(&what, &error)
    })?;
    let tmp = scratch.tmp();
    let baseline = Baseline {
        path: executor.path(),
        home: executor.home(),
        tmp: &tmp,
    };
    let env = baseline
        .build(&context.env, config)
        .map_err(|error| StartError::Worker {
            reason: InfraReason::WorkerFault,
            problem: format!("the worker's environment cannot be used: {error}"),
        })?;
    let dir = working_directory(config, &scratch)?;
    let argv = arguments(config, &scratch)?;
    let path = env.get("PATH").map_or("", String::as_str);
    let program = find_program(&argv[0], path, &dir)?;
    let stdin = standard_input(config, &scratch)?;
    let (pipes, child) = run(Launch {
        program,
        argv,
        env,
        dir,
        stdin,
        merge: context.spec.merge,
    })?;
    let leader = Leader::new(child).map_err(|(child, error)| {
        end_unwatched(child);
        worker_failure("the process cannot be watched", &error)
    })?;
    let attended = Pump::start(pipes, output);
    let start_time = group::start_time(leader.pid());
    let execution = ProcessExecution::new(leader, start_time, scratch, executor.drain());
    match attended {
        Ok(pump) => Ok(execution.with_pump(pump)),
        // Dropping the execution ends it.
        Err(error) => Err(worker_failure("the output cannot be read", &error)),
    }
}

/// All that the system has to be told.
struct Launch {
    program: PathBuf,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    dir: PathBuf,
    stdin: Stdio,
    merge: bool,
}

type Pipes = Vec<(OutputStream, PipeReader)>;

/// Starts the program. No function of ours runs between fork and exec, which keeps the fast way open, and every
/// descriptor but the three is closed by the exec.
fn run(launch: Launch) -> Result<(Pipes, Child), StartError> {
    let no_pipe = |error: io::Error| worker_failure("no pipe could be made", &error);
    let (out_reader, out_writer) = pipe().map_err(no_pipe)?;
    let mut pipes = vec![(OutputStream::Stdout, out_reader)];
    let err_writer = if launch.merge {
        out_writer.try_clone().map_err(no_pipe)?
    } else {
        let (err_reader, err_writer) = pipe().map_err(no_pipe)?;
        pipes.push((OutputStream::Stderr, err_reader));
        err_writer
    };
    let mut command = Command::new(&launch.program);
    command
        .arg0(&launch.argv[0])
        .args(&launch.argv[1..])
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.dir)
        .process_group(0)
        .stdin(launch.stdin)
        .stdout(out_writer)
        .stderr(err_writer);
    // The command holds our copies of the writing ends until it is dropped here.
    match spawn_patiently(&mut command) {
        Ok(child) => Ok((pipes, child)),
        Err(error) => Err(explain(&launch.program, &error)),
    }
}

/// Spawns. A program that somebody still holds open for writing is tried again: most often that is a copy of the
/// descriptor in a process that another thread is about to start, and gone after its exec.
fn spawn_patiently(command: &mut Command) -> io::Result<Child> {
    for pause in BUSY_PAUSES_MS {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(pause));
            }
            other => return other,
        }
    }
    command.spawn()
}

/// Pauses between the tries of [`spawn_patiently`]: about two seconds in all, first short, since most writers are gone
/// within a millisecond.
const BUSY_PAUSES_MS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 512, 1024];

/// Where the job runs.
fn working_directory(config: &ProcessConfig, scratch: &Scratch) -> Result<PathBuf, StartError> {
    let work = scratch.work();
    let Some(dir) = &config.dir else {
        return Ok(work);
    };
    let bad = |problem: &str| StartError::Job {
        cause: StartFailure::BadDirectory,
        problem: format!("{dir}: {problem}"),
    };
    if Path::new(dir).is_relative() {
        // The checked configuration has no `..`, and nobody else writes into a fresh directory.
        let below = work.join(dir);
        fs::create_dir_all(&below).map_err(|error| bad(&error.to_string()))?;
        return Ok(below);
    }
    // Resolved here, where links into /proc/self lead to what they name and not to a descriptor of ours.
    let real = fs::canonicalize(dir).map_err(|error| bad(&error.to_string()))?;
    if real.starts_with("/proc") || Path::new(dir).starts_with("/proc") {
        return Err(bad("a directory of the process table is not allowed"));
    }
    if !real.is_dir() {
        return Err(bad("not a directory"));
    }
    accessat(CWD, &real, Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|error| bad(&io::Error::from(error).to_string()))?;
    Ok(real)
}

/// The program and its arguments; never empty.
fn arguments(config: &ProcessConfig, scratch: &Scratch) -> Result<Vec<String>, StartError> {
    let Some(script) = &config.script else {
        return Ok(config.command.clone());
    };
    // As a file, since an argument may not be as long as a script, and everybody can read arguments.
    let file = scratch.file("script");
    write_private(&file, script)
        .map_err(|error| worker_failure("the script could not be written", &error))?;
    let file = file.to_string_lossy().into_owned();
    Ok(["/bin/sh", "-eu", &file].map(str::to_owned).to_vec())
}

/// What the job reads. A text comes from a file without a name, so that nobody has to feed it, and nothing hangs if the
/// job does not read it.
fn standard_input(config: &ProcessConfig, scratch: &Scratch) -> Result<Stdio, StartError> {
    let Some(text) = &config.stdin else {
        return Ok(Stdio::null());
    };
    let file = scratch.file("stdin");
    let open = || -> io::Result<File> {
        write_private(&file, text)?;
        let opened = File::open(&file)?;
        fs::remove_file(&file)?;
        Ok(opened)
    };
    open()
        .map(Stdio::from)
        .map_err(|error| worker_failure("the standard input could not be written", &error))
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
}

/// Ends a child that cannot be watched. It was just started and gets the one signal that nobody can ignore.
fn end_unwatched(mut child: Child) {
    let _ = group::signal(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
}

/// What the system's answer means for an existing program.
fn explain(program: &Path, error: &io::Error) -> StartError {
    let program = program.display();
    match Errno::from_io_error(error) {
        Some(Errno::TOOBIG) => StartError::Job {
            cause: StartFailure::ArgumentsTooLong,
            problem: format!(
                "{program}: arguments and environment are longer than the system takes"
            ),
        },
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
            worker_failure("no process could be started", error)
        }
        Some(Errno::TXTBSY) => StartError::Worker {
            reason: InfraReason::NoResources,
            problem: format!("{program}: somebody keeps it open for writing"),
        },
        // It was there a moment ago: what is missing is the interpreter or the loader that it names.
        Some(Errno::NOENT) => not_executable(format!("{program}: its interpreter does not exist")),
        Some(Errno::IO) => worker_failure("the program could not be read", error),
        _ => not_executable(format!("{program}: {error}")),
    }
}

fn not_executable(problem: String) -> StartError {
    StartError::Job {
        cause: StartFailure::NotExecutable,
        problem,
    }
}

fn worker_failure(what: &str, error: &io::Error) -> StartError {
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
