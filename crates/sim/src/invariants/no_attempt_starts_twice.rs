//! I1: at most one process is ever created for an attempt, on whatever worker, through every crash.

use std::collections::BTreeMap;

use jobyard_core::{AttemptId, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct NoAttemptStartsTwice {
    started: BTreeMap<AttemptId, WorkerId>,
}

impl Invariant for NoAttemptStartsTwice {
    fn name(&self) -> &'static str {
        "no attempt starts twice"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::ProcessStarted {
            worker, attempt, ..
        } = fact
        else {
            return Ok(());
        };
        match self.started.insert(*attempt, *worker) {
            Some(first) => Err(format!(
                "attempt {attempt} was started on worker {first} and again on {worker}"
            )),
            None => Ok(()),
        }
    }
}
