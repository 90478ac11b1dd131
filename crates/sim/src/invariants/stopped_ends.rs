//! What is to be stopped, by a user or since its worker is drained, does not run on: it has its grace, and a moment.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{AttemptId, Steady, WorkerId};

use super::Invariant;
use super::contact::Contact;
use crate::fact::Fact;
use crate::master::Books;

/// How long it may take, beyond the grace, until nothing runs, if nothing holds up the worker: a session that is broken
/// without anybody having noticed, a slow commit, and the time of a kill.
const MOMENT: Duration = Duration::from_secs(12);

#[derive(Debug, Default)]
pub(super) struct StoppedEnds {
    running: BTreeMap<AttemptId, WorkerId>,
    /// By when each of those that are to be stopped has to be gone, if nothing holds up its worker.
    stopped: BTreeMap<AttemptId, (Steady, Duration)>,
    contact: Contact,
}

impl Invariant for StoppedEnds {
    fn name(&self) -> &'static str {
        "what is to be stopped ends"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        self.contact.observe(fact, books.now);
        match fact {
            Fact::ProcessStarted {
                worker, attempt, ..
            } => drop(self.running.insert(*attempt, *worker)),
            Fact::ProcessEnded { attempt, .. } => drop(self.running.remove(attempt)),
            Fact::JobWritten { after, .. } => {
                let grace = after.stop_grace;
                let grace = grace.or_else(|| after.drained.then_some(after.demand.grace));
                let live = after.attempts.last().filter(|last| last.outcome.is_none());
                if let (Some(grace), Some(live)) = (grace, live) {
                    let stopped = self.stopped.entry(live.id);
                    stopped.or_insert((books.now, grace));
                }
            }
            _ => {}
        }
        self.look(books.now)
    }
}

impl StoppedEnds {
    fn look(&self, now: Steady) -> Result<(), String> {
        for (attempt, worker) in &self.running {
            let Some((since, grace)) = self.stopped.get(attempt) else {
                continue;
            };
            let Some(since) = self.contact.expects_since(*worker, *since, now) else {
                continue;
            };
            if now.since(since) > grace.mul_f64(1.2) + MOMENT {
                return Err(format!(
                    "{attempt} was to be stopped long ago, its worker {worker} is in contact, and it still runs"
                ));
            }
        }
        Ok(())
    }
}
