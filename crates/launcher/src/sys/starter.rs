//! What starts have in common.

use std::sync::Arc;

use super::vfork::{ChildStack, Named};
use super::{Inherited, Newborn};

/// What a thread needs to start children: what is to be known of this process, and what belongs to the thread alone. Two
/// threads that start at the same time have one each.
#[derive(Debug)]
pub(crate) struct Starter {
    /// What children would have of this process.
    pub(super) inherited: Arc<Inherited>,
    /// Where a child lives that borrows the memory of this process.
    pub(super) stack: ChildStack,
    /// Whether its children have the table of descriptors of this process at first. If not, they copy all that it has open.
    pub(super) shares_table: bool,
    /// How its children are told apart.
    pub(super) named: Named,
    /// Which child was made last, until that was told.
    pub(super) newborn: Newborn,
}

impl Starter {
    /// Looks at this process. Whoever changes it later looks again. What it starts has copies of all
    /// that is open.
    pub(crate) fn new() -> Self {
        Self {
            inherited: Arc::new(Inherited::look()),
            stack: ChildStack::new(),
            shares_table: false,
            named: Named::ByDescriptor,
            newborn: Newborn::default(),
        }
    }

    /// The same for another thread, which starts many. What is opened for these should have low numbers.
    pub(crate) fn another(&self) -> Self {
        Self {
            inherited: Arc::clone(&self.inherited),
            stack: ChildStack::new(),
            shares_table: true,
            named: self.named,
            newborn: Newborn::default(),
        }
    }

    /// Gives out no descriptors of its children. For a process in which one thread alone reaps them, and knows by that
    /// whether the number of a child is still its own.
    pub(crate) fn without_descriptors(self) -> Self {
        Self {
            named: Named::ByNumber,
            ..self
        }
    }

    /// Which child it made last, for others to see.
    pub(crate) fn newborn(&self) -> Newborn {
        self.newborn.clone()
    }
}
