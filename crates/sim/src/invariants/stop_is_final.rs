//! After a client was told that a stop is accepted, the job gets no new attempt.

use std::collections::BTreeMap;

use jobyard_core::JobId;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct StopIsFinal {
    /// How many attempts a job had when its stop was acknowledged.
    stopped: BTreeMap<JobId, usize>,
}

impl Invariant for StopIsFinal {
    fn name(&self) -> &'static str {
        "a stopped job gets no new attempt"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::StopAcknowledged { job } => {
                let record = books.jobs.get(job).map(|(record, _)| record);
                let record = record.ok_or_else(|| format!("job {job} is stopped and unknown"))?;
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
            }
            _ => {}
        }
        Ok(())
    }
}
