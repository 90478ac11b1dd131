//! I6: what is stored of an attempt's output is a prefix of what it has printed, byte for byte and without a hole; and
//! nothing is dropped before it is stored.

use std::collections::BTreeMap;

use jobyard_core::AttemptId;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct LogIsAPrefix {
    logs: BTreeMap<AttemptId, Log>,
}

#[derive(Debug, Default)]
struct Log {
    printed: Vec<u8>,
    stored: u64,
}

impl Invariant for LogIsAPrefix {
    fn name(&self) -> &'static str {
        "a stored log is a prefix of what was printed"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::Printed { attempt, bytes } => {
                let log = self.logs.entry(*attempt).or_default();
                log.printed.extend_from_slice(bytes);
                Ok(())
            }
            Fact::LogStored {
                attempt,
                before,
                from,
                bytes,
            } => {
                let log = self.logs.entry(*attempt).or_default();
                let (known, to) = (log.stored, from + bytes.len() as u64);
                log.stored = known.max(to);
                let begin = usize::try_from(*from).unwrap_or(usize::MAX);
                let printed = log.printed.get(begin..).unwrap_or_default();
                if from <= before && *before == known && printed.starts_with(bytes) {
                    return Ok(());
                }
                Err(format!(
                    "of {attempt}, {known} bytes are stored and {} printed, and {from}..{to} is added at {before}, \
                     which is{} what was printed there",
                    log.printed.len(),
                    if printed.starts_with(bytes) {
                        ""
                    } else {
                        " not"
                    },
                ))
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
