//! The start of an attempt.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use jobyard_core::OutputStream;
use rustix::io::Errno;

use super::attempt::{Attempt, Parts, part_of};
use super::clock;
use super::life::Life;
use super::order::Order;
use super::pipe::Pipe;
use super::poller::{Interest, Poller, Source};
use super::yard::{Yard, note};
use crate::journal::Record;
use crate::protocol::{Launch, LaunchFailure, Stage};
use crate::spool::{LateMaskFilter, LateMasks, SpoolWriter};

/// The ends of an attempt's output: ours, and those for the job.
struct OutputPipes {
    ours: Vec<Pipe>,
    stdout: OwnedFd,
    /// `None`: the same as standard output.
    stderr: Option<OwnedFd>,
}

impl Yard {
    /// Begins to start an attempt: it is forked once that was written down, see [`Yard::write_down`]. What becomes of it
    /// is heard later.
    ///
    /// # Errors
    ///
    /// Nothing of it was made, or it is gone again.
    pub(super) fn start(&mut self, launch: Box<Launch>) -> Result<(), LaunchFailure> {
        self.admit(&launch)?;
        let key = self.next_key();
        let pipes = OutputPipes::new(launch.merge)?;
        pipes.listen(&self.poller, key)?;
        let cage = match self.cages.take(launch.attempt, &launch) {
            Ok(cage) => cage,
            Err(failure) => {
                pipes.close(&self.poller);
                return Err(failure);
            }
        };
        let record = Record::Starting {
            attempt: launch.attempt,
            cage: cage.name(),
            output: launch.output.clone(),
        };
        note(&mut self.journal, &mut self.log, &record);
        let order = Order {
            entry: cage.entry(),
            rlimits: cage.rlimits(),
            stdout: pipes.stdout,
            stderr: pipes.stderr,
            masks: (!launch.masks.is_empty()).then(LateMasks::default),
            launch,
        };
        let launch = &order.launch;
        self.insert(Attempt::new(Parts {
            id: launch.attempt,
            key,
            life: Life::new(Duration::from_millis(launch.drain_ms)).until(launch.until),
            cage,
            pipes: pipes.ours,
            writer: writer(launch, order.masks.as_ref()),
        }));
        self.orders.push((key, Box::new(order)));
        Ok(())
    }

    /// Writes down all that has happened, and only then has started what is to be started. To be called before anybody
    /// is told of it.
    pub(super) fn write_down(&mut self) {
        self.note_exits();
        let written = self.journal.flush();
        if let Err(error) = &written {
            self.log.say(format_args!(
                "nothing can be written to the journal: {error}"
            ));
        }
        for (key, order) in std::mem::take(&mut self.orders) {
            match &written {
                Ok(()) => self.starters.submit(key, order),
                Err(error) => {
                    drop(order);
                    self.on_done((key, Err(not_written(error))));
                }
            }
        }
        // What follows from a failure is told by whoever said it first.
        let _ = self.journal.flush();
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
        if launch.is_too_late(clock::steady()) {
            return Err(too_late());
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
}

/// What its output goes into, without its secrets.
fn writer(launch: &Launch, masks: Option<&LateMasks>) -> SpoolWriter {
    let writer = SpoolWriter::new(launch.output.clone(), launch.output_limit);
    match masks {
        Some(masks) => writer.with_filter(Box::new(LateMaskFilter::new(masks.clone()))),
        None => writer,
    }
}

/// Nothing was forked, since its time is over.
pub(super) fn too_late() -> LaunchFailure {
    LaunchFailure::new(Stage::Expired, 0, "its time is over")
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

fn not_written(error: &io::Error) -> LaunchFailure {
    let errno = error.raw_os_error().unwrap_or_default();
    let problem = format!("nothing can be written to the journal: {error}");
    LaunchFailure::new(Stage::Resources, errno, problem)
}
