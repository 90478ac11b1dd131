//! I16: each job that waits has a reason.

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct WaitingHasAReason;

impl Invariant for WaitingHasAReason {
    fn name(&self) -> &'static str {
        "each waiting job has a reason"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::WaitExplained {
                job,
                reasons: Some(0),
            } => Err(format!("job {job} waits for no reason")),
            _ => Ok(()),
        }
    }
}
