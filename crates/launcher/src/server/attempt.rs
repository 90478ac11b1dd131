//! One attempt that is held.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use jobyard_core::{
    AttemptId, KilledProcess, LimitKind, MAX_LISTED_PROCESSES, OutputProgress, OutputStream,
    Residue, Steady, Usage,
};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::clock;
use super::life::{Ending, Event, Life, Phase};
use super::pipe::{Buffer, Piece, Pipe, READ_BYTES, READS_AT_ONCE};
use super::poller::{Interest, Part, Poller, Source};
use crate::cage::Cage;
use crate::protocol::{End, Signal};
use crate::spool::SpoolWriter;
use crate::sys::{Child, Dead, Report};

/// How many different processes of one attempt are counted when they are killed.
const MOST_COUNTED: usize = 65_536;

/// How much is read of a pipe once nothing of the attempt runs any more: what the largest pipe holds.
const REST_BYTES: usize = 1024 * 1024;

/// An attempt with all that belongs to it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) key: u64,
    pub(super) life: Life,
    /// When it is to be looked at again, as the yard has noted it.
    pub(super) deadline: Option<Steady>,
    pub(super) cage: Cage,
    forked: Forked,
    has_warden: bool,
    is_reaped: bool,
    pipes: Vec<Pipe>,
    writer: SpoolWriter,
    /// How far the output was when that was last said.
    said: OutputProgress,
    killed: BTreeSet<u32>,
    listed: Vec<KilledProcess>,
    waits_for_emptiness: bool,
    /// A process that was killed, and whose death is waited for.
    dying: Option<OwnedFd>,
    /// Signals that it gets as soon as it runs, each once.
    owed: Vec<Signal>,
}

/// What was forked for an attempt.
#[derive(Debug)]
enum Forked {
    /// That is not known yet.
    Awaited,
    /// Nothing, and nothing will be.
    Nothing,
    /// The main process, or the warden above it.
    Child(Child),
}

/// What was read of a pipe. Its bytes may be held back by the filter, so that the progress does not tell.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// As much as is read at once, and there may be more.
    Much,
    Something,
    Nothing,
    End,
}

/// What an attempt is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) id: AttemptId,
    pub(super) key: u64,
    pub(super) life: Life,
    pub(super) cage: Cage,
    pub(super) pipes: Vec<Pipe>,
    pub(super) writer: SpoolWriter,
}

/// The part of an attempt by which this output comes.
pub(super) const fn part_of(stream: OutputStream) -> Part {
    match stream {
        OutputStream::Stdout => Part::Stdout,
        OutputStream::Stderr => Part::Stderr,
    }
}

impl Attempt {
    pub(super) fn new(parts: Parts) -> Self {
        let has_warden = parts.cage.has_warden();
        Self {
            id: parts.id,
            key: parts.key,
            life: parts.life,
            deadline: None,
            cage: parts.cage,
            forked: Forked::Awaited,
            has_warden,
            is_reaped: false,
            pipes: parts.pipes,
            writer: parts.writer,
            said: OutputProgress::default(),
            killed: BTreeSet::new(),
            listed: Vec::new(),
            waits_for_emptiness: false,
            dying: None,
            owed: Vec::new(),
        }
    }

    /// How far its output is.
    pub(super) const fn progress(&self) -> OutputProgress {
        self.writer.progress()
    }

    /// How far its output is, if that was not said yet.
    pub(super) fn new_progress(&mut self) -> Option<OutputProgress> {
        let progress = self.progress();
        let is_new = progress != self.said;
        self.said = progress;
        is_new.then_some(progress)
    }

    /// What the disk said when it took no more, once.
    pub(super) const fn take_problem(&mut self) -> Option<io::Error> {
        self.writer.take_problem()
    }

    /// What was forked, if that is known.
    pub(super) const fn child(&self) -> Option<&Child> {
        match &self.forked {
            Forked::Child(child) => Some(child),
            Forked::Awaited | Forked::Nothing => None,
        }
    }

    /// The same, to hear what it has to say.
    pub(super) const fn child_mut(&mut self) -> Option<&mut Child> {
        match &mut self.forked {
            Forked::Child(child) => Some(child),
            Forked::Awaited | Forked::Nothing => None,
        }
    }

    /// Whether somebody is about to fork something for it.
    pub(super) const fn is_awaited(&self) -> bool {
        matches!(self.forked, Forked::Awaited)
    }

