//! I3: the outcome of an attempt, and that of a job, never changes once it is durable; a finished job stays finished; one whose last
//! attempt succeeded has succeeded.

use jobyard_core::Outcome;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct OutcomesAreFinal;

impl Invariant for OutcomesAreFinal {
    fn name(&self) -> &'static str {
        "outcomes are final"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::JobWritten {
            before: Some(before),
            after,
        } = fact
        else {
            return Ok(());
        };
        if before.state.is_finished()
            && (before.state, before.outcome) != (after.state, after.outcome)
        {
            return Err(format!(
                "job {} was finished as {:?} and is now {:?} as {:?}",
                after.id, before.outcome, after.state, after.outcome
            ));
        }
        if after.state.is_finished() != after.outcome.is_some() {
            return Err(format!(
                "job {} is {:?} with the outcome {:?}",
                after.id, after.state, after.outcome
            ));
        }
        let last = after.attempts.last().and_then(|last| last.outcome);
        if after.state.is_finished() && last == Some(Outcome::Succeeded) && after.outcome != last {
            return Err(format!(
                "job {} has succeeded and is {:?}",
                after.id, after.outcome
            ));
        }
        for (old, new) in before.attempts.iter().zip(&after.attempts) {
            if old.outcome.is_some() && old.outcome != new.outcome {
                return Err(format!(
                    "attempt {} had the outcome {:?} and now has {:?}",
                    new.id, old.outcome, new.outcome
                ));
            }
        }
        Ok(())
    }
}
