//! No attempt is placed on a worker after the master was told that it complains, or takes nothing for another reason.

use std::collections::BTreeMap;

use jobyard_core::{AttemptId, Timestamp, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

/// Batches become durable after they were decided upon, so it counts what the master had heard by the time that it wrote
/// into an attempt.
#[derive(Debug, Default)]
pub(super) struct ComplainingGetsNothing {
    workers: BTreeMap<WorkerId, Heard>,
}

/// What the master has heard of one worker.
#[derive(Debug, Default)]
struct Heard {
    accepts: bool,
    complains: bool,
    /// Since when it was which: whether it takes jobs.
    takes: Vec<(u64, bool)>,
}

impl Heard {
    fn note(&mut self, at: u64) {
        let takes = self.accepts && !self.complains;
        if self.takes.last().is_none_or(|(_, last)| *last != takes) {
            self.takes.push((at, takes));
        }
    }

    /// Whether an attempt of this time may be here. Within one moment, anything may have come first.
    fn may_have(&self, at: u64) -> bool {
        let (before, after) = self
            .takes
            .split_at(self.takes.partition_point(|(since, _)| *since < at));
        let mut then = after.iter().take_while(|(since, _)| *since == at);
        before.last().is_none_or(|(_, takes)| *takes) || then.any(|(_, takes)| *takes)
    }
}

impl Invariant for ComplainingGetsNothing {
    fn name(&self) -> &'static str {
        "a worker that complains gets nothing"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::SessionOpened {
                worker,
                at,
                accepting,
            } => {
                let heard = self.workers.entry(*worker).or_default();
                (heard.accepts, heard.complains) = (*accepting, false);
                heard.note(moment(books, *at));
            }
            Fact::AcceptingHeard {
                worker,
                at,
                accepting,
            } => {
                let heard = self.workers.entry(*worker).or_default();
                heard.accepts = *accepting;
                heard.note(moment(books, *at));
            }
            Fact::ComplaintsHeard {
                worker,
                at,
                complains,
            } => {
                let heard = self.workers.entry(*worker).or_default();
                heard.complains = *complains;
                heard.note(moment(books, *at));
            }
            Fact::JobWritten { before, after } => {
                let known = before.as_ref().map_or(0, |before| before.attempts.len());
                for attempt in after.attempts.iter().skip(known) {
                    let at = moment(books, attempt.assigned_at);
                    self.check(attempt.id, attempt.worker, at)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl ComplainingGetsNothing {
    fn check(&self, attempt: AttemptId, worker: WorkerId, at: u64) -> Result<(), String> {
        let heard = self.workers.get(&worker);
        if heard.is_none_or(|heard| heard.may_have(at)) {
            return Ok(());
        }
        Err(format!(
            "{attempt} is placed on {worker}, which has said that it takes nothing"
        ))
    }
}

/// Which moment a time of the master's wall clock was; jumps of that clock do not change their order.
fn moment(books: &Books, at: Timestamp) -> u64 {
    books.moments.get(&at).copied().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_before_counts() {
        let mut heard = Heard {
            accepts: true,
            ..Heard::default()
        };
        heard.note(10);
        heard.complains = true;
        heard.note(20);
        heard.complains = false;
        heard.note(30);
        let may: Vec<_> = [15, 20, 25, 30, 35].map(|time| heard.may_have(time)).into();
        assert_eq!(may, [true, true, false, true, true]);
    }
}
