//! Who is a member, and who may upload what: asked for each request, changed by effects.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use jobyard_core::{AttemptId, WorkerId};

/// The registry snapshot that requests are checked against.
#[derive(Debug, Default)]
pub(super) struct Gate {
    members: RwLock<HashSet<WorkerId>>,
    grants: RwLock<HashMap<AttemptId, WorkerId>>,
}

impl Gate {
    /// Forgets everything, at the start of a term.
    pub(super) fn clear(&self) {
        self.members
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.grants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn set_member(&self, worker: WorkerId, member: bool) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if member {
            members.insert(worker);
        } else {
            members.remove(&worker);
        }
    }

    pub(super) fn is_member(&self, worker: WorkerId) -> bool {
        self.members
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&worker)
    }

    pub(super) fn grant(&self, attempt: AttemptId, worker: WorkerId) {
        self.grants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(attempt, worker);
    }

    pub(super) fn revoke(&self, attempt: AttemptId) {
        self.grants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&attempt);
    }

    /// Whether this worker may upload the output of this attempt.
    pub(super) fn may_upload(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        grants.get(&attempt) == Some(&worker)
    }
}
