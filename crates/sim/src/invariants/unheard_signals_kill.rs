//! What a signal does not reach is killed at once, and not only after its grace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobyard_core::{AttemptId, Steady};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

/// How long a kill takes at most. It needs nobody but the machine.
const MOMENT: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct UnheardSignalsKill {
    running: BTreeSet<AttemptId>,
    failed: BTreeMap<AttemptId, Steady>,
}

impl Invariant for UnheardSignalsKill {
    fn name(&self) -> &'static str {
        "what a signal does not reach is killed"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::ProcessStarted { attempt, .. } => drop(self.running.insert(*attempt)),
            Fact::ProcessEnded { attempt, .. } => {
                self.running.remove(attempt);
                self.failed.remove(attempt);
            }
            Fact::SignalFailed { attempt } if self.running.contains(attempt) => {
                self.failed.entry(*attempt).or_insert(books.now);
            }
            _ => {}
        }
        let late = |(_, since): &(&AttemptId, &Steady)| books.now.since(**since) > MOMENT;
        self.failed
            .iter()
            .find(late)
            .map_or(Ok(()), |(attempt, _)| {
                Err(format!(
                    "{attempt} runs on after a signal that did not reach it"
                ))
            })
    }
}
