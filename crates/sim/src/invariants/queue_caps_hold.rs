//! No batch gives a queue more workers than it may have.
//!
//! A cap that is lowered below what runs already stops nothing: it is broken only by a batch that places another job of
//! the queue. If the same batch changes the queue, the two may have happened in either order.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AttemptId, QueueSettings};

use super::Invariant;
use super::placements::Placements;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct QueueCapsHold {
    placements: Placements,
    settings: BTreeMap<String, QueueSettings>,
    /// Of the batch under way: what it places, and which queues it writes.
    placed: Vec<AttemptId>,
    written: BTreeSet<String>,
}

impl Invariant for QueueCapsHold {
    fn name(&self) -> &'static str {
        "no queue runs more than its cap"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::JobWritten { after, .. } => {
                let new = self.placements.note(after).into_iter();
                self.placed.extend(new.map(|(attempt, _)| attempt));
            }
            Fact::QueueWritten { queue, settings } => {
                self.settings.insert(queue.clone(), *settings);
                self.written.insert(queue.clone());
            }
            Fact::BatchEnded => {
                let written = std::mem::take(&mut self.written);
                for attempt in std::mem::take(&mut self.placed) {
                    self.check(attempt, &written)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl QueueCapsHold {
    fn check(&self, attempt: AttemptId, written: &BTreeSet<String>) -> Result<(), String> {
        let Some(demand) = self.placements.asked(attempt.job) else {
            return Ok(());
        };
        let queue = &*demand.queue;
        let cap = self.settings.get(queue).and_then(|queue| queue.max_running);
        let Some(cap) = cap.filter(|_| !written.contains(queue)) else {
            return Ok(());
        };
        let members = self.placements.iter();
        let members = members.filter(|(_, demand)| &*demand.queue == queue);
        let running = members.count() as u64;
        // What was placed and ended within the batch took its turn.
        if running > cap && self.placements.contains(attempt) {
            return Err(format!(
                "{attempt} is placed, and queue {queue} runs {running} of {cap}"
            ));
        }
        Ok(())
    }
}
