//! A job goes only to a worker that meets what it requires, and whose exclusive tags it names.

use std::collections::BTreeMap;

use jobyard_core::{AttemptId, TagSet, WorkerId};

use super::Invariant;
use super::placements::Placements;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct WorkersSuit {
    placements: Placements,
    /// What each worker offers, and what of that is exclusive.
    offers: BTreeMap<WorkerId, (TagSet, TagSet)>,
}

impl Invariant for WorkersSuit {
    fn name(&self) -> &'static str {
        "a job goes only to a worker that suits it"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::WorkerExists {
                worker,
                tags,
                exclusive,
                ..
            } => {
                let offer = (tags.clone(), exclusive.clone());
                self.offers.insert(*worker, offer);
            }
            Fact::JobWritten { after, .. } => {
                for (attempt, worker) in self.placements.note(after) {
                    self.check(attempt, worker)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl WorkersSuit {
    fn check(&self, attempt: AttemptId, worker: WorkerId) -> Result<(), String> {
        let (Some(demand), Some((tags, exclusive))) =
            (self.placements.asked(attempt.job), self.offers.get(&worker))
        else {
            return Err(format!(
                "{attempt} is placed on {worker}, and one is unknown"
            ));
        };
        let terms = &demand.wants.draft().requirements;
        if let Some(unmet) = terms.iter().find(|term| !term.is_met_by(tags)) {
            return Err(format!("{attempt} is on {worker}, which fails {unmet}"));
        }
        let unnamed = |tag: &jobyard_core::Tag| !terms.iter().any(|term| term.names(tag));
        match exclusive.iter().find(unnamed) {
            Some(tag) => Err(format!("{attempt} is on {worker} and does not name {tag}")),
            None => Ok(()),
        }
    }
}
