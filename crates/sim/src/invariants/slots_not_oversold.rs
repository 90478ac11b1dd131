//! A worker's slots are never given away twice.
//!
//! Twice over: by the books, the attempts that the durable records place on a worker take no more slots than its machine
//! has. And in fact, the processes that run there of attempts that the records still place there take no more. A
//! process of an attempt that the master has given up (by force, or because it waited long enough) does not count from
//! then on: the master says so in the attempt's record, and the worker ends it as soon as it hears.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AttemptId, WorkerId};
use jobyard_master::records::JobRecord;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct SlotsNotOversold {
    slots: BTreeMap<WorkerId, u32>,
    placed: BTreeMap<WorkerId, BTreeMap<AttemptId, u32>>,
    running: BTreeMap<WorkerId, BTreeMap<AttemptId, u32>>,
    /// Workers that the batch under way has placed something on.
    touched: BTreeSet<WorkerId>,
}

impl Invariant for SlotsNotOversold {
    fn name(&self) -> &'static str {
        "slots are never oversold"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::WorkerExists { worker, slots } => {
                self.slots.insert(*worker, *slots);
            }
            Fact::JobWritten { after, .. } => self.note_placement(after),
            Fact::BatchEnded => {
                for worker in std::mem::take(&mut self.touched) {
                    let placed = self.placed.get(&worker);
                    self.check(worker, placed.into_iter().flatten(), "placed")?;
                }
            }
            Fact::ProcessStarted {
                worker,
                attempt,
                slots,
                ..
            } => {
                let running = self.running.entry(*worker).or_default();
                running.insert(*attempt, *slots);
                let placed = self.placed.get(worker);
                let counts =
                    |attempt: &AttemptId| placed.is_some_and(|placed| placed.contains_key(attempt));
                let running = self.running.get(worker).into_iter().flatten();
                let live = running.filter(|(attempt, _)| counts(attempt));
                self.check(*worker, live, "running")?;
            }
            Fact::ProcessEnded { worker, attempt } => {
                if let Some(running) = self.running.get_mut(worker) {
                    running.remove(attempt);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl SlotsNotOversold {
    fn note_placement(&mut self, record: &JobRecord) {
        for attempt in &record.attempts {
            let placed = self.placed.entry(attempt.worker).or_default();
            if attempt.outcome.is_none() {
                placed.insert(attempt.id, record.demand.slots);
                self.touched.insert(attempt.worker);
            } else {
                placed.remove(&attempt.id);
            }
        }
    }

    fn check<'a>(
        &self,
        worker: WorkerId,
        attempts: impl Iterator<Item = (&'a AttemptId, &'a u32)>,
        how: &str,
    ) -> Result<(), String> {
        let attempts: Vec<_> = attempts.collect();
        let used: u32 = attempts.iter().map(|(_, slots)| **slots).sum();
        let offered = self.slots.get(&worker).copied().unwrap_or(0);
        if used <= offered {
            return Ok(());
        }
        Err(format!(
            "worker {worker} has {offered} slots, and {used} are taken by what is {how} there: {attempts:?}"
        ))
    }
}
