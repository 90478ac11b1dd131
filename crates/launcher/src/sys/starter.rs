//! What starts have in common.

use std::sync::Arc;

use super::low_fds::LowFds;
use super::vfork::ChildStack;
use super::{Inherited, Newborn};

/// What a thread needs to start children: what is to be known of this process, and what belongs to the thread alone. Two
/// threads that start at the same time have one each.
#[derive(Debug)]
pub(crate) struct Starter {
    /// What children would have of this process.
    pub(super) inherited: Arc<Inherited>,
    /// Where a child lives that borrows the memory of this process.
    pub(super) stack: ChildStack,
    /// What its children need, in low numbers. `None`: they copy all that this process has open.
    pub(super) low: Option<LowFds>,
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
            low: None,
            newborn: Newborn::default(),
        }
    }

    /// The same for another thread, which starts many. Best made before much is open, since it keeps low descriptors.
    pub(crate) fn another(&self) -> Self {
        Self {
            inherited: Arc::clone(&self.inherited),
            stack: ChildStack::new(),
            low: LowFds::reserve(),
            newborn: Newborn::default(),
        }
    }

    /// Which child it made last, for others to see.
    pub(crate) fn newborn(&self) -> Newborn {
        self.newborn.clone()
    }
}
