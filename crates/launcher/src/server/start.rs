//! The start of an attempt.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use jobyard_core::OutputStream;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;

use super::attempt::{Attempt, Parts, part_of};
use super::life::Life;
use super::pipe::Pipe;
use super::poller::{Interest, Poller, Source};
use super::yard::{Yard, note};
use crate::cage::Cage;
use crate::journal::Record;
use crate::protocol::{Launch, LaunchFailure, Stage, WorkDir};
use crate::spool::SpoolWriter;
use crate::sys::{self, Child, Spawn};

/// The ends of an attempt's output: ours, and those for the job.
struct OutputPipes {
    ours: Vec<Pipe>,
    stdout: OwnedFd,
    /// `None`: the same as standard output.
    stderr: Option<OwnedFd>,
}

impl Yard {
    /// Forks an attempt. Whether its program is executed is heard later.
    ///
    /// # Errors
    ///
    /// Nothing of it was made, or it is gone again.
    pub(super) fn start(&mut self, launch: &Launch) -> Result<(), LaunchFailure> {
        self.admit(launch)?;
        let dir = open_dir(&launch.dir)?;
        let stdin = match &launch.stdin {
            Some(path) => Some(open_stdin(path)?),
            None => None,
        };
        let key = self.next_key();
        let pipes = OutputPipes::new(launch.merge)?;
        pipes.listen(&self.poller, key)?;
        let cage = match self.cages.take(launch.attempt, launch) {
            Ok(cage) => cage,
            Err(failure) => {
                pipes.close(&self.poller);
                return Err(failure);
            }
        };
        let stdin = stdin.as_ref().unwrap_or(&self.nothing).as_fd();
        let spawn = Spawn {
            program: &launch.program,
            argv: &launch.argv,
            env: &launch.env,
            dir: dir.as_fd(),
            stdin,
            stdout: pipes.stdout.as_fd(),
            stderr: pipes.stderr.as_ref().unwrap_or(&pipes.stdout).as_fd(),
            entry: cage.entry(),
            user: launch.user.as_ref(),
            rlimits: cage.rlimits(),
            isolation: &launch.isolation,
            starter: &self.starter,
        };
        let record = Record::Starting {
            attempt: launch.attempt,
            cage: cage.name(),
            output: launch.output.clone(),
        };
        let forked = self
            .journal
            .append(&record)
            .map_err(|error| {
                let errno = error.raw_os_error().unwrap_or_default();
                let problem = format!("nothing can be written to the journal: {error}");
                LaunchFailure::new(Stage::Resources, errno, problem)
            })
            .and_then(|()| {
                sys::spawn(&spawn).inspect_err(|_| {
                    note(
                        &mut self.journal,
                        &mut self.log,
                        &Record::NotStarted {
                            attempt: launch.attempt,
                        },
                    );
                })
            });
        match forked {
            Ok(child) => {
                self.hold(launch, key, cage, child, pipes.ours);
                Ok(())
            }
            Err(failure) => {
                drop(spawn);
                pipes.close(&self.poller);
                self.cages.give_back(cage);
                Err(failure)
            }
        }
    }

    /// Whether it may be started at all.
    fn admit(&self, launch: &Launch) -> Result<(), LaunchFailure> {
        let refused = |problem: &str| Err(LaunchFailure::new(Stage::Refused, 0, problem));
        if !self.is_accepting {
            return refused("the launcher takes no starts any more");
        }
        if self.knows(launch.attempt) {
            return refused("the launcher knows this attempt already");
        }
        if !launch.output.is_absolute() {
            return refused("the path of the output is not absolute");
        }
        if !launch.program.is_absolute() {
            let problem = format!("{}: not absolute", launch.program.display());
            return Err(LaunchFailure::new(Stage::Program, 0, problem));
        }
        if self.is_full() {
            let problem = "the launcher holds as many attempts as it can";
            return Err(LaunchFailure::new(
                Stage::Resources,
                Errno::MFILE.raw_os_error(),
                problem,
            ));
        }
        Ok(())
    }

