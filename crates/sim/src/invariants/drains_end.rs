//! Once the time of a drain is over, what still ran on its worker ends: it has its grace, and a moment.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{AdminState, AttemptId, Steady, WorkerId};

use super::Invariant;
use super::contact::Contact;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct DrainsEnd {
    drains: BTreeMap<WorkerId, Drain>,
    contact: Contact,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    /// How much of its time was left at the last write.
    left: Duration,
    due: Steady,
}

impl Invariant for DrainsEnd {
    fn name(&self) -> &'static str {
        "a drain ends in its time"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        self.contact.observe(fact, books.now);
        match fact {
            Fact::WorkerWritten { after } => {
                let drain = after.drain.filter(|drain| !drain.over);
                let left = drain.and_then(|drain| drain.left);
                match left.filter(|_| after.admin == AdminState::Draining) {
                    Some(left) => self.count(after.id, left, books.now),
                    None => drop(self.drains.remove(&after.id)),
                }
            }
            // The time goes on from where it was written down.
            Fact::TermBegan => {
                for drain in self.drains.values_mut() {
                    drain.due = books.now + drain.left;
                }
            }
            _ => {}
        }
        self.look(books)
    }
}

impl DrainsEnd {
    /// A record that is written again for another reason does not give it more time.
    fn count(&mut self, worker: WorkerId, left: Duration, now: Steady) {
        let due = now + left;
        let drain = self.drains.entry(worker).or_insert(Drain { left, due });
        drain.left = left;
        drain.due = drain.due.min(due);
    }

    fn look(&self, books: &Books) -> Result<(), String> {
        let wanted = |attempt: AttemptId, worker| {
            let drain = self.drains.get(&worker)?;
            let job = books.jobs.get(&attempt.job).map(|(job, _)| job);
            let grace = job.map(|job| job.stop_grace.unwrap_or_default().max(job.demand.grace));
            Some((drain.due, grace.unwrap_or_default()))
        };
        match self.contact.overdue(books.now, wanted) {
            Some((attempt, worker)) => Err(format!(
                "{attempt} still runs on {worker}, the time of whose drain was over long ago"
            )),
            None => Ok(()),
        }
    }
}
