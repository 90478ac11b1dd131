//! A worker that ends, is drained or is exhausted takes nothing, whatever it is told.

use super::Invariant;
use crate::fact::Fact;
use crate::master::Books;

#[derive(Debug)]
pub(super) struct UnwillingTakeNothing;

impl Invariant for UnwillingTakeNothing {
    fn name(&self) -> &'static str {
        "a worker that takes nothing takes nothing"
    }

    fn observe(&mut self, fact: &Fact, _books: &Books) -> Result<(), String> {
        match fact {
            Fact::TakenAmiss { worker, unwilling } => {
                Err(format!("worker {worker} {unwilling}, and takes an attempt"))
            }
            _ => Ok(()),
        }
    }
}
