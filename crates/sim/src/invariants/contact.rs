//! What runs where, and since when something can be expected of a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{AttemptId, Steady, WorkerId};

use crate::fact::Fact;

/// How long an end may take at most, beyond its grace, if nothing holds up the worker: a session that is broken without
/// anybody having noticed, a slow commit, and the time of a kill.
const MOMENT: Duration = Duration::from_secs(12);

/// Which processes run, which workers have a session, and which are held up. Invariants that want something in time begin to count when there
/// is somebody to do it.
#[derive(Debug, Default)]
pub(super) struct Contact {
    running: BTreeMap<AttemptId, WorkerId>,
    /// Since when each worker has a session.
    since: BTreeMap<WorkerId, Steady>,
    clear_from: BTreeMap<WorkerId, Steady>,
}

impl Contact {
    /// Takes in what has become true at this time.
    pub(super) fn observe(&mut self, fact: &Fact, now: Steady) {
        match fact {
            Fact::ProcessStarted {
                worker, attempt, ..
            } => drop(self.running.insert(*attempt, *worker)),
            Fact::ProcessEnded { attempt, .. } => drop(self.running.remove(attempt)),
            Fact::SessionOpened { worker, .. } => drop(self.since.insert(*worker, now)),
            Fact::SessionOver { worker, .. } => drop(self.since.remove(worker)),
            Fact::HeldUp { worker, until } => {
                let clear = self.clear_from.entry(*worker).or_default();
                *clear = (*clear).max(*until);
            }
            Fact::TermBegan => self.since.clear(),
            _ => {}
        }
    }

    /// A process that should be gone, with its worker. `wanted` says since when it is to end, and how much grace it has, if
    /// it is to end at all.
    pub(super) fn overdue(
        &self,
        now: Steady,
        wanted: impl Fn(AttemptId, WorkerId) -> Option<(Steady, Duration)>,
    ) -> Option<(AttemptId, WorkerId)> {
        let all = self.running.iter();
        let mut all = all.map(|(attempt, worker)| (*attempt, *worker));
        all.find(|(attempt, worker)| {
            wanted(*attempt, *worker).is_some_and(|(since, grace)| {
                let since = self.expects_since(*worker, since, now);
                since.is_some_and(|since| now.since(since) > grace.mul_f64(1.2) + MOMENT)
            })
        })
    }

    /// Since when what was to be done from this time on can be expected of the worker; `None`: not now.
    fn expects_since(&self, worker: WorkerId, wanted: Steady, now: Steady) -> Option<Steady> {
        let contact = self.since.get(&worker).copied()?;
        let clear = self.clear_from.get(&worker).copied().unwrap_or_default();
        (now > clear).then(|| wanted.max(contact).max(clear))
    }
}
