//! I7: all that an attempt has printed is stored, unless a fault took it: its worker's disk lost some of what it held of
//! the attempt, or whoever read its pipes died, or the worker was away for so long that it was given up, or was removed,
//! or the attempt was ended by force. A log that is called complete has all that was printed, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{AdminState, AttemptId, InfraReason, LogState, Outcome, Steady, WorkerId};

use super::{Invariant, Rest};
use crate::fact::Fact;
use crate::master::Books;

/// For how long a worker has to be away at least until anything of it is given up: a lease of the shortest, by the
/// fastest clock.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(super) struct LogIsComplete {
    printed: BTreeMap<AttemptId, u64>,
    stored: BTreeMap<AttemptId, u64>,
    places: BTreeMap<WorkerId, BTreeSet<AttemptId>>,
    /// Since when the master has no session of a worker.
    unheard: BTreeMap<WorkerId, Steady>,
    /// Of which a disk or a pipe has lost something.
    torn: BTreeSet<AttemptId>,
    /// Whose worker was not there for it.
    given_up: BTreeSet<AttemptId>,
}

impl Invariant for LogIsComplete {
    fn name(&self) -> &'static str {
        "a log is complete unless a fault took some of it"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::ProcessStarted {
                worker, attempt, ..
            } => {
                self.places.entry(*worker).or_default().insert(*attempt);
            }
            Fact::Printed { attempt, bytes } => {
                *self.printed.entry(*attempt).or_default() += bytes.len() as u64;
            }
            Fact::LogStored {
                attempt,
                from,
                bytes,
                ..
            } => {
                let stored = self.stored.entry(*attempt).or_default();
                *stored = (*stored).max(from + bytes.len() as u64);
            }
            Fact::DiskTorn { attempt } | Fact::PipeLost { attempt } => {
                self.torn.insert(*attempt);
            }
            Fact::SessionOver {
                worker,
                by_master: true,
            } => drop(self.unheard.entry(*worker).or_insert(books.now)),
            Fact::SessionOpened { worker, .. } => {
                let since = self.unheard.remove(worker);
                if since.is_some_and(|since| books.now.since(since) >= PATIENCE) {
                    self.give_up(*worker, books);
                }
            }
            Fact::WorkerWritten { after } if after.admin == AdminState::Removed => {
                self.give_up(after.id, books);
            }
            _ => {}
        }
        Ok(())
    }

    fn at_rest(&mut self, rest: &Rest<'_>) -> Result<(), String> {
        let jobs = rest.books.jobs.values();
        for attempt in jobs.flat_map(|(record, _)| &record.attempts) {
            let id = attempt.id;
            let printed = self.printed.get(&id).copied().unwrap_or(0);
            let stored = self.stored.get(&id).copied().unwrap_or(0);
            // What was on its way to a worker that was removed may still begin there. That a worker is not called lost too
            // early is another invariant; when its master stopped hearing it, may be long before its session was over.
            let was_cut_off = matches!(
                attempt.outcome,
                Some(Outcome::Infra {
                    reason: InfraReason::Forced
                        | InfraReason::WorkerRemoved
                        | InfraReason::WorkerLost,
                })
            );
            let is_excused = self.given_up.contains(&id) || was_cut_off || self.torn.contains(&id);
            let should_be_there = !is_excused || attempt.log == LogState::Complete;
            if stored < printed && should_be_there {
                return Err(format!(
                    "{id} has printed {printed} bytes, of which {stored} are stored, and its log is {:?}: {:?}",
                    attempt.log, attempt.outcome
                ));
            }
        }
        Ok(())
    }
}

impl LogIsComplete {
    /// Whatever of this worker's is not complete may stay so.
    fn give_up(&mut self, worker: WorkerId, books: &Books) {
        let attempts = self.places.get(&worker).into_iter().flatten();
        let open = attempts.filter(|id| {
            let record = books.jobs.get(&id.job).map(|(record, _)| record);
            let known =
                record.and_then(|record| record.attempts.iter().find(|known| known.id == **id));
            known.is_none_or(|known| known.log != LogState::Complete)
        });
        self.given_up.extend(open);
    }
}
