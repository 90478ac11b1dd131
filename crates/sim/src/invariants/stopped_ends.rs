//! What is to be stopped, by a user or since its worker is drained, does not run on: it has its grace, and a moment.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{AttemptId, Steady};

use super::Invariant;
use super::contact::Contact;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct StoppedEnds {
    /// Since when those are to be stopped that are, and with how much grace.
    stopped: BTreeMap<AttemptId, (Steady, Duration)>,
    contact: Contact,
}

impl Invariant for StoppedEnds {
    fn name(&self) -> &'static str {
        "what is to be stopped ends"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        self.contact.observe(fact, books.now);
        if let Fact::JobWritten { after, .. } = fact {
            let grace = after.stop_grace;
            let grace = grace.or_else(|| after.drained.then_some(after.demand.grace));
            let live = after.attempts.last().filter(|last| last.outcome.is_none());
            if let (Some(grace), Some(live)) = (grace, live) {
                let stopped = self.stopped.entry(live.id);
                stopped.or_insert((books.now, grace));
            }
        }
        let wanted = |attempt, _| self.stopped.get(&attempt).copied();
        match self.contact.overdue(books.now, wanted) {
            Some((attempt, worker)) => Err(format!(
                "{attempt} was to be stopped long ago, its worker {worker} is in contact, and it still runs"
            )),
            None => Ok(()),
        }
    }
}
