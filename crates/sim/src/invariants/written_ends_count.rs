//! An attempt that ended by itself, and whose end its worker has written down, is not taken for one that was lost with its
//! worker, or that never began.

use std::collections::BTreeSet;

use jobyard_core::{AttemptId, InfraReason, Outcome};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct WrittenEndsCount {
    written: BTreeSet<AttemptId>,
}

impl Invariant for WrittenEndsCount {
    fn name(&self) -> &'static str {
        "an end that is written down counts"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::EndWritten { attempt } => drop(self.written.insert(*attempt)),
            Fact::EndTorn { attempt } => drop(self.written.remove(attempt)),
            Fact::JobWritten { before, after } => {
                let known = before.as_ref().map_or(&[][..], |before| &before.attempts);
                for (index, attempt) in after.attempts.iter().enumerate() {
                    let earlier = known.get(index).and_then(|attempt| attempt.outcome);
                    let is_lost = matches!(
                        attempt.outcome,
                        Some(Outcome::Infra {
                            reason: InfraReason::WorkerRestarted | InfraReason::NeverStarted,
                        })
                    );
                    if earlier.is_none() && is_lost && self.written.contains(&attempt.id) {
                        return Err(format!(
                            "{} has ended by itself, its worker knows how, and it is {:?}",
                            attempt.id, attempt.outcome
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
