//! I11: a job id means the same job for ever: what it asks for never changes, and it is accepted once, also when it was
//! removed since.

use std::collections::BTreeMap;

use jobyard_core::JobId;
use jobyard_master::records::SpecDigest;

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug, Default)]
pub(super) struct SameIdSameJob {
    known: BTreeMap<JobId, SpecDigest>,
}

impl Invariant for SameIdSameJob {
    fn name(&self) -> &'static str {
        "the same job id means the same job"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        if let Fact::ImpostorAccepted { job } = fact {
            return Err(format!("another job was accepted under the id {job}"));
        }
        let Fact::JobWritten { before, after } = fact else {
            return Ok(());
        };
        match self.known.insert(after.id, after.digest.clone()) {
            Some(digest) if digest != after.digest => {
                Err(format!("job {} asks for something else now", after.id))
            }
            Some(_) if before.is_none() => Err(format!("job {} was accepted twice", after.id)),
            _ => Ok(()),
        }
    }
}
