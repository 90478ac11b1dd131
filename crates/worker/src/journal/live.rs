//! What of the journal still counts.

use std::collections::{BTreeMap, VecDeque};

use jobyard_core::{AttemptId, MAX_INVENTORY};

use crate::agent::JournalEntry;

/// How many attempts of the past stay in a rewritten journal: as many as an agent remembers.
const MAX_FORGOTTEN: usize = MAX_INVENTORY;

/// The lines of a journal without those that later ones have superseded. Bounded by what an agent may hold.
#[derive(Debug, Default)]
pub(super) struct Live {
    attempts: BTreeMap<AttemptId, Lines>,
    forgotten: VecDeque<String>,
    max_epoch: Option<String>,
    lease: Option<String>,
    /// Attempts that left something behind; an agent keeps a few of them.
    tainted: BTreeMap<AttemptId, String>,
}

#[derive(Debug, Default)]
struct Lines {
    first: String,
    started: Option<String>,
}

impl Live {
    /// Takes an entry and the line that it was written as.
    pub(super) fn add(&mut self, entry: &JournalEntry, line: String) {
        match entry {
            JournalEntry::Accepted { attempt, .. } => {
                self.attempts.insert(
                    *attempt,
                    Lines {
                        first: line,
                        started: None,
                    },
                );
            }
            JournalEntry::Started { attempt, .. } => {
                if let Some(lines) = self.attempts.get_mut(attempt) {
                    lines.started = Some(line);
                }
            }
            JournalEntry::Finished(report) => {
                self.attempts.insert(
                    report.attempt,
                    Lines {
                        first: line,
                        started: None,
                    },
                );
            }
            JournalEntry::Forgotten { attempt } => {
                self.attempts.remove(attempt);
                if self.forgotten.len() >= MAX_FORGOTTEN {
                    self.forgotten.pop_front();
                }
                self.forgotten.push_back(line);
            }
            JournalEntry::Tainted { attempt, .. } => drop(self.tainted.insert(*attempt, line)),
            JournalEntry::Untainted { attempt } => drop(self.tainted.remove(attempt)),
            JournalEntry::Lease { .. } => self.lease = Some(line),
            JournalEntry::MaxEpoch(_) => self.max_epoch = Some(line),
        }
    }

    /// Every line, in an order that reads back as the same state.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        let attempts = self.attempts.values();
        let of_attempts = attempts.flat_map(|lines| [Some(&lines.first), lines.started.as_ref()]);
        self.max_epoch
            .iter()
            .chain(&self.lease)
            .chain(&self.forgotten)
            .chain(self.tainted.values())
            .chain(of_attempts.flatten())
            .map(String::as_str)
    }
}
