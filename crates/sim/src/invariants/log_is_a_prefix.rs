//! I6: what is stored of an attempt's output is a prefix of what it has printed, without a hole; and nothing is dropped
//! before it is stored.

use std::collections::BTreeMap;

use jobyard_core::AttemptId;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct LogIsAPrefix {
    printed: BTreeMap<AttemptId, u64>,
    stored: BTreeMap<AttemptId, u64>,
}

impl Invariant for LogIsAPrefix {
    fn name(&self) -> &'static str {
        "a stored log is a prefix of what was printed"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::Printed { attempt, total } => {
                let printed = self.printed.entry(*attempt).or_default();
                *printed = (*printed).max(*total);
                Ok(())
            }
            Fact::LogStored {
                attempt,
                before,
                from,
                to,
            } => {
                let printed = self.printed.get(attempt).copied().unwrap_or(0);
                let known = self.stored.insert(*attempt, *to).unwrap_or(0);
                if *from > *before || *before != known || *to > printed {
                    return Err(format!(
                        "of {attempt}, {known} bytes are stored and {printed} printed, and {from}..{to} is added at \
                         {before}"
                    ));
                }
                Ok(())
            }
            Fact::OutputDropped {
                attempt,
                wanted,
                kept_from,
            } => Err(format!(
                "{attempt} was asked for its output from {wanted} on, and has dropped it up to {kept_from}"
            )),
            _ => Ok(()),
        }
    }
}
