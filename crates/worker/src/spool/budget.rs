//! What gives way when all output together needs more room than it may have.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};

use jobyard_core::AttemptId;
use tokio::sync::Notify;

/// How much room the spool of a worker may take unless it is told otherwise: ten attempts that print as much as they may
/// by default while their master is away.
pub const DEFAULT_SPOOL_BUDGET: u64 = 10 << 30;

/// What the master does not have of an attempt's output is kept up to this size, whatever others print: enough for the
/// output of most jobs, and little even for many.
pub const GUARANTEED_BYTES: u64 = 1 << 20;

/// The room that all output of a worker may take, and takes.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    used: AtomicU64,
    exceeded: Notify,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            bytes,
            used: AtomicU64::new(0),
            exceeded: Notify::new(),
        }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What all output takes.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A log that took `before` takes `now`.
    pub(super) fn count(&self, before: u64, now: u64) {
        if now < before {
            self.used.fetch_sub(before - now, Ordering::Relaxed);
        } else if now > before {
            let others = self.used.fetch_add(now - before, Ordering::Relaxed);
            if others.saturating_add(now - before) > self.bytes {
                self.exceeded.notify_one();
            }
        }
    }

    /// Returns when a log has grown beyond what all may take. Cancel-safe.
    pub(crate) async fn exceeded(&self) {
        self.exceeded.notified().await;
    }
}

/// What one log takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) attempt: AttemptId,
    /// On disk.
    pub(crate) held: u64,
    /// Of which the master does not have so much.
    pub(crate) owed: u64,
}

/// Whose output is given up so that the rest fits: of which the master lacks most comes first, and nothing is taken from
/// those of which it lacks no more than [`GUARANTEED_BYTES`].
pub(crate) fn give_way(mut claims: Vec<Claim>, budget: u64) -> Vec<AttemptId> {
    let mut held: u64 = claims.iter().map(|claim| claim.held).sum();
    claims.retain(|claim| claim.owed > GUARANTEED_BYTES);
    claims.sort_unstable_by_key(|claim| Reverse((claim.owed, claim.attempt)));
    let mut given_up = Vec::new();
    for claim in claims {
        if held <= budget {
            break;
        }
        held -= claim.held;
        given_up.push(claim.attempt);
    }
    given_up
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jobyard_core::{AttemptNumber, JobId};
    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn attempt(job: u128) -> AttemptId {
        AttemptId::new(JobId::from_uuid(Uuid::from_u128(job)), AttemptNumber::FIRST)
    }

    fn claim(job: u128, held: u64, owed: u64) -> Claim {
        Claim {
            attempt: attempt(job),
            held,
            owed,
        }
    }

    #[test]
    fn nothing_gives_way_while_there_is_room() {
        let claims = vec![claim(1, 60 * MIB, 60 * MIB), claim(2, 40 * MIB, 2 * MIB)];
        assert_eq!(give_way(claims, 100 * MIB), []);
    }

    #[test]
    fn the_one_that_owes_most_gives_way_and_no_more_than_have_to() {
        let claims = vec![
            claim(1, 30 * MIB, 30 * MIB),
            claim(2, 50 * MIB, 50 * MIB),
            // The master has nearly all of it: to give it up would lose little, and gain much. It is being trimmed.
            claim(3, 60 * MIB, 10 * MIB),
        ];
        assert_eq!(give_way(claims.clone(), 100 * MIB), [attempt(2)]);
        assert_eq!(give_way(claims, 70 * MIB), [attempt(2), attempt(1)]);
    }

    #[test]
    fn small_output_never_gives_way_to_loud_one() {
        let mut claims: Vec<_> = (1..100).map(|job| claim(job, MIB, MIB)).collect();
        claims.push(claim(100, 5 * MIB, 5 * MIB));
        assert_eq!(give_way(claims, 10 * MIB), [attempt(100)]);
    }

    #[tokio::test]
    async fn growth_beyond_the_budget_is_told_and_shrinking_is_counted() {
        let told = async |budget: &Budget| timeout(Duration::ZERO, budget.exceeded()).await.is_ok();
        let budget = Budget::new(100);
        budget.count(0, 60);
        budget.count(0, 40);
        assert!(!told(&budget).await);
        budget.count(40, 41);
        assert!(told(&budget).await);
        budget.count(60, 0);
        budget.count(41, 90);
        assert!(!told(&budget).await);
    }
}
