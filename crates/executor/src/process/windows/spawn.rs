//! Starts the program of an attempt.

use std::fs::File;
use std::io::{self, PipeReader, pipe};
use std::process::Stdio;

use jobyard_core::{OutputStream, StartError};
use process_wrap::tokio::{
    ChildWrapper, CommandWrap, CreationFlags, JobObject as InJobObject, KillOnDrop,
};
use windows::Win32::System::Threading::CREATE_NO_WINDOW;

use super::super::OUTPUT_DRAIN;
use super::super::executor::Job;
use super::execution::{Body, ProcessExecution};
use super::failure::{explain_program, worker_failure};
use super::job_object::JobObject;
use super::prepare::{Prepared, prepare};
use super::stream;

/// Makes the directories, finds the program and starts it. Blocks. Needs a runtime, for the tasks that serve it.
pub(super) fn spawn(job: &Job) -> Result<ProcessExecution, StartError> {
    let prepared = prepare(job)?;
    let (pipes, child) = run(&prepared, job.context.spec.merge)?;
    let mut body = Body {
        job_object: JobObject::new(child),
        pump: None,
        drain: job.drain(OUTPUT_DRAIN),
        scratch: prepared.scratch,
        unenforced: job.unenforced.clone(),
    };
    match stream::pump(pipes, &job.output, &job.masks()) {
        Ok(pump) => {
            body.pump = Some(pump);
            Ok(ProcessExecution::new(body))
        }
        Err(error) => {
            // Dropping the execution ends it.
            drop(ProcessExecution::new(body));
            Err(worker_failure("the output cannot be read", &error))
        }
    }
}

type Pipes = Vec<(OutputStream, PipeReader)>;

/// Starts the program. It is in the job object before it does anything.
fn run(prepared: &Prepared, merge: bool) -> Result<(Pipes, Box<dyn ChildWrapper>), StartError> {
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
    let stdin = match &prepared.stdin {
        None => Stdio::null(),
        // Removed with the rest: while it is open, its name cannot be had again.
        Some(file) => File::open(file)
            .map(Stdio::from)
            .map_err(|error| worker_failure("the standard input could not be opened", &error))?,
    };
    // The command holds our copies of the writing ends until it is dropped at the end of this function.
    let mut command = CommandWrap::with_new(&prepared.program, |command| {
        command
            .args(&prepared.arguments)
            .env_clear()
            .envs(&prepared.env)
            .current_dir(&prepared.dir)
            .stdin(stdin)
            .stdout(out_writer)
            .stderr(err_writer);
    });
    command
        // A console of its own: Ctrl-C in ours is not meant for jobs.
        .wrap(CreationFlags(CREATE_NO_WINDOW))
        // Has the job object end everything in it when it is closed, also if that is because we die.
        .wrap(KillOnDrop)
        .wrap(InJobObject);
    match command.spawn() {
        Ok(child) => Ok((pipes, child)),
        Err(error) => Err(explain_program(&prepared.program, &error)),
    }
}
