//! Each attempt but the first says which ending it follows and who paid, and no budget pays more often than it may; a job
//! that is not repeatable is never paid for once it may have begun.

use jobyard_core::RetryBudget;
use jobyard_master::records::JobRecord;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct RetriesArePaid;

impl Invariant for RetriesArePaid {
    fn name(&self) -> &'static str {
        "every retry is paid for"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::JobWritten { after, .. } => judge(after),
            _ => Ok(()),
        }
    }
}

fn judge(job: &JobRecord) -> Result<(), String> {
    let (mut infra, mut own) = (0, 0);
    for pair in job.attempts.windows(2) {
        let [ended, next] = pair else { continue };
        let Some(retry) = next.retry else {
            return Err(format!("{} does not say why it is", next.id));
        };
        if Some(retry.outcome) != ended.outcome || retry.after != ended.id.number {
            return Err(format!("{} follows something else than {retry:?}", next.id));
        }
        match retry.outcome.rule().budget {
            RetryBudget::Infra => infra += 1,
            RetryBudget::User => own += 1,
            RetryBudget::Free => {}
            RetryBudget::Final => return Err(format!("{} follows a final end", next.id)),
        }
        if !job.demand.repeatable && ended.started_at.is_some() {
            return Err(format!("{} follows {}, which began", next.id, ended.id));
        }
    }
    if infra > job.demand.infra_retries || own > job.demand.retries {
        return Err(format!(
            "job {} was run again {infra} and {own} times, of {} and {} that it may",
            job.id, job.demand.infra_retries, job.demand.retries
        ));
    }
    Ok(())
}