    /// This was forked for it. A child that is dead already is not asked who it is.
    pub(super) fn has_child(&mut self, child: Child, is_dead: bool) {
        if !is_dead {
            self.cage.entered(child.pid());
        }
        self.forked = Forked::Child(child);
    }

    /// Nothing was forked for it, and nothing will be.
    pub(super) fn has_no_child(&mut self) {
        self.forked = Forked::Nothing;
    }

    /// Delivers a signal, or keeps it until the program runs.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if let Phase::Starting { .. } = self.life.phase() {
            if !self.owed.contains(&signal) {
                self.owed.push(signal);
            }
            return Ok(());
        }
        self.child().ok_or(Errno::SRCH)?.signal_main(signal)
    }

    /// Delivers the signals that were kept.
    pub(super) fn signal_owed(&mut self) -> io::Result<()> {
        let mut signals = std::mem::take(&mut self.owed).into_iter();
        signals.try_for_each(|signal| self.signal(signal))
    }

    /// Begins to wait for what is heard of the child and of the cage.
    pub(super) fn listen(&self, poller: &Poller) -> io::Result<()> {
        if let Some(fd) = self.child().and_then(Child::report_fd) {
            poller.add(fd, self.source(Part::Report), Interest::News)?;
        }
        if let Some(fd) = self.cage.oom_fd() {
            poller.add(fd, self.source(Part::OutOfMemory), Interest::Read)?;
        }
        Ok(())
    }

    const fn source(&self, part: Part) -> Source {
        Source::Attempt(self.key, part)
    }

    /// Reads some output: one piece, or a few of a job that prints much. Says when all of it was read.
    pub(super) fn read(
        &mut self,
        part: Part,
        poller: &Poller,
        buffer: &mut Buffer,
    ) -> Option<Event> {
        let index = self
            .pipes
            .iter()
            .position(|pipe| part_of(pipe.stream()) == part)?;
        for _ in 0..READS_AT_ONCE {
            match self.read_pipe(index, buffer) {
                Read::Much => {}
                Read::Something | Read::Nothing => break,
                Read::End => return self.close_pipe(index, poller),
            }
        }
        None
    }

    /// Reads what is there of all output, as far as it is more than a moment's work. Says when all of it was read.
    pub(super) fn read_on(&mut self, poller: &Poller, buffer: &mut Buffer) -> Option<Event> {
        let mut closed = None;
        for index in (0..self.pipes.len()).rev() {
            for _ in 0..REST_BYTES / READ_BYTES {
                match self.read_pipe(index, buffer) {
                    Read::Much | Read::Something => {}
                    Read::Nothing => break,
                    Read::End => {
                        closed = self.close_pipe(index, poller);
                        break;
                    }
                }
            }
        }
        closed
    }

    fn read_pipe(&mut self, index: usize, buffer: &mut Buffer) -> Read {
        let pipe = &mut self.pipes[index];
        let stream = pipe.stream();
        match pipe.read(buffer) {
            Piece::Bytes(bytes) => {
                self.writer.write(stream, clock::wall(), bytes);
                let is_full = bytes.len() == READ_BYTES;
                if is_full && pipe.is_large() {
                    Read::Much
                } else {
                    Read::Something
                }
            }
            Piece::Nothing => Read::Nothing,
            Piece::End => Read::End,
        }
    }

    fn close_pipe(&mut self, index: usize, poller: &Poller) -> Option<Event> {
        let pipe = self.pipes.remove(index);
        poller.remove(&pipe);
        self.writer.finish(pipe.stream(), clock::wall());
        self.pipes.is_empty().then_some(Event::OutputClosed)
    }

    /// The child is dead and was reaped.
    pub(super) fn was_reaped(&mut self, dead: &Dead, reports: &mut Vec<Report>) {
        if let Forked::Child(child) = &mut self.forked {
            child.was_reaped(dead, reports);
            self.is_reaped = true;
        }
    }

    /// The number of what was forked, while that is its own.
    fn forked_now(&self) -> Option<Pid> {
        self.child().filter(|_| !self.is_reaped).map(Child::pid)
    }

    /// Takes note of all that is there beside the main process, and kills everything.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        // Before the child is known, nobody can say what is there beside it.
        if let Some(child) = self.child().map(Child::pid) {
            self.note_members(child);
        }
        self.cage.kill(self.forked_now())
    }

    fn note_members(&mut self, child: Pid) {
        let main = self.life.main().map(|main| main.pid);
        let child = child.as_raw_nonzero().get().unsigned_abs();
        for process in self.cage.members() {
            let is_main = Some(process.pid) == main || !self.has_warden && process.pid == child;
            if is_main || self.killed.len() >= MOST_COUNTED || !self.killed.insert(process.pid) {
                continue;
            }
            if self.listed.len() < MAX_LISTED_PROCESSES {
                self.listed.push(process);
            }
        }
    }

    /// Whether nothing of it is left.
    pub(super) fn is_empty(&self) -> bool {
        let child = match &self.forked {
            Forked::Child(child) if self.is_reaped => child,
            Forked::Nothing => return true,
            Forked::Child(_) | Forked::Awaited => return false,
        };
        match self.cage.is_empty() {
            Ok(Some(is_empty)) => is_empty,
            // The warden is gone, and so is what it kept hold of, unless somebody killed it.
            Ok(None) => child.left_nothing() || self.cage.has_no_members(),
            // Whoever cannot read what is in it finds no members either, which proves nothing.
            Err(_) => child.left_nothing(),
        }
    }

    /// Takes note that memory was at its end.
    pub(super) fn drain_oom(&self) {
        if let Some(fd) = self.cage.oom_fd() {
            let _ = rustix::io::read(fd, &mut [0; 8]);
        }
    }

    /// Begins to wait for something that may be the end of the last process.
    pub(super) fn watch(&mut self, poller: &Poller) {
        if let Some(fd) = self.cage.emptied_fd() {
            if !self.waits_for_emptiness {
                let source = Source::Attempt(self.key, Part::Emptied);
                self.waits_for_emptiness = poller.add(fd, source, Interest::Urgent).is_ok();
            }
            return;
        }
        // The end of the child is heard of anyway.
        if !self.is_reaped || self.dying.is_some() {
            return;
        }
        for process in self.cage.members() {
            let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
            let Some(fd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
                continue;
            };
            if poller
                .add(&fd, self.source(Part::Killed), Interest::Read)
                .is_ok()
            {
                self.dying = Some(fd);
                return;
            }
        }
    }

    /// The process whose death was waited for is dead.
    pub(super) fn on_death(&mut self, poller: &Poller) {
        if let Some(fd) = self.dying.take() {
            poller.remove(fd);
        }
    }

    /// Takes everything out of the poller, reads what is left of the output, and gives out what is known.
    pub(super) fn finish(&mut self, poller: &Poller, buffer: &mut Buffer) -> bool {
        self.read_on(poller, buffer);
        let was_held_open = !self.pipes.is_empty();
        while !self.pipes.is_empty() {
            self.close_pipe(0, poller);
        }
        self.on_death(poller);
        if let Some(fd) = self.child().and_then(Child::report_fd) {
            poller.remove(fd);
        }
        if let Some(fd) = self.cage.oom_fd() {
            poller.remove(fd);
        }
        if let Some(fd) = self.cage.emptied_fd().filter(|_| self.waits_for_emptiness) {
            poller.remove(fd);
        }
        was_held_open
    }

    /// All of it, once it was finished.
    pub(super) fn end(&mut self, ending: Ending, held_open: bool, unconfirmed: bool) -> End {
        let mut residue = Residue::default();
        residue.killed = u32::try_from(self.killed.len()).unwrap_or(u32::MAX);
        residue.processes = std::mem::take(&mut self.listed);
        residue.limit_hit = self.limit_hit();
        residue.unenforced = self.cage.unenforced().to_vec();
        residue.usage = merge(self.cage.usage(), ending.usage);
        residue.output_held_open = held_open;
        residue.unconfirmed = unconfirmed;
        let mut end = End::new(ending.exit, ending.at, self.progress());
        end.residue = residue;
        end.expired = self.life.has_expired();
        end
    }

    fn limit_hit(&self) -> Option<LimitKind> {
        self.cage.limit_hit()
    }
}

/// What the cage measured, and where it measures nothing what was heard of the main process.
fn merge(cage: Option<Usage>, main: Option<Usage>) -> Option<Usage> {
    let (Some(mut usage), Some(main)) = (cage, main) else {
        return cage.or(main);
    };
    usage.peak_memory_bytes = usage.peak_memory_bytes.or(main.peak_memory_bytes);
    usage.read_bytes = usage.read_bytes.or(main.read_bytes);
    usage.written_bytes = usage.written_bytes.or(main.written_bytes);
    Some(usage)
}
