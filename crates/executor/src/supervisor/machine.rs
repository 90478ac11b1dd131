//! The state machine itself.

use std::mem;
use std::time::Duration;

use jobyard_core::{
    ExecutionTrace, Exit, Gone, InfraReason, LimitKind, Lost, Now, Outcome, Residue, StartError,
    Steady, StopCause, StopSignal, mutated,
};

use super::state::{Begin, PendingStop, Phase, State};
use super::{Command, Ending, Input, Plan, SupervisorEvent};

/// Decides what happens next to one attempt. See the [module](super) for its states and rules.
///
/// # Order of calls
///
/// 1. [`new`](Self::new), then [`handle`](Self::handle) with `Start` or `Adopt`.
/// 2. `handle` for everything that happens; carry out the commands that it appends, in order.
/// 3. After each call, ask [`next_deadline`](Self::next_deadline) and pass `DeadlineReached` when it has come.
/// 4. Until [`is_done`](Self::is_done).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    plan: Plan,
    state: State,
}

/// An input that cannot happen in this state: a fault of the shell. It had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attempt that is {state} cannot be told this")]
#[non_exhaustive]
pub struct InvalidInput {
    /// The name of the state.
    pub state: &'static str,
}

impl Supervisor {
    /// A supervisor of an attempt that was not started yet.
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::New,
        }
    }

    /// Takes in what happened and appends what is to be done. An input that came too late to matter appends nothing.
    pub fn handle(
        &mut self,
        now: Now,
        input: Input,
        out: &mut Vec<Command>,
    ) -> Result<(), InvalidInput> {
        match input {
            Input::Start => self.on_begin(Begin::Start, out),
            Input::Adopt { started_at } => self.on_begin(Begin::Adopt { started_at }, out),
            Input::Started { pid, trace } => self.on_started(now, pid, trace, out),
            Input::StartFailed(error) => self.on_start_failed(now, &error, out),
            Input::Gone(gone) => self.on_gone(now, gone, out),
            Input::Exited(exit) => self.on_ended(now, Ok(exit), out),
            Input::Lost(lost) => self.on_ended(now, Err(lost), out),
            Input::CleanedUp(residue) => self.on_cleaned_up(residue, out),
            Input::Stop { cause, grace } => {
                self.on_stop(now, cause, grace, out);
                Ok(())
            }
            Input::KillNow if mutated("a kill is not heeded") => Ok(()),
            Input::KillNow => {
                self.on_stop(now, self.cause_of_kill(), Duration::ZERO, out);
                Ok(())
            }
            Input::DeadlineReached => {
                self.on_deadline(now, out);
                Ok(())
            }
            Input::SignalFailed => self.on_signal_failed(out),
        }
    }

    /// When `DeadlineReached` is due: at the end of the time that the attempt may run, or of the grace.
    pub const fn next_deadline(&self) -> Option<Steady> {
        match self.state {
            State::Running { until, .. } => until,
            State::Stopping {
                phase: Phase::Grace { until },
                ..
            } => Some(until),
            _ => None,
        }
    }

    /// Whether it was told to end and has not ended yet.
    pub const fn is_stopping(&self) -> bool {
        matches!(
            self.state,
            State::Stopping { .. } | State::Starting { stop: Some(_), .. }
        )
    }

    /// Whether it is over: `Finished` was reported, and nothing more will happen.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn on_begin(&mut self, begin: Begin, out: &mut Vec<Command>) -> Result<(), InvalidInput> {
        match self.state {
            State::New => {
                self.state = State::Starting { begin, stop: None };
                out.push(match begin {
                    Begin::Start => Command::Start,
                    Begin::Adopt { .. } => Command::Adopt,
                });
                Ok(())
            }
            // It was stopped before it began.
            State::Done => Ok(()),
            _ => Err(self.invalid()),
        }
    }

    fn on_started(
        &mut self,
        now: Now,
        pid: Option<u32>,
        trace: Option<ExecutionTrace>,
        out: &mut Vec<Command>,
    ) -> Result<(), InvalidInput> {
        let State::Starting { begin, stop } = self.state else {
            return Err(self.invalid());
        };
        let at = match begin {
            Begin::Adopt {
                started_at: Some(at),
            } => at,
            _ => now.wall,
        };
        out.push(Command::Report(SupervisorEvent::Started { pid, trace, at }));
        self.state = State::Running {
            started_at: at,
            until: self
                .plan
                .timeout
                .filter(|_| !mutated("a timeout is forgotten"))
                .map(|timeout| now.steady + timeout),
        };
        if let Some(stop) = stop
            && !mutated("a stop while it starts is forgotten")
        {
            self.on_stop(now, stop.cause, stop.grace, out);
        }
        Ok(())
    }

    fn on_start_failed(
        &mut self,
        now: Now,
        error: &StartError,
        out: &mut Vec<Command>,
    ) -> Result<(), InvalidInput> {
        let State::Starting {
            begin: Begin::Start,
            stop,
        } = self.state
        else {
            return Err(self.invalid());
        };
        let outcome = stop.map_or_else(|| error.outcome(), |stop| stopped(stop.cause, None));
        let mut ending = Ending::new(outcome, now.wall);
        ending.problem = Some(error.to_string());
        self.finish(ending, out);
        Ok(())
    }

    fn on_gone(
        &mut self,
        now: Now,
        gone: Gone,
        out: &mut Vec<Command>,
    ) -> Result<(), InvalidInput> {
        let State::Starting {
            begin: Begin::Adopt { started_at },
            stop,
        } = self.state
        else {
            return Err(self.invalid());
        };
        let restarted = Outcome::Infra {
            reason: InfraReason::WorkerRestarted,
        };
        let outcome = stop.map_or(restarted, |stop| stopped(stop.cause, None));
        let mut ending = Ending::new(outcome, now.wall);
        ending.started_at = started_at;
        ending.residue.killed = gone.killed;
        self.finish(ending, out);
        Ok(())
    }

    fn on_ended(
        &mut self,
        now: Now,
        end: Result<Exit, Lost>,
        out: &mut Vec<Command>,
    ) -> Result<(), InvalidInput> {
        let (outcome, started_at) = match self.state {
            State::Running { started_at, .. } => (of_end(&end), started_at),
            State::Stopping { started_at, .. } if mutated("a stop is blamed on the job") => {
                (of_end(&end), started_at)
            }
            State::Stopping {
                started_at, cause, ..
            } => (stopped(cause, end.as_ref().ok().copied()), started_at),
            // The end may be told again.
            State::CleaningUp { .. } | State::Done => return Ok(()),
            State::New | State::Starting { .. } => return Err(self.invalid()),
        };
        // Two clocks may have been read.
        let mut ending = Ending::new(outcome, now.wall.max(started_at));
        ending.problem = end.err().map(|lost| lost.problem);
        ending.started_at = Some(started_at);
        if mutated("an end is reported before nothing is left") {
            self.finish(ending, out);
            return Ok(());
        }
        self.state = State::CleaningUp { ending };
        out.push(Command::CleanUp);
        Ok(())
    }

    fn on_cleaned_up(
        &mut self,
        residue: Residue,
        out: &mut Vec<Command>,
    ) -> Result<(), InvalidInput> {
        match mem::replace(&mut self.state, State::Done) {
            State::CleaningUp { mut ending } => {
                ending.outcome = blamed_on_limit(ending.outcome, residue.limit_hit);
                ending.residue = residue;
                if mutated("an end is reported twice") {
                    self.finish(ending.clone(), out);
                }
                self.finish(ending, out);
                Ok(())
            }
            other => {
                self.state = other;
                Err(self.invalid())
            }
        }
    }

    fn on_stop(&mut self, now: Now, cause: StopCause, grace: Duration, out: &mut Vec<Command>) {
        match &mut self.state {
            State::New => self.finish(Ending::new(stopped(cause, None), now.wall), out),
            State::Starting { stop, .. } => {
                *stop = Some(match *stop {
                    Some(earlier) => PendingStop {
                        cause: stronger(earlier.cause, cause),
                        grace: earlier.grace.min(grace),
                    },
                    None => PendingStop { cause, grace },
                });
            }
            State::Running { started_at, .. } => {
                let started_at = *started_at;
                let phase = if grace.is_zero() || !self.plan.signals {
                    out.push(Command::Kill);
                    Phase::Killing
                } else {
                    out.push(Command::Signal(StopSignal::Terminate));
                    Phase::Grace {
                        until: now.steady + grace,
                    }
                };
                self.state = State::Stopping {
                    started_at,
                    cause,
                    phase,
                };
            }
            State::Stopping {
                cause: earlier,
                phase,
                ..
            } => {
                *earlier = stronger(*earlier, cause);
                if let Phase::Grace { until } = phase {
                    *until = (*until).min(now.steady + grace);
                    if grace.is_zero() {
                        *phase = Phase::Killing;
                        out.push(Command::Kill);
                    }
                }
            }
            State::CleaningUp { .. } | State::Done => {}
        }
    }

    fn on_deadline(&mut self, now: Now, out: &mut Vec<Command>) {
        if self.next_deadline().is_none_or(|due| now.steady < due) {
            return;
        }
        match &mut self.state {
            State::Running { .. } => {
                self.on_stop(now, StopCause::TimedOut, self.plan.grace, out);
            }
            State::Stopping { phase, .. } => {
                *phase = Phase::Killing;
                if !mutated("a kill after the grace is forgotten") {
                    out.push(Command::Kill);
                }
            }
            _ => {}
        }
    }

    fn on_signal_failed(&mut self, out: &mut Vec<Command>) -> Result<(), InvalidInput> {
        match &mut self.state {
            State::Stopping { phase, .. } => {
                // There is nothing stronger than the kill: after it, only the exit can come.
                let is_heeded = !mutated("a signal that fails is forgotten");
                if matches!(phase, Phase::Grace { .. }) && is_heeded {
                    *phase = Phase::Killing;
                    out.push(Command::Kill);
                }
                Ok(())
            }
            State::CleaningUp { .. } | State::Done => Ok(()),
            State::New | State::Starting { .. } | State::Running { .. } => Err(self.invalid()),
        }
    }

    /// A kill adds nothing to the cause of a stop that is under way.
    fn cause_of_kill(&self) -> StopCause {
        match self.state {
            State::Stopping { cause, .. } => cause,
            State::Starting {
                stop: Some(stop), ..
            } => stop.cause,
            _ => StopCause::Cancelled,
        }
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<Command>) {
        self.state = State::Done;
        out.push(Command::Report(SupervisorEvent::Finished(ending)));
    }

    const fn invalid(&self) -> InvalidInput {
        InvalidInput {
            state: self.state.name(),
        }
    }
}

