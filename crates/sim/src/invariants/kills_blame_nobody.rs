//! A job does not pay for what was done to it: only Jobyard sends signals here, so no attempt has failed by one. It was
//! stopped, it took too long, its lease was over, or it was given up.

use jobyard_core::{Exit, Outcome};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct KillsBlameNobody;

impl Invariant for KillsBlameNobody {
    fn name(&self) -> &'static str {
        "no job is blamed for a kill"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::JobWritten { after, .. } = fact else {
            return Ok(());
        };
        for attempt in &after.attempts {
            if let Some(Outcome::Failed {
                exit: Exit::Signaled(signal),
            }) = attempt.outcome
            {
                return Err(format!(
                    "{} has failed by the signal {signal}, which was not its own",
                    attempt.id
                ));
            }
        }
        Ok(())
    }
}
