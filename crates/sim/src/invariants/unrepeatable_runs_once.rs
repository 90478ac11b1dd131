//! Of a job with `repeatable = false` at most one attempt ever has a process: it runs again only when the attempt before
//! it provably never started.

use std::collections::BTreeMap;

use jobyard_core::{AttemptId, JobId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct UnrepeatableRunsOnce {
    ran: BTreeMap<JobId, AttemptId>,
}

impl Invariant for UnrepeatableRunsOnce {
    fn name(&self) -> &'static str {
        "a job that is not repeatable runs once"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::ProcessStarted {
            attempt,
            repeatable: false,
            ..
        } = fact
        else {
            return Ok(());
        };
        match self.ran.insert(attempt.job, *attempt) {
            Some(first) => Err(format!("{first} ran, and now {attempt} does")),
            None => Ok(()),
        }
    }
}
