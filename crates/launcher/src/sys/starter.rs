//! What starts have in common.

use std::cell::Cell;
use std::time::Duration;

use super::Inherited;

/// What is to be known of this process for starting others, and of how that went lately.
#[derive(Debug)]
pub(crate) struct Starter {
    /// What they would have of it.
    pub(super) inherited: Inherited,
    /// How many more are to be started with a copy.
    copies: Cell<u32>,
}

impl Starter {
    /// Looks at this process. Whoever changes it later looks again.
    pub(crate) fn new() -> Self {
        Self {
            inherited: Inherited::look(),
            copies: Cell::new(0),
        }
    }

    /// Whether the next child may borrow the memory of this process, which stands still meanwhile.
    pub(super) fn may_borrow(&self) -> bool {
        let copies = self.copies.get();
        self.copies.set(copies.saturating_sub(1));
        copies == 0
    }

    /// This process stood still for so long.
    pub(super) fn stood_still(&self, time: Duration) {
        if time > LONGEST_STANDSTILL {
            self.copies.set(COPIES);
        }
    }
}

/// What a start takes on a machine that has a core to spare, with room. On a busy one the child waits for its turn, and
/// it costs everybody less to make a copy than to have the launcher wait with it.
const LONGEST_STANDSTILL: Duration = Duration::from_micros(1500);
/// How many copies are made before it is tried again.
const COPIES: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_long_standstill_copies_are_made_for_a_while() {
        let starter = Starter::new();
        assert!(starter.may_borrow());
        starter.stood_still(LONGEST_STANDSTILL);
        assert!(starter.may_borrow());
        starter.stood_still(LONGEST_STANDSTILL * 2);
        let copies = (0..100).take_while(|_| !starter.may_borrow()).count();
        assert_eq!(copies, 15);
    }
}
