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
    takes: Vec<(Timestamp, bool)>,
}

impl Heard {
    fn note(&mut self, at: Timestamp) {
        let takes = self.accepts && !self.complains;
        if self.takes.last().is_none_or(|(_, last)| *last != takes) {
            self.takes.push((at, takes));
        }
    }

    /// Whether an attempt of this time may be here. Within one moment, anything may have come first.
    fn may_have(&self, at: Timestamp) -> bool {
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

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::SessionOpened {
                worker,
                at,
                accepting,
            } => {
                let heard = self.workers.entry(*worker).or_default();
                (heard.accepts, heard.complains) = (*accepting, false);
                heard.note(*at);
            }
            Fact::AcceptingHeard {
                worker,
                at,
                accepting,
            } => {
                let heard = self.workers.entry(*worker).or_default();
                heard.accepts = *accepting;
                heard.note(*at);
            }
            Fact::ComplaintsHeard {
                worker,
                at,
                complains,
            } => {
                let heard = self.workers.entry(*worker).or_default();
                heard.complains = *complains;
                heard.note(*at);
            }
            Fact::JobWritten { before, after } => {
                let known = before.as_ref().map_or(0, |before| before.attempts.len());
                for attempt in after.attempts.iter().skip(known) {
                    self.check(attempt.id, attempt.worker, attempt.assigned_at)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl ComplainingGetsNothing {
    fn check(&self, attempt: AttemptId, worker: WorkerId, at: Timestamp) -> Result<(), String> {
        let heard = self.workers.get(&worker);
        if heard.is_none_or(|heard| heard.may_have(at)) {
            return Ok(());
        }
        Err(format!(
            "{attempt} is placed on {worker}, which has said that it takes nothing"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_before_counts() {
        let at = Timestamp::from_micros;
        let mut heard = Heard {
            accepts: true,
            ..Heard::default()
        };
        heard.note(at(10));
        heard.complains = true;
        heard.note(at(20));
        heard.complains = false;
        heard.note(at(30));
        let may: Vec<_> = [15, 20, 25, 30, 35]
            .map(|time| heard.may_have(at(time)))
            .into();
        assert_eq!(may, [true, true, false, true, true]);
    }
}
