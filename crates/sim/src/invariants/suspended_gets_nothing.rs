//! I13 and I14: no attempt is placed on a worker by a batch after the one that suspended, drained or removed it.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{AdminState, AttemptId, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct SuspendedGetsNothing {
    admin: BTreeMap<WorkerId, AdminState>,
    /// Of the batch under way: new attempts, and workers whose record it writes.
    placed: Vec<(WorkerId, AttemptId)>,
    written: BTreeSet<WorkerId>,
}

impl Invariant for SuspendedGetsNothing {
    fn name(&self) -> &'static str {
        "a worker that is suspended or removed gets nothing"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::WorkerWritten { after } => {
                self.admin.insert(after.id, after.admin);
                self.written.insert(after.id);
            }
            Fact::JobWritten { before, after } => {
                let known = before.as_ref().map_or(0, |before| before.attempts.len());
                let new = after.attempts.iter().skip(known);
                self.placed
                    .extend(new.map(|attempt| (attempt.worker, attempt.id)));
            }
            Fact::BatchEnded => {
                let written = std::mem::take(&mut self.written);
                for (worker, attempt) in std::mem::take(&mut self.placed) {
                    // Within one batch, the two may have happened in either order.
                    let admin = self.admin.get(&worker).copied().unwrap_or_default();
                    if admin != AdminState::Active && !written.contains(&worker) {
                        return Err(format!(
                            "{attempt} is placed on {worker}, which is {admin:?}"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
