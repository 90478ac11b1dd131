//! I8: after a client was told that a stop is accepted, the job gets no new attempt, and its outcome says that it was
//! stopped: either the stop wins or the end, and everybody hears the same.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{InfraReason, JobId, Outcome};
use jobyard_master::records::JobRecord;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct StopIsFinal {
    /// How many attempts a job had when its stop was acknowledged.
    stopped: BTreeMap<JobId, usize>,
    /// Jobs that are stopped for certain.
    won: BTreeSet<JobId>,
}

impl Invariant for StopIsFinal {
    fn name(&self) -> &'static str {
        "a stopped job gets no new attempt"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::StopAcknowledged { job, wins } => {
                let record = books.jobs.get(job).map(|(record, _)| record);
                let Some(record) = record else {
                    // Its answer was late, and the job is gone meanwhile.
                    if books.tombs.contains_key(job) {
                        return Ok(());
                    }
                    return Err(format!("job {job} is stopped and unknown"));
                };
                if *wins {
                    self.won.insert(*job);
                    judge(record)?;
                }
                self.stopped.entry(*job).or_insert(record.attempts.len());
            }
            Fact::JobWritten { after, .. } => {
                let stopped = self.stopped.get(&after.id);
                if stopped.is_some_and(|attempts| after.attempts.len() > *attempts) {
                    return Err(format!(
                        "job {} was stopped and has a new attempt",
                        after.id
                    ));
                }
                if self.won.contains(&after.id) {
                    judge(after)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// How a job may end whose stop was accepted.
fn judge(job: &JobRecord) -> Result<(), String> {
    match job.outcome {
        None
        | Some(
            Outcome::Cancelled { .. }
            | Outcome::Infra {
                reason: InfraReason::Forced,
            },
        ) => Ok(()),
        Some(outcome) => Err(format!("job {} was stopped, and is {outcome:?}", job.id)),
    }
}
