//! I12: a worker never serves a master of an earlier term than one that it has served.

use std::collections::BTreeMap;

use jobyard_core::{Epoch, WorkerId};

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct TermsOnlyRise {
    served: BTreeMap<WorkerId, Epoch>,
}

impl Invariant for TermsOnlyRise {
    fn name(&self) -> &'static str {
        "a worker serves later terms only"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        let Fact::Served { worker, epoch } = fact else {
            return Ok(());
        };
        match self.served.insert(*worker, *epoch) {
            Some(before) if before > *epoch => Err(format!(
                "worker {worker} has served term {before} and now serves {epoch}"
            )),
            _ => Ok(()),
        }
    }
}
