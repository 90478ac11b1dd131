//! I9: the engine's own tables agree with each other and with its scheduler.

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct TablesAgree;

impl Invariant for TablesAgree {
    fn name(&self) -> &'static str {
        "the engine's tables agree"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::TablesAudited(result) => result.clone(),
            _ => Ok(()),
        }
    }
}
