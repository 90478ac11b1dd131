//! A call has one effect in a term, however often it is repeated. A drain that was refused, since something else was done
//! to its worker before it was answered, may be tried again.

use std::collections::BTreeSet;

use jobyard_core::{Happening, JobId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct CallsCountOnce {
    /// What somebody has done in this term: each call has a caller of its own.
    done: BTreeSet<(String, &'static str, Option<JobId>)>,
}

impl Invariant for CallsCountOnce {
    fn name(&self) -> &'static str {
        "a repeated call has one effect"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::EventsWritten { events } = fact else {
            return Ok(());
        };
        for event in events {
            let (by, what, job) = match &event.what {
                Happening::TermBegan { .. } => {
                    self.done.clear();
                    continue;
                }
                Happening::JobSubmitted { by, job_id, .. } => (by, "submitted", Some(*job_id)),
                Happening::JobStopping { by, job_id, .. } => (by, "stopped", Some(*job_id)),
                Happening::WorkerSuspended { by, .. } => (by, "suspended", None),
                Happening::WorkerResumed { by, .. } => (by, "resumed", None),
                Happening::QueueChanged { by, .. } => (by, "set", None),
                _ => continue,
            };
            if !self.done.insert((by.clone(), what, job)) {
                return Err(format!(
                    "what {by} asked for was done twice: {what} {job:?}"
                ));
            }
        }
        Ok(())
    }
}
