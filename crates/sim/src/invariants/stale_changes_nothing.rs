//! I4: what is recorded of an attempt is what happened to it, and not to another one; and what runs of an attempt that is
//! over is ended as soon as its worker hears of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{AttemptId, Exit, Outcome, Steady, WorkerId};
use jobyard_master::records::JobRecord;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

/// How long it may take from the master's decision until nothing runs, if nothing holds up the worker: slow commits and
/// late packets, and the time of a kill.
const AT_ONCE: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(super) struct StaleChangesNothing {
    processes: BTreeMap<AttemptId, Process>,
    /// Attempts that are over by the records while they still run, and since when.
    superseded: BTreeMap<AttemptId, Steady>,
    /// Since when each worker has a session, and is not held up.
    in_contact: BTreeMap<WorkerId, Option<Steady>>,
    clear_from: BTreeMap<WorkerId, Steady>,
}

#[derive(Debug)]
struct Process {
    worker: WorkerId,
    end: End,
}

/// Whether a process is gone, and how it ended where somebody saw that.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Runs,
    Gone(Option<Exit>),
}

impl Invariant for StaleChangesNothing {
    fn name(&self) -> &'static str {
        "a stale session or attempt changes nothing and is ended"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::ProcessStarted {
                worker, attempt, ..
            } => {
                let (worker, end) = (*worker, End::Runs);
                self.processes.insert(*attempt, Process { worker, end });
            }
            Fact::ProcessEnded { attempt, exit, .. } => {
                if let Some(process) = self.processes.get_mut(attempt) {
                    process.end = End::Gone(*exit);
                }
                self.superseded.remove(attempt);
            }
            Fact::JobWritten { after, .. } => self.judge(after, books.now)?,
            Fact::SessionOpened { worker, .. } => {
                self.in_contact.insert(*worker, Some(books.now));
            }
            Fact::SessionOver { worker, .. } => drop(self.in_contact.insert(*worker, None)),
            Fact::HeldUp { worker, until } => {
                let clear = self.clear_from.entry(*worker).or_default();
                *clear = (*clear).max(*until);
            }
            Fact::TermBegan => self.in_contact.clear(),
            _ => {}
        }
        self.look(books.now)
    }
}

impl StaleChangesNothing {
    fn judge(&mut self, job: &JobRecord, now: Steady) -> Result<(), String> {
        for attempt in &job.attempts {
            let process = self.processes.get(&attempt.id);
            let runs = process.is_some_and(|process| process.end == End::Runs);
            if runs && attempt.outcome.is_some() {
                self.superseded.entry(attempt.id).or_insert(now);
            }
            let exit = match attempt.outcome {
                Some(Outcome::Succeeded) => Exit::Exited(0),
                Some(Outcome::Failed { exit }) => exit,
                _ => continue,
            };
            if process.is_none_or(|process| process.end != End::Gone(Some(exit))) {
                return Err(format!(
                    "{} is recorded as {:?}, and its process is {process:?}",
                    attempt.id, attempt.outcome
                ));
            }
        }
        Ok(())
    }

    fn look(&self, now: Steady) -> Result<(), String> {
        for (attempt, since) in &self.superseded {
            let Some(process) = self.processes.get(attempt) else {
                continue;
            };
            let Some(Some(contact)) = self.in_contact.get(&process.worker) else {
                continue;
            };
            let clear = self.clear_from.get(&process.worker);
            let clear = clear.copied().unwrap_or_default();
            if now.since((*since).max(*contact).max(clear)) > AT_ONCE && now > clear {
                return Err(format!(
                    "{attempt} has been over for long, its worker {} is in contact, and it still runs",
                    process.worker
                ));
            }
        }
        Ok(())
    }
}
