//! What happens to one attempt, without touching anything.

mod effort;
mod term;

use std::time::Duration;

use jobyard_core::{Exit, Now, Steady, Timestamp, Usage};

use self::effort::Effort;
use self::term::Term;
use crate::protocol::{LaunchFailure, Stage};

/// How long what is left may take to end by itself once the output is closed: a process that ends closes its files first,
/// and is no leftover.
pub(super) const SETTLE: Duration = Duration::from_millis(20);

/// The life of one attempt, from its start to its end: takes what happens, and says what is to be done.
///
/// ```text
///            Running            Exited              OutputClosed             Empty
/// Starting ──────────▶ Running ─────────▶ Draining ──────────────▶ Settling ──────────▶ Over
///    │                    │                   │ Time, Kill            │ Time, Kill       ▲ ▲
///    │                    │ Kill              ▼                       ▼       Empty, Time│ │
///    │                    └─────────────▶ Killing ◀───────────────────┘──────────────────┘ │
///    │ Failed                                                                  Empty, Time │
///    └──────────────────────────────▶ Failing ─────────────────────────────────────────────┘
/// ```
///
/// What is killed while it is starting goes on to `Killing` as soon as it runs. If it neither runs nor fails, it is over
/// when the patience with it is.
///
/// An attempt may have a time by which it is over. When that comes, whatever there is is killed; if its main process had
/// not ended by then, it has no exit of its own, and is told of once it is over.
///
/// Every state with every event is in `life/table.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    phase: Phase,
    output_open: bool,
    drain: Duration,
    term: Term,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Being forked; whether the program was executed is not known yet.
    Starting {
        /// If it is to be killed: how that goes, until it is known whether the program was executed.
        killed: Option<Effort>,
    },
    /// The main process runs.
    Running {
        /// Which one it is.
        main: Main,
    },
    /// The main process has ended; what it left may go on while the output is open, up to a time.
    Draining {
        /// Which one it was.
        main: Main,
        /// How it ended.
        ending: Ending,
        /// When the patience is over.
        until: Steady,
    },
    /// The main process has ended and the output is closed; what is left may be about to end by itself.
    Settling {
        /// Which one it was.
        main: Main,
        /// How it ended.
        ending: Ending,
        /// When the patience is over.
        until: Steady,
    },
    /// Everything was killed, and may not be dead yet.
    Killing {
        /// The main process.
        main: Main,
        /// How it ended, once it has.
        ending: Option<Ending>,
        /// Whether the output was open when what held it was killed, after the main process had ended.
        held_open: bool,
        /// How it goes.
        effort: Effort,
    },
    /// The program was not executed; what was forked for it is going.
    Failing {
        /// Why it was not.
        failure: LaunchFailure,
        /// How it goes.
        effort: Effort,
    },
    /// Everything was said and done.
    Over,
}

/// A main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Main {
    /// Its number.
    pub(super) pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub(super) start_time: u64,
}

/// How a main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// How.
    pub(super) exit: Exit,
    /// When.
    pub(super) at: Timestamp,
    /// What it used, with all that it had waited for; `None`: nobody could say.
    pub(super) usage: Option<Usage>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The program was executed.
    Running(Main),
    /// It was not.
    Failed(LaunchFailure),
    /// The main process has ended and was waited for.
    Exited(Ending),
    /// Nobody is left who could say how the main process ends.
    Orphaned,
    /// The output is at its end: nobody holds it open any more.
    OutputClosed,
    /// It is to be killed: the agent says so, or it has no memory left.
    Kill,
    /// It has this time by which it is over, in place of an earlier one.
    Extend(Steady),
    /// Nothing of it is left, as was asked for by `Look` or `Kill`.
    Empty,
    /// The deadline may have been reached.
    Time,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Write down and tell that it runs.
    SayRunning(Main),
    /// Write down that its time was over. It is killed next.
    NoteExpired,
    /// Write down and tell that its main process has ended.
    SayExited(Ending),
    /// Say `Empty` once nothing is left.
    Look,
    /// Kill all that is there, note what it was, and say `Empty` once nothing is left.
    Kill,
    /// Collect the rest, write it down and tell that it has ended.
    Conclude {
        /// The main process.
        main: Main,
        /// How it ended.
        ending: Ending,
        /// Whether something had to be killed to get the output closed.
        held_open: bool,
        /// Whether something is left.
        unconfirmed: bool,
    },
    /// Remove all traces, write down and tell that it was not started.
    Discard {
        /// Why it was not.
        failure: LaunchFailure,
        /// Whether something is left.
        unconfirmed: bool,
    },
}

