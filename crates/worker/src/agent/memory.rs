//! Attempts that are gone, so that none of them is taken for new.

use std::collections::{BTreeMap, VecDeque};

use jobyard_core::{AttemptId, AttemptNumber, JobId};

/// How many jobs of the past a worker remembers. A master repeats an assignment only while it does not know what
/// became of it, which is a matter of the last reconnects; this is as many as can be under way at once.
pub(crate) const MAX_REMEMBERED: usize = jobyard_core::MAX_INVENTORY;

/// The highest attempt number of each recent job that this worker had, or refused; the oldest job is dropped first.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    highest: BTreeMap<JobId, AttemptNumber>,
    order: VecDeque<JobId>,
}

impl Memory {
    pub(super) fn remember(&mut self, attempt: AttemptId) {
        if let Some(number) = self.highest.get_mut(&attempt.job) {
            *number = attempt.number.max(*number);
            return;
        }
        if self.order.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.highest.remove(&oldest);
        }
        self.order.push_back(attempt.job);
        self.highest.insert(attempt.job, attempt.number);
    }

    /// Whether this attempt, or a later one of its job, is one of the past.
    pub(super) fn knows(&self, attempt: AttemptId) -> bool {
        self.highest
            .get(&attempt.job)
            .is_some_and(|number| *number >= attempt.number)
    }
}
