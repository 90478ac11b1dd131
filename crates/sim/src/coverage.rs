//! What has to occur in many worlds, so that it is known to be tried.

use crate::summary::{Seen, Summary};

/// Each of these has to occur.
const REQUIRED: &[Seen] = &[Seen::event("assign")];

impl Summary {
    /// What should have occurred and never did.
    pub fn missing_transitions(&self) -> Vec<Seen> {
        let missing = |seen: &Seen| !self.transitions.contains_key(seen);
        REQUIRED.iter().copied().filter(missing).collect()
    }
}