/// Something was said that cannot have happened now. A fault of ours; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this cannot happen now")]
pub(super) struct OutOfTurn;

impl Life {
    /// An attempt that was forked just now, with so much patience for output that is held open.
    pub(super) const fn new(drain: Duration) -> Self {
        Self {
            phase: Phase::Starting { killed: None },
            output_open: true,
            drain,
            term: Term::Endless,
        }
    }

    /// One that has to be over by this time.
    pub(super) fn until(self, until: Option<Steady>) -> Self {
        Self {
            term: until.map_or(Term::Endless, Term::Until),
            ..self
        }
    }

    /// Whether it was killed since its time was over.
    pub(super) const fn has_expired(&self) -> bool {
        matches!(self.term, Term::Expired)
    }

    /// How far it is.
    pub(super) const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Its main process, once its program was executed and until it is over.
    pub(super) const fn main(&self) -> Option<Main> {
        match &self.phase {
            Phase::Running { main }
            | Phase::Draining { main, .. }
            | Phase::Settling { main, .. }
            | Phase::Killing { main, .. } => Some(*main),
            Phase::Starting { .. } | Phase::Failing { .. } | Phase::Over => None,
        }
    }

    /// How the main process ended, once it has, and if that was its own end or one that it was ordered.
    pub(super) const fn ending(&self) -> Option<Ending> {
        match &self.phase {
            _ if self.has_expired() => None,
            Phase::Draining { ending, .. } | Phase::Settling { ending, .. } => Some(*ending),
            Phase::Killing { ending, .. } => *ending,
            _ => None,
        }
    }

    /// Whether `Empty` is what it waits for.
    pub(super) const fn awaits_emptiness(&self) -> bool {
        matches!(
            &self.phase,
            Phase::Killing {
                ending: Some(_),
                ..
            } | Phase::Settling { .. }
                | Phase::Failing { .. }
        )
    }

    /// Whether it is to be killed, and it is not known yet whether it runs.
    pub(super) const fn is_killed(&self) -> bool {
        matches!(&self.phase, Phase::Starting { killed: Some(_) })
    }

    /// When to say `Time`.
    pub(super) fn deadline(&self) -> Option<Steady> {
        let of_phase = match &self.phase {
            Phase::Draining { until, .. } | Phase::Settling { until, .. } => Some(*until),
            Phase::Killing { effort, .. } | Phase::Failing { effort, .. } => {
                Some(effort.deadline())
            }
            Phase::Starting { killed } => killed.map(Effort::deadline),
            Phase::Over => return None,
            Phase::Running { .. } => None,
        };
        of_phase.into_iter().chain(self.term.deadline()).min()
    }

    /// Takes an event; appends what is to be done.
    pub(super) fn handle(
        &mut self,
        now: Now,
        event: Event,
        out: &mut Vec<Command>,
    ) -> Result<(), OutOfTurn> {
        match event {
            Event::Running(main) => self.on_running(now, main, out),
            Event::Failed(failure) => self.on_failed(now, failure),
            Event::Exited(ending) => self.on_exited(now, ending, out),
            Event::Orphaned => self.on_orphaned(now, out),
            Event::OutputClosed => self.on_output_closed(now, out),
            Event::Kill => {
                self.on_kill(now, out);
                Ok(())
            }
            Event::Extend(until) => {
                self.on_extend(now, until, out);
                Ok(())
            }
            Event::Empty => self.on_empty(out),
            Event::Time => {
                self.on_time(now, out);
                Ok(())
            }
        }
    }

