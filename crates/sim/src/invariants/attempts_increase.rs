//! I2: the attempts of a job are numbered from 1 without holes, none disappears, and only the last one is live.

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct AttemptsIncrease;

impl Invariant for AttemptsIncrease {
    fn name(&self) -> &'static str {
        "attempt numbers increase and only the last attempt is live"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::JobWritten { before, after } = fact else {
            return Ok(());
        };
        let known = before.as_ref().map_or(0, |before| before.attempts.len());
        if after.attempts.len() < known {
            return Err(format!("job {} has lost an attempt", after.id));
        }
        for (number, attempt) in (1..).zip(&after.attempts) {
            if attempt.id.job != after.id || attempt.id.number.get() != number {
                return Err(format!("{} is number {number} of its job", attempt.id));
            }
        }
        let live = after.attempts.iter().rev().skip(1);
        match live.into_iter().find(|attempt| attempt.outcome.is_none()) {
            Some(attempt) => Err(format!("{} is live and not the last", attempt.id)),
            None => Ok(()),
        }
    }
}