/// The outcome of an attempt that nobody wanted to end.
const fn of_end(end: &Result<Exit, Lost>) -> Outcome {
    match end {
        Ok(exit) => Outcome::of_exit(*exit),
        Err(lost) => Outcome::Infra {
            reason: lost.reason,
        },
    }
}

/// The outcome of an attempt, once it is known whether a limit was enforced against it. One that succeeded all the same,
/// or that was stopped, stays what it is.
const fn blamed_on_limit(outcome: Outcome, hit: Option<LimitKind>) -> Outcome {
    match (outcome, hit) {
        (Outcome::Failed { exit }, Some(LimitKind::Memory)) => Outcome::OutOfMemory { exit },
        (Outcome::Failed { exit }, Some(LimitKind::Processes)) => Outcome::ProcessLimit { exit },
        (outcome, _) => outcome,
    }
}

/// The outcome of an attempt that was stopped, whatever its exit was.
const fn stopped(cause: StopCause, exit: Option<Exit>) -> Outcome {
    match cause {
        StopCause::Cancelled => Outcome::Cancelled { exit },
        StopCause::TimedOut => Outcome::TimedOut { exit },
        StopCause::LeaseExpired => Outcome::Infra {
            reason: InfraReason::LeaseExpired,
        },
        StopCause::Drained => Outcome::Infra {
            reason: InfraReason::WorkerDrained,
        },
        // Also what a later version may stop for: nobody asked the job to end, so it is not the job's ending.
        _ => Outcome::Infra {
            reason: InfraReason::WorkerRestarted,
        },
    }
}

/// Which of two causes of a stop counts: the first, unless that was the infrastructure's and the second is the job's own.
pub const fn stronger(earlier: StopCause, later: StopCause) -> StopCause {
    if is_infrastructure(earlier) && !is_infrastructure(later) {
        later
    } else {
        earlier
    }
}

const fn is_infrastructure(cause: StopCause) -> bool {
    matches!(
        cause,
        StopCause::WorkerStopping | StopCause::LeaseExpired | StopCause::Drained
    )
}

#[cfg(test)]
mod tests;
