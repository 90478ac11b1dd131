//! I13: no worker is welcomed that was removed, that has served a newer term, or that the master cannot talk to.

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct OnlyTheFitAreWelcomed;

impl Invariant for OnlyTheFitAreWelcomed {
    fn name(&self) -> &'static str {
        "only workers that may are welcomed"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::Welcomed {
                worker,
                unfit: Some(why),
            } => Err(format!("worker {worker} is welcomed and {why}")),
            _ => Ok(()),
        }
    }
}
