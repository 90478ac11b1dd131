//! I14: after an operator was told that a worker is drained, no process starts there, in flight or not, until it is resumed.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AdminState, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct DrainedStartsNothing {
    names: BTreeMap<String, WorkerId>,
    drained: BTreeSet<WorkerId>,
}

impl Invariant for DrainedStartsNothing {
    fn name(&self) -> &'static str {
        "a worker that is drained starts nothing"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::WorkerWritten { after } => {
                self.names.insert(after.name.clone(), after.id);
                if after.admin != AdminState::Draining {
                    self.drained.remove(&after.id);
                }
            }
            Fact::DrainAcknowledged { worker } => {
                let id = self.names.get(worker).copied();
                let record = id.and_then(|id| books.workers.get(&id));
                // A later order may be durable by now.
                let drains = record.filter(|record| record.admin == AdminState::Draining);
                self.drained.extend(drains.map(|record| record.id));
            }
            Fact::ProcessStarted {
                worker, attempt, ..
            } if self.drained.contains(worker) => {
                return Err(format!("{attempt} starts on {worker}, which is drained"));
            }
            _ => {}
        }
        Ok(())
    }
}
