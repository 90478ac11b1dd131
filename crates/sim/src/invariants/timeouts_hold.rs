//! No process outlives its job's timeout and grace, as long as its worker's agent is there.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{AttemptId, Steady, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

/// The answer of the start, an adoption and a kill take their time.
const MOMENT: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct TimeoutsHold {
    running: BTreeMap<AttemptId, (WorkerId, Steady, Duration)>,
    clear_from: BTreeMap<WorkerId, Steady>,
}

impl Invariant for TimeoutsHold {
    fn name(&self) -> &'static str {
        "no job outlives its timeout"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::ProcessStarted {
                worker,
                attempt,
                limit: Some(limit),
                ..
            } => {
                self.running.insert(*attempt, (*worker, books.now, *limit));
            }
            Fact::ProcessEnded { attempt, .. } => drop(self.running.remove(attempt)),
            Fact::HeldUp { worker, until } => {
                let clear = self.clear_from.entry(*worker).or_default();
                *clear = (*clear).max(*until);
            }
            _ => {}
        }
        for (attempt, (worker, since, limit)) in &self.running {
            // The next life of an agent counts anew.
            let clear = self.clear_from.get(worker).copied().unwrap_or_default();
            if books.now.since((*since).max(clear)) > limit.mul_f64(1.2) + MOMENT {
                return Err(format!("{attempt} runs beyond its timeout on {worker}"));
            }
        }
        Ok(())
    }
}