    fn on_running(
        &mut self,
        now: Now,
        main: Main,
        out: &mut Vec<Command>,
    ) -> Result<(), OutOfTurn> {
        let Phase::Starting { killed } = self.phase else {
            return Err(OutOfTurn);
        };
        out.push(Command::SayRunning(main));
        self.phase = Phase::Running { main };
        if killed.is_some() {
            self.kill(now, main, None, false, out);
        }
        Ok(())
    }

    fn on_failed(&mut self, now: Now, failure: LaunchFailure) -> Result<(), OutOfTurn> {
        if !matches!(self.phase, Phase::Starting { .. }) {
            return Err(OutOfTurn);
        }
        let failure = if self.has_expired() {
            over_too_early()
        } else {
            failure
        };
        // What was forked for it ends by itself, or else is killed in a moment.
        let effort = Effort::begin(now);
        self.phase = Phase::Failing { failure, effort };
        Ok(())
    }

    fn on_exited(
        &mut self,
        now: Now,
        ending: Ending,
        out: &mut Vec<Command>,
    ) -> Result<(), OutOfTurn> {
        match &mut self.phase {
            Phase::Running { main } => {
                let main = *main;
                out.push(Command::SayExited(ending));
                if !self.output_open {
                    self.settle(now, main, ending, out);
                } else if self.drain.is_zero() {
                    self.kill(now, main, Some(ending), true, out);
                } else {
                    let until = now.steady + self.drain;
                    self.phase = Phase::Draining {
                        main,
                        ending,
                        until,
                    };
                }
                Ok(())
            }
            Phase::Killing {
                ending: missing @ None,
                ..
            } => {
                *missing = Some(ending);
                self.say_exited(ending, out);
                Ok(())
            }
            _ => Err(OutOfTurn),
        }
    }

    /// Whoever waited for the main process was killed itself, so what it waited for is killed as well.
    fn on_orphaned(&mut self, now: Now, out: &mut Vec<Command>) -> Result<(), OutOfTurn> {
        let ending = killed_at(now.wall);
        match &mut self.phase {
            Phase::Starting { .. } => {
                let failure = LaunchFailure::new(
                    Stage::Resources,
                    0,
                    "it was killed before its program was executed",
                );
                self.on_failed(now, failure)
            }
            Phase::Running { main } => {
                let main = *main;
                out.push(Command::SayExited(ending));
                self.kill(now, main, Some(ending), false, out);
                Ok(())
            }
            Phase::Killing { ending: None, .. } => self.on_exited(now, ending, out),
            _ => Ok(()),
        }
    }

    fn on_output_closed(&mut self, now: Now, out: &mut Vec<Command>) -> Result<(), OutOfTurn> {
        if !self.output_open {
            return Err(OutOfTurn);
        }
        self.output_open = false;
        if let Phase::Draining { main, ending, .. } = self.phase {
            self.settle(now, main, ending, out);
        }
        Ok(())
    }

    fn on_kill(&mut self, now: Now, out: &mut Vec<Command>) {
        match &mut self.phase {
            Phase::Starting {
                killed: killed @ None,
            } => {
                *killed = Some(Effort::begin(now));
                out.push(Command::Kill);
            }
            Phase::Running { main } => {
                let main = *main;
                self.kill(now, main, None, false, out);
            }
            Phase::Draining { main, ending, .. } | Phase::Settling { main, ending, .. } => {
                let (main, ending) = (*main, *ending);
                self.kill(now, main, Some(ending), self.output_open, out);
            }
            Phase::Starting { killed: Some(_) }
            | Phase::Killing { .. }
            | Phase::Failing { .. }
            | Phase::Over => {}
        }
    }

    fn on_extend(&mut self, now: Now, until: Steady, out: &mut Vec<Command>) {
        if self.term.is_due(now.steady) {
            // It was moved too late.
            self.expire(now, out);
        } else if matches!(self.term, Term::Until(_)) {
            self.term = Term::Until(until);
        }
    }

    fn expire(&mut self, now: Now, out: &mut Vec<Command>) {
        self.term = match &self.phase {
            Phase::Starting { killed: None } | Phase::Running { .. } => {
                out.push(Command::NoteExpired);
                Term::Expired
            }
            _ => Term::Endless,
        };
        self.on_kill(now, out);
    }

