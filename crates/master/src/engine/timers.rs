//! The engine's timers: what it waits for, and the one deadline that comes out of them.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AttemptId, JobId, SessionId, Steady, WorkerId};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// When to take a session for dead: a lease after its last message.
    SessionSilent(SessionId),
    /// When to give up those attempts of a silent worker that go on without a lease, and output that it still has: `reconcile_for` after its last contact or after the start of
    /// this term, whichever is later.
    ReconcileOver(WorkerId),
    /// When to give up those attempts of a silent worker that do not outlive its lease: a grace after the end of that,
    /// as the master counts it.
    LeaseOver(WorkerId),
    /// When the first of those attempts can no longer begin that a worker may not have heard to be given up.
    GivenUpOver(WorkerId),
    /// When to stop what a worker that drains still has: the time that its drain was given.
    DrainOver(WorkerId),
    /// When to write down how much is left of that.
    DrainPasses(WorkerId),
    /// When a job that has failed asks for a worker again.
    RetryDue(JobId),
    /// When to write down how much is left of that.
    RetryPasses(JobId),
    /// When to end a job that no worker has started: its queue timeout after its submission.
    QueueTimeOver(JobId),
    /// When to write down how much is left of that: after a quarter of it.
    QueueTimePasses(JobId),
    /// When to finish a job although its output has not arrived: `log_drain` after its end.
    LogDrain(AttemptId),
    /// When verdicts about the fleet become definite although workers that it had are still away: a grace after the
    /// start of this term.
    FleetKnown,
}

/// At most one deadline per timer.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Steady, Timer)>,
    by_timer: BTreeMap<Timer, Steady>,
}

impl Timers {
    /// Sets a timer, in place of what it was set to.
    pub(super) fn set(&mut self, timer: Timer, at: Steady) {
        if let Some(old) = self.by_timer.insert(timer, at) {
            self.by_time.remove(&(old, timer));
        }
        self.by_time.insert((at, timer));
    }

    /// Forgets a timer. Says whether it was set.
    pub(super) fn clear(&mut self, timer: Timer) -> bool {
        let old = self.by_timer.remove(&timer);
        old.is_some_and(|old| self.by_time.remove(&(old, timer)))
    }

    /// What a timer is set to.
    pub(super) fn due(&self, timer: Timer) -> Option<Steady> {
        self.by_timer.get(&timer).copied()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Steady> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes a timer whose time has come, earliest first.
    pub(super) fn take_due(&mut self, now: Steady) -> Option<Timer> {
        let (at, timer) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_set_again_comes_once() {
        let mut timers = Timers::default();
        timers.set(Timer::FleetKnown, Steady::from_micros(5));
        timers.set(Timer::FleetKnown, Steady::from_micros(9));
        assert_eq!(timers.next(), Some(Steady::from_micros(9)));
        assert_eq!(timers.take_due(Steady::from_micros(8)), None);
        assert_eq!(
            timers.take_due(Steady::from_micros(9)),
            Some(Timer::FleetKnown)
        );
        assert_eq!(timers.next(), None);
    }
}
