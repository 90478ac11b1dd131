//! Events have one place each in one sequence without a gap, across all terms, and tell of what is durable with them.

use jobyard_core::Happening;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct EventsHaveNoGap {
    last: u64,
    ended: Vec<jobyard_core::JobId>,
}

impl Invariant for EventsHaveNoGap {
    fn name(&self) -> &'static str {
        "events have no gap and tell the truth"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::EventsWritten { events } => {
                for event in events {
                    if event.seq != self.last + 1 {
                        return Err(format!("after event {} comes {}", self.last, event.seq));
                    }
                    self.last = event.seq;
                    if let Happening::JobFinished { job_id, .. } = event.what {
                        self.ended.push(job_id);
                    }
                }
            }
            Fact::BatchEnded => {
                for job in std::mem::take(&mut self.ended) {
                    let record = books.jobs.get(&job).map(|(record, _)| record);
                    if record.is_some_and(|record| record.outcome.is_none()) {
                        return Err(format!("an event says that job {job} is finished"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
