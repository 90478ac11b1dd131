//! Specs that are likely to be sent soon, by their content. The store has them all; this saves a read for most.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jobyard_core::ValidSpec;

use crate::records::SpecDigest;

/// How many different specs are kept.
const MAX_SPECS: usize = 65_536;

/// How many bytes of executor configuration they may hold together.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A bounded cache; the oldest leaves first, since jobs are sent in about the order in which they came. The key is the
/// digest of the content, so whatever was submitted and refused under some job's id cannot take that job's place.
#[derive(Debug, Default)]
pub(super) struct SpecCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    specs: HashMap<SpecDigest, ValidSpec>,
    order: VecDeque<SpecDigest>,
    bytes: usize,
}

impl SpecCache {
    /// Keeps a spec whose digest this is.
    pub(super) fn insert(&self, digest: &SpecDigest, spec: ValidSpec) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.specs.contains_key(digest) {
            return;
        }
        inner.bytes += spec.executor.config.len();
        inner.specs.insert(digest.clone(), spec);
        inner.order.push_back(digest.clone());
        while inner.order.len() > MAX_SPECS || inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            if let Some(spec) = inner.specs.remove(&oldest) {
                inner.bytes -= spec.executor.config.len();
            }
        }
    }

    /// The spec with this content.
    pub(super) fn get(&self, digest: &SpecDigest) -> Option<ValidSpec> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.specs.get(digest).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::{ExecutorSpec, JobSpec, MAX_CONFIG_BYTES};

    #[test]
    fn the_oldest_leaves_when_there_is_no_room() {
        let config = "x".repeat(MAX_CONFIG_BYTES);
        let spec = JobSpec::new(ExecutorSpec::new("process", config))
            .validate()
            .expect("valid");
        let digest = |number: usize| SpecDigest(number.to_string());
        let cache = SpecCache::default();
        let room = MAX_BYTES / MAX_CONFIG_BYTES;
        for number in 0..=room {
            cache.insert(&digest(number), spec.clone());
        }
        assert!(cache.get(&digest(0)).is_none());
        assert!(cache.get(&digest(1)).is_some());
        assert!(cache.get(&digest(room)).is_some());
    }
}
