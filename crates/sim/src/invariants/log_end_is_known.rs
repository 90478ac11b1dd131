//! I7: the log of an attempt that is over and settled is complete, or lost from an offset, and says which; and that is true.

use std::collections::BTreeMap;

use jobyard_core::{AttemptId, LogState};

use super::{Invariant, Rest};
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct LogEndIsKnown {
    stored: BTreeMap<AttemptId, u64>,
}

impl Invariant for LogEndIsKnown {
    fn name(&self) -> &'static str {
        "a finished log says what is missing"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        if let Fact::LogStored {
            attempt,
            from,
            bytes,
            ..
        } = fact
        {
            let stored = self.stored.entry(*attempt).or_default();
            *stored = (*stored).max(from + bytes.len() as u64);
        }
        Ok(())
    }

    fn at_rest(&mut self, rest: &Rest<'_>) -> Result<(), String> {
        let jobs = rest.books.jobs.values();
        for attempt in jobs.flat_map(|(record, _)| &record.attempts) {
            let stored = self.stored.get(&attempt.id).copied().unwrap_or(0);
            let is_true = match attempt.log {
                LogState::Complete => attempt.log_bytes == stored,
                LogState::LostFrom(from) => from == stored,
                // Also what a later version may call it.
                _ => false,
            };
            if attempt.outcome.is_some() && !is_true {
                return Err(format!(
                    "the log of {} is {:?} with {} bytes, and {stored} are stored",
                    attempt.id, attempt.log, attempt.log_bytes
                ));
            }
        }
        Ok(())
    }
}