    fn hold(&mut self, launch: &Launch, key: u64, mut cage: Cage, child: Child, pipes: Vec<Pipe>) {
        cage.entered(child.pid());
        if let Some((pid, start_time)) = cage.warden() {
            let attempt = launch.attempt;
            let record = Record::Warden {
                attempt,
                pid,
                start_time,
            };
            note(&mut self.journal, &mut self.log, &record);
        }
        let attempt = Attempt::new(Parts {
            id: launch.attempt,
            key,
            life: Life::new(Duration::from_millis(launch.drain_ms)),
            cage,
            child,
            pipes,
            writer: SpoolWriter::new(launch.output.clone(), launch.output_limit),
        });
        self.insert(attempt);
    }
}

impl OutputPipes {
    fn new(merge: bool) -> Result<Self, LaunchFailure> {
        let pipe = |stream| {
            Pipe::new(stream).map_err(|error| {
                let errno = error.raw_os_error().unwrap_or_default();
                LaunchFailure::new(Stage::Resources, errno, format!("no pipe: {error}"))
            })
        };
        let (ours, stdout) = pipe(OutputStream::Stdout)?;
        let mut pipes = Self {
            ours: vec![ours],
            stdout,
            stderr: None,
        };
        if !merge {
            let (ours, stderr) = pipe(OutputStream::Stderr)?;
            pipes.ours.push(ours);
            pipes.stderr = Some(stderr);
        }
        Ok(pipes)
    }

    fn listen(&self, poller: &Poller, key: u64) -> Result<(), LaunchFailure> {
        for pipe in &self.ours {
            let source = Source::Attempt(key, part_of(pipe.stream()));
            poller.add(pipe, source, Interest::Read).map_err(|error| {
                self.ours.iter().for_each(|pipe| poller.remove(pipe));
                let errno = error.raw_os_error().unwrap_or_default();
                let problem = format!("the output cannot be waited for: {error}");
                LaunchFailure::new(Stage::Resources, errno, problem)
            })?;
        }
        Ok(())
    }

    fn close(self, poller: &Poller) {
        self.ours.iter().for_each(|pipe| poller.remove(pipe));
    }
}

/// Opens a working directory, without more rights than it takes to name it: the job enters it with its own.
fn open_dir(dir: &WorkDir) -> Result<OwnedFd, LaunchFailure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if !dir.root.is_absolute() {
        return Err(dir_failure(&dir.root, Errno::INVAL, "not absolute"));
    }
    let root = openat(CWD, &dir.root, flags, Mode::empty())
        .map_err(|errno| dir_failure(&dir.root, errno, ""))?;
    let Some(beneath) = &dir.beneath else {
        return Ok(root);
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = OPEN_TRIES;
    let opened = loop {
        match openat2(&root, beneath, flags, Mode::empty(), resolve) {
            // Something was renamed somewhere meanwhile, so that the kernel is not sure of a `..`.
            Err(Errno::AGAIN | Errno::INTR) if tries > 0 => tries -= 1,
            opened => break opened,
        }
    };
    opened.map_err(|errno| {
        let problem = match errno {
            Errno::XDEV | Errno::LOOP => "leads out of the directory of the job",
            _ => "",
        };
        dir_failure(beneath, errno, problem)
    })
}

/// How often the way to a directory is gone again. Whoever renames all the time does not keep the launcher from the rest.
const OPEN_TRIES: u32 = 16;

fn dir_failure(path: &Path, errno: Errno, problem: &str) -> LaunchFailure {
    let problem = if problem.is_empty() {
        format!("{}: {errno}", path.display())
    } else {
        format!("{}: {problem}", path.display())
    };
    LaunchFailure::new(Stage::Directory, errno.raw_os_error(), problem)
}

/// Opens a standard input, without waiting for whoever is at the other end of a pipe.
fn open_stdin(path: &Path) -> Result<OwnedFd, LaunchFailure> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let open = || {
        let file = open(path, flags, Mode::empty())?;
        rustix::io::ioctl_fionbio(&file, false)?;
        Ok(file)
    };
    open().map_err(|errno: Errno| {
        let problem = format!("{}: {errno}", path.display());
        LaunchFailure::new(Stage::Stdin, errno.raw_os_error(), problem)
    })
}

/// What a job reads that is given nothing to read.
pub(super) fn nothing() -> std::io::Result<OwnedFd> {
    Ok(File::open("/dev/null")?.into())
}
