//! In the end nothing runs, no worker holds anything, no record is still needed, and nobody waits for an answer.

use super::{Invariant, Rest};
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct NothingLeftOver;

impl Invariant for NothingLeftOver {
    fn name(&self) -> &'static str {
        "nothing is left over"
    }

    fn observe(&mut self, _fact: &Fact, _books: &Books) -> Result<(), String> {
        Ok(())
    }

    fn at_rest(&mut self, rest: &Rest<'_>) -> Result<(), String> {
        if !rest.leftovers.is_empty() {
            return Err(rest.leftovers.join("\n"));
        }
        let live = rest.books.jobs.values().find(|(_, live)| *live);
        match live {
            Some((record, _)) => Err(format!("a job is over and still kept: {record:#?}")),
            None => Ok(()),
        }
    }
}
