//! Specs that are likely to be sent soon. The store has them all; this saves a read for most.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jobyard_core::{JobId, ValidSpec};

/// How many specs are kept: those of the jobs that came last.
const MAX_SPECS: usize = 4_096;

/// How many bytes of executor configuration they may hold together.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A bounded cache; the oldest leaves first.
#[derive(Debug, Default)]
pub(super) struct SpecCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    specs: HashMap<JobId, ValidSpec>,
    order: VecDeque<JobId>,
    bytes: usize,
}

impl SpecCache {
    pub(super) fn insert(&self, job: JobId, spec: ValidSpec) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = spec.executor.config.len();
        if bytes > MAX_BYTES || inner.specs.contains_key(&job) {
            return;
        }
        inner.bytes += bytes;
        inner.specs.insert(job, spec);
        inner.order.push_back(job);
        while inner.order.len() > MAX_SPECS || inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            if let Some(spec) = inner.specs.remove(&oldest) {
                inner.bytes -= spec.executor.config.len();
            }
        }
    }

    pub(super) fn get(&self, job: JobId) -> Option<ValidSpec> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .specs
            .get(&job)
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::JobSpec;
    use uuid::Uuid;

    #[test]
    fn the_oldest_leaves_first() {
        let cache = SpecCache::default();
        let spec = JobSpec::default().validate().expect("valid");
        let id = |n| JobId::from_uuid(Uuid::from_u128(n));
        for n in 0..=MAX_SPECS as u128 {
            cache.insert(id(n), spec.clone());
        }
        assert!(cache.get(id(0)).is_none());
        assert!(cache.get(id(1)).is_some());
    }
}
