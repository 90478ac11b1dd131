//! Starts the program of an attempt from within this program.

use std::fs::{self, File};
use std::io::{self, PipeReader, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jobyard_core::{InfraReason, OutputStream, StartError, StartFailure};
use rustix::process::{Pid, Signal};

use super::super::OUTPUT_DRAIN;
use super::super::executor::Job;
use super::execution::ProcessExecution;
use super::group;
use super::leader::Leader;
use super::prepare::{Find, Prepared, explain_program, no_directories, prepare, worker_failure};
use super::scratch::Scratch;
use super::stream;

/// Makes the directories, finds the program and starts it. Blocks. Needs a runtime, for the tasks that serve it.
pub(super) fn spawn(job: &Job) -> Result<ProcessExecution, StartError> {
    let owner = job.owner();
    let scratch = Scratch::create(&job.context.scratch, owner)
        .map_err(|error| no_directories(job, &error))?;
    let prepared = prepare(job, scratch, Find::Now)?;
    let (pipes, child) = run(&prepared, job.context.spec.merge)?;
    let leader = Leader::new(child).map_err(|(child, error)| {
        end_unwatched(child);
        worker_failure("the process cannot be watched", &error)
    })?;
    let attended = stream::pump(pipes, &job.output, &job.masks());
    let start_time = group::start_time(leader.pid());
    let drain = job.drain(OUTPUT_DRAIN);
    let execution = ProcessExecution::new(leader, start_time, prepared.scratch, drain)
        .with_unenforced(job.unenforced.clone());
    match attended {
        Ok(pump) => Ok(execution.with_pump(pump)),
        // Dropping the execution ends it.
        Err(error) => Err(worker_failure("the output cannot be read", &error)),
    }
}

type Pipes = Vec<(OutputStream, PipeReader)>;

/// Starts the program. No function of ours runs between fork and exec, which keeps the fast way open, and every
/// descriptor but the three is closed by the exec.
fn run(prepared: &Prepared, merge: bool) -> Result<(Pipes, Child), StartError> {
    let no_pipe = |error: io::Error| worker_failure("no pipe could be made", &error);
    let (out_reader, out_writer) = pipe().map_err(no_pipe)?;
    let mut pipes = vec![(OutputStream::Stdout, out_reader)];
    let err_writer = if merge {
        out_writer.try_clone().map_err(no_pipe)?
    } else {
        let (err_reader, err_writer) = pipe().map_err(no_pipe)?;
        pipes.push((OutputStream::Stderr, err_reader));
        err_writer
    };
    let mut command = Command::new(&prepared.program);
    command
        .arg0(&prepared.argv[0])
        .args(&prepared.argv[1..])
        .env_clear()
        .envs(&prepared.env)
        .current_dir(&prepared.place.path)
        .process_group(0)
        .stdin(standard_input(prepared)?)
        .stdout(out_writer)
        .stderr(err_writer);
    // The command holds our copies of the writing ends until it is dropped here.
    match spawn_patiently(&mut command) {
        Ok(child) => Ok((pipes, child)),
        Err(error) => Err(match error.raw_os_error() {
            Some(errno) => explain_program(&prepared.program, errno),
            None => StartError::Job {
                cause: StartFailure::NotExecutable,
                problem: format!("{}: {error}", prepared.program.display()),
            },
        }),
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

/// What the job reads. A text comes from a file without a name, so that nobody has to feed it, and nothing hangs if the
/// job does not read it.
fn standard_input(prepared: &Prepared) -> Result<Stdio, StartError> {
    let Some(file) = &prepared.stdin else {
        return Ok(Stdio::null());
    };
    let open = || -> io::Result<File> {
        let opened = File::open(file)?;
        fs::remove_file(file)?;
        Ok(opened)
    };
    open().map(Stdio::from).map_err(|error| StartError::Worker {
        reason: InfraReason::WorkerFault,
        problem: format!("the standard input could not be opened: {error}"),
    })
}

/// Ends a child that cannot be watched. It was just started and gets the one signal that nobody can ignore.
fn end_unwatched(mut child: Child) {
    let _ = group::signal(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
}
