//! The end of an attempt is told once, and when nothing of it is left: its main process may be gone long before.

use std::collections::BTreeSet;

use jobyard_core::AttemptId;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct EndsAreToldOnce {
    /// Attempts whose main process is gone, and whose others may be left.
    left: BTreeSet<AttemptId>,
    told: BTreeSet<AttemptId>,
}

impl Invariant for EndsAreToldOnce {
    fn name(&self) -> &'static str {
        "an end is told once, when nothing is left"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::ProcessEnded { attempt, exit, .. } => {
                if exit.is_some() {
                    self.left.insert(*attempt);
                } else {
                    self.left.remove(attempt);
                }
            }
            Fact::CleanedUp { attempt } => drop(self.left.remove(attempt)),
            Fact::EndTold { attempt } if self.left.contains(attempt) => {
                return Err(format!("{attempt} is called over, and something is left"));
            }
            Fact::EndTold { attempt } if !self.told.insert(*attempt) => {
                return Err(format!("{attempt} is called over twice"));
            }
            _ => {}
        }
        Ok(())
    }
}
