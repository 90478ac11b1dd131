//! How many jobs stand where, kept as they change.

use std::collections::BTreeMap;

use jobyard_core::JobState;

/// Jobs of the engine by the name of their state, so that nobody has to walk over a million of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StateCounts(BTreeMap<&'static str, u64>);

impl StateCounts {
    /// A job came in.
    pub(super) fn add(&mut self, state: JobState) {
        *self.0.entry(state.as_str()).or_default() += 1;
    }

    /// A job is dropped.
    pub(super) fn remove(&mut self, state: JobState) {
        if let Some(count) = self.0.get_mut(state.as_str()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(state.as_str());
            }
        }
    }

    /// States that some job is in, with how many.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(state, count)| (*state, *count))
    }
}