    /// An exit that nobody ordered but the time is not the exit of the attempt.
    fn say_exited(&self, ending: Ending, out: &mut Vec<Command>) {
        if !self.has_expired() {
            out.push(Command::SayExited(ending));
        }
    }

    fn on_empty(&mut self, out: &mut Vec<Command>) -> Result<(), OutOfTurn> {
        match &self.phase {
            Phase::Settling { main, ending, .. } => out.push(Command::Conclude {
                main: *main,
                ending: *ending,
                held_open: false,
                unconfirmed: false,
            }),
            Phase::Killing {
                main,
                ending: Some(ending),
                held_open,
                ..
            } => out.push(Command::Conclude {
                main: *main,
                ending: *ending,
                held_open: *held_open,
                unconfirmed: false,
            }),
            Phase::Failing { failure, .. } => out.push(Command::Discard {
                failure: failure.clone(),
                unconfirmed: false,
            }),
            _ => return Err(OutOfTurn),
        }
        self.phase = Phase::Over;
        Ok(())
    }

    fn on_time(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.term.is_due(now.steady) {
            self.expire(now, out);
        }
        match &mut self.phase {
            Phase::Draining {
                main,
                ending,
                until,
            }
            | Phase::Settling {
                main,
                ending,
                until,
            } if now.steady >= *until => {
                let (main, ending) = (*main, *ending);
                self.kill(now, main, Some(ending), self.output_open, out);
            }
            Phase::Killing { effort, .. }
            | Phase::Failing { effort, .. }
            | Phase::Starting {
                killed: Some(effort),
            } if now.steady >= effort.until => {
                self.give_up(now, out);
            }
            Phase::Killing { effort, .. }
            | Phase::Failing { effort, .. }
            | Phase::Starting {
                killed: Some(effort),
            } if now.steady >= effort.next => {
                *effort = effort.again(now);
                out.push(Command::Kill);
            }
            _ => {}
        }
    }

    fn settle(&mut self, now: Now, main: Main, ending: Ending, out: &mut Vec<Command>) {
        out.push(Command::Look);
        let until = now.steady + SETTLE;
        self.phase = Phase::Settling {
            main,
            ending,
            until,
        };
    }

    fn kill(
        &mut self,
        now: Now,
        main: Main,
        ending: Option<Ending>,
        held_open: bool,
        out: &mut Vec<Command>,
    ) {
        out.push(Command::Kill);
        self.phase = Phase::Killing {
            main,
            ending,
            held_open,
            effort: Effort::begin(now),
        };
    }

    /// Something hangs in the kernel. If that is the main process, it ends by the signal that it was sent, whenever that
    /// may be.
    fn give_up(&mut self, now: Now, out: &mut Vec<Command>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Killing {
                main,
                ending,
                held_open,
                ..
            } => {
                let ending = ending.unwrap_or_else(|| {
                    let ending = killed_at(now.wall);
                    self.say_exited(ending, out);
                    ending
                });
                out.push(Command::Conclude {
                    main,
                    ending,
                    held_open,
                    unconfirmed: true,
                });
            }
            Phase::Failing { failure, .. } => out.push(Command::Discard {
                failure,
                unconfirmed: true,
            }),
            Phase::Starting { .. } if self.has_expired() => out.push(Command::Discard {
                failure: over_too_early(),
                unconfirmed: true,
            }),
            Phase::Starting { .. } => out.push(Command::Discard {
                failure: LaunchFailure::new(
                    Stage::Resources,
                    0,
                    "it was killed during its start, which hangs in the kernel",
                ),
                unconfirmed: true,
            }),
            other => self.phase = other,
        }
    }
}

fn over_too_early() -> LaunchFailure {
    LaunchFailure::new(
        Stage::Expired,
        0,
        "its time was over before its program was executed",
    )
}

const fn killed_at(at: Timestamp) -> Ending {
    Ending {
        exit: Exit::Signaled(9),
        at,
        usage: None,
    }
}

#[cfg(test)]
mod tests;
