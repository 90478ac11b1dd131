//! The logs that were used recently.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use jobyard_core::AttemptId;

use super::log::Log;

/// How many logs are kept in memory although nobody uses them: some hundred bytes each, more for long ones. Those in
/// use come on top; their users are bounded elsewhere.
pub(crate) const IDLE_LOGS: usize = 8_192;

/// Finds the one [`Log`] of an attempt, so that all who use it see the same.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logs: HashMap<AttemptId, Arc<Log>>,
    uses: u64,
    /// When to look for logs to forget next: at this many. Grows when all are in use, so that looking stays cheap.
    crowded: usize,
}

impl Cache {
    /// The log of an attempt.
    pub(crate) fn log(&self, attempt: AttemptId) -> Arc<Log> {
        // Every change under the lock is whole before anything can panic.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let uses = state.uses;
        let log = state
            .logs
            .entry(attempt)
            .or_insert_with(|| Arc::new(Log::new(attempt)));
        log.used.store(uses, Ordering::Relaxed);
        let log = Arc::clone(log);
        if state.logs.len() > state.crowded.max(IDLE_LOGS) {
            state.forget_some();
        }
        log
    }
}

impl State {
    /// Forgets the older half of the logs that nobody uses. Only the map can hand out a log, and it is locked.
    fn forget_some(&mut self) {
        let mut idle: Vec<(u64, AttemptId)> = self
            .logs
            .iter()
            .filter(|(_, log)| Arc::strong_count(log) == 1)
            .map(|(attempt, log)| (log.used.load(Ordering::Relaxed), *attempt))
            .collect();
        idle.sort_unstable();
        for (_, attempt) in &idle[..idle.len().div_ceil(2)] {
            self.logs.remove(attempt);
        }
        self.crowded = self.logs.len() + IDLE_LOGS / 2;
    }
}

#[cfg(test)]
mod tests {
    use jobyard_core::{AttemptNumber, JobId};

    use super::*;

    fn attempt(number: u128) -> AttemptId {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(number));
        AttemptId::new(job, AttemptNumber::FIRST)
    }

    #[test]
    fn forget_idle_logs_and_keep_those_in_use() {
        let cache = Cache::default();
        let used: Vec<_> = (0..100).map(|number| cache.log(attempt(number))).collect();
        for number in 100..4 * IDLE_LOGS as u128 {
            cache.log(attempt(number));
        }
        let held = cache.state.lock().unwrap().logs.len();
        assert!(held <= 2 * IDLE_LOGS, "{held} logs are held");
        for (number, log) in (0..).zip(&used) {
            assert!(Arc::ptr_eq(log, &cache.log(attempt(number))));
        }
    }
}
