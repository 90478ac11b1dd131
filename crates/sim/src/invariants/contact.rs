//! Since when something can be expected of a worker.

use std::collections::BTreeMap;

use jobyard_core::{Steady, WorkerId};

use crate::fact::Fact;

/// Which workers have a session, and which are held up. Invariants that want something in time begin to count when there
/// is somebody to do it.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// Since when each worker has a session.
    since: BTreeMap<WorkerId, Steady>,
    clear_from: BTreeMap<WorkerId, Steady>,
}

impl Contact {
    /// Takes in what has become true at this time.
    pub(super) fn observe(&mut self, fact: &Fact, now: Steady) {
        match fact {
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

    /// Since when what was to be done from this time on can be expected of the worker; `None`: not now.
    pub(super) fn expects_since(
        &self,
        worker: WorkerId,
        wanted: Steady,
        now: Steady,
    ) -> Option<Steady> {
        let contact = self.since.get(&worker).copied()?;
        let clear = self.clear_from.get(&worker).copied().unwrap_or_default();
        (now > clear).then(|| wanted.max(contact).max(clear))
    }
}
