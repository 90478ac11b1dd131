//! I9: nothing that a worker has, slots or anything else, is given away twice.
//!
//! Twice over: by the books, the attempts that the durable records place on a worker take no more than its machine has.
//! And in fact, the processes that run there of attempts that the records still place there take no more. A
//! process of an attempt that the master has given up (by force, or because it waited long enough) does not count from
//! then on: the master says so in the attempt's record, and the worker ends it as soon as it hears.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AttemptId, Resources, WorkerId};
use jobyard_master::records::JobRecord;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct NothingOversold {
    capacity: BTreeMap<WorkerId, Resources>,
    placed: BTreeMap<WorkerId, BTreeMap<AttemptId, Resources>>,
    running: BTreeMap<WorkerId, BTreeMap<AttemptId, Resources>>,
    /// Workers that the batch under way has placed something on.
    touched: BTreeSet<WorkerId>,
}

impl Invariant for NothingOversold {
    fn name(&self) -> &'static str {
        "no resource is ever oversold"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::WorkerExists {
                worker, capacity, ..
            } => {
                self.capacity.insert(*worker, capacity.clone());
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
                resources,
                ..
            } => {
                let running = self.running.entry(*worker).or_default();
                running.insert(*attempt, resources.clone());
                let placed = self.placed.get(worker);
                let counts =
                    |attempt: &AttemptId| placed.is_some_and(|placed| placed.contains_key(attempt));
                let running = self.running.get(worker).into_iter().flatten();
                let live = running.filter(|(attempt, _)| counts(attempt));
                self.check(*worker, live, "running")?;
            }
            Fact::ProcessEnded {
                worker, attempt, ..
            } => {
                if let Some(running) = self.running.get_mut(worker) {
                    running.remove(attempt);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl NothingOversold {
    fn note_placement(&mut self, record: &JobRecord) {
        for attempt in &record.attempts {
            let placed = self.placed.entry(attempt.worker).or_default();
            if attempt.outcome.is_none() {
                placed.insert(attempt.id, record.demand.resources().clone());
                self.touched.insert(attempt.worker);
            } else {
                placed.remove(&attempt.id);
            }
        }
    }

    fn check<'a>(
        &self,
        worker: WorkerId,
        attempts: impl Iterator<Item = (&'a AttemptId, &'a Resources)>,
        how: &str,
    ) -> Result<(), String> {
        let attempts: Vec<_> = attempts.collect();
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for (kind, amount) in attempts.iter().flat_map(|(_, takes)| takes.iter()) {
            *used.entry(kind.to_string()).or_default() += amount;
        }
        let has = self.capacity.get(&worker).into_iter();
        let has: BTreeMap<String, u64> = has
            .flat_map(Resources::iter)
            .map(|(kind, amount)| (kind.to_string(), amount))
            .collect();
        let has = |name: &String| has.get(name).copied().unwrap_or(0);
        match used.iter().find(|(name, amount)| **amount > has(name)) {
            None => Ok(()),
            Some((name, amount)) => Err(format!(
                "worker {worker} has {} of {name}, and {amount} is taken by what is {how} there: {attempts:?}",
                has(name)
            )),
        }
    }
}
