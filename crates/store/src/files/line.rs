//! Logs that wait for a chore.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobyard_core::AttemptId;
use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard, Notify};

/// How many logs wait to be looked at. If there are more, the directory is looked through for them when these are done.
const MAX_WAITING: usize = 65_536;

/// The logs that wait for one kind of work, each once.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: Mutex<Waiting>,
    wake: Notify,
    turn: Turn<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: VecDeque<AttemptId>,
    /// Those that failed, until it is time to try again.
    later: Vec<AttemptId>,
    /// All of both.
    known: HashSet<AttemptId>,
    /// There were more.
    left_out: bool,
}

impl Line {
    /// There is something to do about a log.
    pub(super) fn add(&self, attempt: AttemptId) {
        let mut waiting = self.waiting();
        if waiting.known.contains(&attempt) {
            return;
        }
        if waiting.known.len() >= MAX_WAITING {
            waiting.left_out = true;
        } else {
            waiting.known.insert(attempt);
            waiting.next.push_back(attempt);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Whether there is more than was remembered.
    pub(super) fn set_left_out(&self, left_out: bool) {
        self.waiting().left_out = left_out;
    }

    /// Whether there is more than was remembered.
    pub(super) fn has_left_out(&self) -> bool {
        self.waiting().left_out
    }

    /// Whoever works at what waits has this.
    pub(super) async fn turn(&self) -> TurnGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Returns when something was added since the last time. Cancel-safe.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The next log to work at.
    pub(super) fn next(&self) -> Option<Taken<'_>> {
        let mut waiting = self.waiting();
        let attempt = waiting.next.pop_front()?;
        waiting.known.remove(&attempt);
        Some(Taken {
            line: self,
            attempt,
            is_settled: false,
        })
    }

    /// It is time to try those again that failed.
    pub(super) fn resume(&self) {
        let mut waiting = self.waiting();
        let later = std::mem::take(&mut waiting.later);
        waiting.next.extend(later);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change under the lock is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log that somebody works at. Dropped, it is the next one again.
#[derive(Debug)]
pub(super) struct Taken<'l> {
    line: &'l Line,
    attempt: AttemptId,
    is_settled: bool,
}

impl Taken<'_> {
    /// Whose log it is.
    pub(super) const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Nothing more is to be done, unless somebody has said so meanwhile.
    pub(super) fn done(mut self) {
        self.is_settled = true;
    }

    /// It waits until the next [`Line::resume`].
    pub(super) fn put_off(mut self) {
        self.is_settled = true;
        let mut waiting = self.line.waiting();
        if waiting.known.insert(self.attempt) {
            waiting.later.push(self.attempt);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut waiting = self.line.waiting();
        if waiting.known.insert(self.attempt) {
            waiting.next.push_front(self.attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use jobyard_core::{AttemptNumber, JobId};

    use super::*;

    fn attempt(job: u128) -> AttemptId {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(job));
        AttemptId::new(job, AttemptNumber::FIRST)
    }

    #[test]
    fn what_was_dropped_is_next_and_what_was_put_off_waits() {
        let line = Line::default();
        for job in [1, 2, 2, 3] {
            line.add(attempt(job));
        }
        drop(line.next().expect("the first"));
        let first = line.next().expect("the first again");
        assert_eq!(first.attempt(), attempt(1));
        first.put_off();
        line.add(attempt(1));
        for job in [2, 3] {
            let next = line.next().expect("another");
            assert_eq!(next.attempt(), attempt(job));
            next.done();
        }
        assert!(line.next().is_none());
        line.resume();
        assert_eq!(line.next().expect("again").attempt(), attempt(1));
    }

    #[test]
    fn what_waits_is_bounded() {
        let line = Line::default();
        for job in 0..=MAX_WAITING as u128 {
            assert!(!line.has_left_out());
            line.add(attempt(job));
        }
        assert!(line.has_left_out());
        assert_eq!(line.waiting().known.len(), MAX_WAITING);
    }
}
