//! The end of a worker.

use std::time::Duration;

use jobyard_core::{AttemptId, Now, Steady, StopCause};

use super::entry::{Entry, Stage};
use super::machine::Agent;
use super::{ExitReason, Output, ShutdownMode};

/// How long a worker that ends waits for the master to confirm what it reported: several heartbeats of a master that
/// is there. What is not confirmed stays in the journal.
pub const CONFIRM_WAIT: Duration = Duration::from_secs(10);

/// How long, beyond the longest grace, a worker that ends waits for attempts that were killed. Only a process that the
/// kernel itself cannot end takes longer.
pub const STOP_LIMIT: Duration = Duration::from_mins(1);

/// Whether, and how far, the worker is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is not.
    No,
    /// Waits for what runs; at this time it stops waiting.
    Draining { until: Steady },
    /// Has stopped what ran; at this time it no longer waits for that.
    Stopping { until: Steady },
    /// Nothing runs; at this time it no longer waits for confirmation.
    Confirming { until: Steady },
    /// The worker was removed, and waits until this time for what it killed.
    Removed { until: Steady },
    /// Over.
    Exited,
}

impl Ending {
    /// The time at which waiting ends.
    pub(super) const fn deadline(self) -> Option<Steady> {
        match self {
            Self::No | Self::Exited => None,
            Self::Draining { until }
            | Self::Stopping { until }
            | Self::Confirming { until }
            | Self::Removed { until } => Some(until),
        }
    }
}

impl Agent {
    /// Whether this worker takes assignments.
    pub(super) fn is_accepting(&self) -> bool {
        self.ending == Ending::No && self.condition.is_good()
    }

    pub(super) fn on_shutdown(&mut self, now: Now, mode: ShutdownMode, out: &mut Vec<Output>) {
        match (self.ending, mode) {
            (Ending::Removed { .. } | Ending::Exited, _) => return,
            _ if jobyard_core::mutated("a worker that is told to end goes on") => return,
            (_, ShutdownMode::Detach) => return self.detach(out),
            (Ending::No, ShutdownMode::Drain { .. })
                if jobyard_core::mutated("a drain stops what runs") =>
            {
                self.stop_all(now, None, out);
            }
            (Ending::No, ShutdownMode::Drain { mut timeout }) => {
                if jobyard_core::mutated("a drain takes as long as it likes") {
                    timeout *= 10_000;
                }
                self.ending = Ending::Draining {
                    until: now.steady + timeout,
                };
            }
            (Ending::No, ShutdownMode::Stop) => self.stop_all(now, None, out),
            (Ending::Draining { .. } | Ending::Stopping { .. }, _) => {
                self.stop_all(now, Some(Duration::ZERO), out);
            }
            (Ending::Confirming { .. }, _) => {
                self.ending = Ending::Confirming { until: now.steady };
            }
        }
        self.tell_condition(out);
    }

    /// Lets go of what runs, and ends. The session just stops, as if it were lost: that is what the master waits over.
    fn detach(&mut self, out: &mut Vec<Output>) {
        for (attempt, entry) in &self.held {
            if entry.may_run() && !entry.forgotten {
                out.push(Output::Detach { attempt: *attempt });
            }
        }
        let (running, unconfirmed) = self.unfinished();
        self.exit(
            ExitReason::Detached {
                running,
                unconfirmed,
            },
            out,
        );
    }

    /// Stops what runs, with this grace or with that of each spec.
    fn stop_all(&mut self, now: Now, grace: Option<Duration>, out: &mut Vec<Output>) {
        let cause = StopCause::WorkerStopping;
        let mut longest = Duration::ZERO;
        self.stop_waiting(now, cause, out);
        for (attempt, entry) in &mut self.held {
            match &mut entry.stage {
                Stage::Journaling { stop, .. } => *stop = stop.or(Some(cause)),
                Stage::Starting { grace: own } | Stage::Running { grace: own, .. }
                    if !entry.forgotten =>
                {
                    let grace = grace.unwrap_or(*own);
                    longest = longest.max(grace);
                    out.push(Output::Stop {
                        attempt: *attempt,
                        cause,
                        grace,
                    });
                }
                _ => {}
            }
        }
        self.ending = Ending::Stopping {
            until: now.steady + longest + STOP_LIMIT,
        };
    }

    fn stop_waiting(&mut self, now: Now, cause: StopCause, out: &mut Vec<Output>) {
        let waits =
            |(_, entry): &(&AttemptId, &Entry)| matches!(entry.stage, Stage::Waiting { .. });
        let waiting: Vec<_> = self.held.iter().filter(waits).map(|(id, _)| *id).collect();
        for attempt in waiting {
            self.on_stop(now, attempt, cause, Duration::ZERO, out);
        }
    }

    /// The worker is no longer one of the cluster: nothing is reported, everything is deleted.
    pub(super) fn on_removed(&mut self, now: Now, out: &mut Vec<Output>) {
        self.leave(out);
        out.push(Output::WipeIdentity);
        let attempts: Vec<_> = self.held.keys().copied().collect();
        for attempt in attempts {
            self.on_forget(attempt, out);
        }
        self.ending = Ending::Removed {
            until: now.steady + STOP_LIMIT,
        };
    }

    /// The time for waiting may be over.
    pub(super) fn on_ending_deadline(&mut self, now: Now, out: &mut Vec<Output>) {
        if self
            .ending
            .deadline()
            .is_none_or(|until| until > now.steady)
        {
            return;
        }
        match self.ending {
            Ending::Draining { .. } => self.stop_all(now, None, out),
            Ending::Stopping { .. } | Ending::Confirming { .. } => self.exit_unfinished(out),
            Ending::Removed { .. } => self.exit(ExitReason::Removed, out),
            Ending::No | Ending::Exited => {}
        }
    }

    /// Ends when there is nothing left to wait for.
    pub(super) fn advance_ending(&mut self, now: Now, out: &mut Vec<Output>) {
        match self.ending {
            Ending::No | Ending::Exited => return,
            Ending::Removed { .. } => {
                if self.held.is_empty() {
                    self.exit(ExitReason::Removed, out);
                }
                return;
            }
            Ending::Draining { .. } | Ending::Stopping { .. } | Ending::Confirming { .. } => {}
        }
        if self.held.is_empty() {
            return self.exit(ExitReason::Finished, out);
        }
        if matches!(self.ending, Ending::Stopping { .. }) && self.nothing_runs() {
            self.ending = Ending::Confirming {
                until: now.steady + CONFIRM_WAIT,
            };
        }
        if matches!(self.ending, Ending::Confirming { until } if until <= now.steady) {
            self.exit_unfinished(out);
        }
    }

    fn nothing_runs(&self) -> bool {
        self.held
            .values()
            .all(|entry| matches!(entry.stage, Stage::Finished { .. }))
    }

    /// How many attempts may run, and how many others are held.
    fn unfinished(&self) -> (usize, usize) {
        let running = self.held.values().filter(|entry| entry.may_run()).count();
        (running, self.held.len() - running)
    }

    fn exit_unfinished(&mut self, out: &mut Vec<Output>) {
        let (running, unconfirmed) = self.unfinished();
        self.exit(
            ExitReason::Unfinished {
                running,
                unconfirmed,
            },
            out,
        );
    }

    pub(super) fn exit(&mut self, reason: ExitReason, out: &mut Vec<Output>) {
        self.leave(out);
        self.ending = Ending::Exited;
        out.push(Output::Exit(reason));
    }
}
