//! Neither side takes a session for alive on which it has heard nothing for a lease, by its own clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jobyard_core::{Steady, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

/// A lease of the slowest clock, and the slowest commit before it is acted upon.
const LONGEST: Duration = Duration::from_secs(9);

#[derive(Debug, Default)]
pub(super) struct SilenceIsNoticed {
    heard: BTreeMap<(WorkerId, bool), Steady>,
    /// Until when a worker, which may be stuck, cannot act.
    held_up: BTreeMap<WorkerId, Steady>,
}

impl Invariant for SilenceIsNoticed {
    fn name(&self) -> &'static str {
        "silence is noticed within a lease"
    }

    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String> {
        match fact {
            Fact::SessionOpened { worker, .. } => {
                self.heard.insert((*worker, true), books.now);
            }
            // A worker that is not welcomed yet waits for that, and longer.
            Fact::Served { worker, .. } => drop(self.heard.insert((*worker, false), books.now)),
            Fact::Heard { worker, by_master } => {
                if let Some(heard) = self.heard.get_mut(&(*worker, *by_master)) {
                    *heard = books.now;
                }
            }
            Fact::SessionOver { worker, by_master } => {
                self.heard.remove(&(*worker, *by_master));
            }
            Fact::TermBegan => self.heard.retain(|(_, by_master), _| !by_master),
            Fact::HeldUp { worker, until } => {
                let held = self.held_up.entry(*worker).or_default();
                *held = (*held).max(*until);
            }
            _ => {}
        }
        for ((worker, by_master), heard) in &self.heard {
            let held = self.held_up.get(worker).copied().unwrap_or_default();
            let since = if *by_master {
                *heard
            } else {
                (*heard).max(held)
            };
            if books.now.since(since) > LONGEST {
                let side = if *by_master {
                    "the master"
                } else {
                    "the worker"
                };
                return Err(format!(
                    "{side} has heard nothing for long, and keeps the session of {worker}"
                ));
            }
        }
        Ok(())
    }
}
