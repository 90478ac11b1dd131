//! I5: two attempts of a job run at the same time only if that is declared: the earlier one has ended in the records, and
//! they say that something of it may still run. Of a job that must not outlive its lease (`on_disconnect = "stop"`) two
//! never do.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AttemptId, JobId, OnDisconnect, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct NoUndeclaredOverlap {
    running: BTreeMap<JobId, BTreeSet<(AttemptId, WorkerId)>>,
}

impl Invariant for NoUndeclaredOverlap {
    fn name(&self) -> &'static str {
        "two attempts of a job overlap only if that is declared"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::ProcessStarted {
                worker, attempt, ..
            } => {
                let running = self.running.entry(attempt.job).or_default();
                let other = running.first().copied();
                running.insert((*attempt, *worker));
                other.map_or(Ok(()), |(other, _)| judge(books, other, *attempt))
            }
            Fact::ProcessEnded {
                worker, attempt, ..
            } => {
                if let Some(running) = self.running.get_mut(&attempt.job) {
                    running.remove(&(*attempt, *worker));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn judge(books: &Books, one: AttemptId, other: AttemptId) -> Result<(), String> {
    let Some((record, _)) = books.jobs.get(&one.job) else {
        return Ok(());
    };
    if record.demand.on_disconnect == OnDisconnect::Stop {
        return Err(format!(
            "{one} and {other} run at once, and their job forbids it"
        ));
    }
    let earlier = one.min(other);
    let kept = record.attempts.iter().find(|attempt| attempt.id == earlier);
    let residue = kept.and_then(|attempt| attempt.residue.as_ref());
    if residue.is_some_and(|residue| residue.unconfirmed) {
        return Ok(());
    }
    Err(format!(
        "{one} and {other} run at once, and nothing declares it"
    ))
}
