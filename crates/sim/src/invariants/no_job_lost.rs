//! I10 and I15: a job that was acknowledged is in the store from then on, and is finished in the end. One that is
//! finished may be removed later, and leaves its tombstone.

use std::collections::BTreeSet;

use jobyard_core::JobId;

use super::{Invariant, Rest};
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct NoJobLost {
    acknowledged: BTreeSet<JobId>,
    finished: BTreeSet<JobId>,
}

impl Invariant for NoJobLost {
    fn name(&self) -> &'static str {
        "no submitted job is lost"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::SubmitAcknowledged { jobs } => {
                self.acknowledged.extend(jobs);
                present(books, jobs)
            }
            Fact::TermBegan => present(books, &self.acknowledged),
            Fact::JobWritten { after, .. } if after.outcome.is_some() => {
                self.finished.insert(after.id);
                Ok(())
            }
            Fact::JobRemoved { key } => {
                let job = key.parse().map_err(|_| format!("{key} is no job"))?;
                if self.finished.contains(&job) && books.tombs.contains_key(&job) {
                    return Ok(());
                }
                Err(format!("the record of job {key} was removed"))
            }
            _ => Ok(()),
        }
    }

    fn at_rest(&mut self, rest: &Rest<'_>) -> Result<(), String> {
        present(rest.books, &self.acknowledged)?;
        for job in &self.acknowledged {
            if rest.books.tombs.contains_key(job) {
                continue;
            }
            let record = rest.books.jobs.get(job).map(|(record, _)| record);
            if record.is_none_or(|record| record.outcome.is_none()) {
                let workers = rest.books.workers.values();
                let workers: Vec<_> = workers.map(|worker| (&worker.name, worker.admin)).collect();
                return Err(format!(
                    "job {job} was acknowledged and never finished: {record:#?} of workers {workers:?}"
                ));
            }
        }
        Ok(())
    }
}

fn present<'a>(books: &Books, jobs: impl IntoIterator<Item = &'a JobId>) -> Result<(), String> {
    let is_there = |job: &JobId| books.jobs.contains_key(job) || books.tombs.contains_key(job);
    match jobs.into_iter().find(|job| !is_there(job)) {
        Some(job) => Err(format!(
            "job {job} was acknowledged and is not in the store"
        )),
        None => Ok(()),
    }
}
