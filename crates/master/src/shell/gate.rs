//! Who was removed, and who may upload what: asked for each request, changed by effects.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use jobyard_core::{AttemptId, WorkerId};

/// The registry snapshot that requests are checked against.
///
/// It holds those who were removed, not the members: a worker that hears that it was removed kills its jobs and deletes
/// its key. One that is only unknown, because a term is being loaded or because the records are lost, is no such
/// worker: the engine refuses its session, and it keeps what it has.
#[derive(Debug, Default)]
pub(super) struct Gate {
    removed: RwLock<HashSet<WorkerId>>,
    grants: RwLock<HashMap<AttemptId, WorkerId>>,
}

impl Gate {
    /// Forgets the grants, at the start of a term. A removal is for good.
    pub(super) fn clear_grants(&self) {
        self.grants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn set_member(&self, worker: WorkerId, member: bool) {
        let mut removed = self.removed.write().unwrap_or_else(PoisonError::into_inner);
        if member {
            removed.remove(&worker);
        } else {
            removed.insert(worker);
        }
    }

    /// False only for a worker that was removed.
    pub(super) fn is_member(&self, worker: WorkerId) -> bool {
        let removed = self.removed.read().unwrap_or_else(PoisonError::into_inner);
        !removed.contains(&worker)
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

#[cfg(test)]
mod tests {
    use jobyard_core::{AttemptNumber, JobId};
    use uuid::Uuid;

    use super::*;

    fn worker(n: u128) -> WorkerId {
        WorkerId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_new_term_and_lost_records_remove_nobody() {
        let gate = Gate::default();
        assert!(gate.is_member(worker(1)), "it is unknown, not removed");
        gate.set_member(worker(2), true);
        gate.set_member(worker(3), false);
        gate.clear_grants();
        assert!(gate.is_member(worker(2)));
        assert!(!gate.is_member(worker(3)), "a removal is for good");
    }

    #[test]
    fn a_new_term_grants_no_uploads_of_the_one_before() {
        let gate = Gate::default();
        let attempt = AttemptId::new(JobId::from_uuid(Uuid::nil()), AttemptNumber::FIRST);
        gate.grant(attempt, worker(1));
        assert!(gate.may_upload(worker(1), attempt));
        gate.clear_grants();
        assert!(!gate.may_upload(worker(1), attempt));
    }
}
