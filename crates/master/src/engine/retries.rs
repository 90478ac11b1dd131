//! Whether another attempt follows one that has ended, who pays for it, and how long the job waits before it.
//!
//! | ending | who pays | wait |
//! |---|---|---|
//! | the infrastructure failed | `infra_retries` | yes |
//! | the job failed, and `retry_on` does not leave that out | `retries` | yes |
//! | it never began | nobody | none |
//!
//! The wait doubles with each attempt that was paid for, up to a most, and lies between the half and all of that: where,
//! a hash of job and attempt decides, so that jobs that failed together do not all come back together, and the same
//! inputs still give the same outputs. A job that waits is queued for its users; the scheduler hears of it only when the
//! wait is over. What is left is written down at first, and then whenever a quarter of it (but at least [`WRITE_EVERY`])
//! has passed, so that a restart neither skips the wait nor begins it anew; the time in which no master ran does
//! not count.

use std::time::Duration;

use jobyard_core::{
    Attempt, AttemptId, JobId, JobState, Now, Outcome, Retry, RetryBudget, Steady, Timestamp,
    mutated,
};

use super::tables::{JobEntry, Stage};
use super::timers::Timer;
use super::{Engine, Timings};

/// How often an attempt may be handed out and never start at no cost, before the job is given up: far more than
/// chance explains, few enough to end a worker that declines for ever.
const MAX_FREE_RETRIES: u32 = 100;

/// How often what is left of a wait is written down at most: often enough for a wait of seconds, and about twenty times
/// in the longest of the default policy.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Another attempt that follows one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// Who has paid for it.
    pub(super) budget: RetryBudget,
    /// How long the job waits before it.
    pub(super) wait: Duration,
}

impl Engine {
    /// Whether another attempt follows this one; if so, its budget has paid. No earlier than `not_before`: until then
    /// something of this one may still run.
    pub(super) fn pay_for_another(
        &mut self,
        now: Now,
        attempt: AttemptId,
        outcome: Outcome,
        nothing_ran: bool,
        not_before: Option<Steady>,
    ) -> Option<Again> {
        let entry = self.tables.jobs.get_mut(&attempt.job)?;
        let budget = pay(entry, outcome, nothing_ran)?;
        let paid = entry.record.infra_failures + entry.record.own_failures;
        let wait = match budget {
            RetryBudget::Free => Duration::ZERO,
            _ => wait_after(&self.timings, attempt, paid),
        };
        let fenced = not_before.map_or(Duration::ZERO, |at| at - now.steady);
        Some(Again {
            budget,
            wait: wait.max(fenced),
        })
    }

    /// The job waits before another attempt.
    pub(super) fn back_off(&mut self, now: Now, job: JobId, wait: Duration) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        entry.stage = Stage::Backoff;
        entry.set_state(JobState::Queued, &mut self.tables.states);
        entry.record.retry_left = Some(wait);
        self.count_backoff(now, job);
    }

    /// Begins to count a wait, or goes on with what was left of it at the last write.
    pub(super) fn count_backoff(&mut self, now: Now, job: JobId) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        let Some(left) = entry.record.retry_left else {
            return;
        };
        let due = now.steady + left;
        entry.record.retry_at = Some(later(now.wall, left));
        self.tables.dirty.insert(job);
        self.timers.set(Timer::RetryDue(job), due);
        self.plan_backoff_write(now, job, due);
    }

    fn plan_backoff_write(&mut self, now: Now, job: JobId, due: Steady) {
        let pause = WRITE_EVERY.max((due - now.steady) / 4);
        if now.steady + pause < due {
            self.timers.set(Timer::RetryPasses(job), now.steady + pause);
        }
    }

    /// Writes down what is left of a wait.
    pub(super) fn on_backoff_passes(&mut self, now: Now, job: JobId) {
        let Some(due) = self.timers.due(Timer::RetryDue(job)) else {
            return;
        };
        if let Some(entry) = self.tables.jobs.get_mut(&job) {
            entry.record.retry_left = Some(due - now.steady);
            self.tables.dirty.insert(job);
            self.plan_backoff_write(now, job, due);
        }
    }

    /// The wait is over: the job asks for a worker again, in its old place.
    pub(super) fn on_retry_due(&mut self, now: Now, job: JobId) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        if entry.stage == Stage::Backoff {
            entry.stage = Stage::Queued;
            self.end_backoff(job);
            self.tables.dirty.insert(job);
            self.enqueue(now, job);
        }
    }

    /// The job waits no more, for whatever reason.
    pub(super) fn end_backoff(&mut self, job: JobId) {
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        entry.record.retry_at = None;
        if entry.record.retry_left.take().is_some() {
            self.timers.clear(Timer::RetryDue(job));
            self.timers.clear(Timer::RetryPasses(job));
        }
    }
}

/// Why an attempt follows this one, which has ended. Who paid follows from how it ended.
pub(super) fn retry_after(ended: &Attempt) -> Option<Retry> {
    let outcome = ended.outcome?;
    Some(Retry::new(ended.id.number, outcome, outcome.rule().budget))
}

/// Which budget pays for another attempt; it has paid.
fn pay(entry: &mut JobEntry, outcome: Outcome, nothing_ran: bool) -> Option<RetryBudget> {
    let rule = outcome.rule();
    let record = &mut entry.record;
    // What failed to start did not begin: that is what the outcome says.
    let never_began = nothing_ran || matches!(outcome, Outcome::StartFailed { .. });
    let may_repeat = record.demand.repeatable
        || never_began
        || mutated("a job that is not repeatable is retried");
    let pays = match rule.budget {
        RetryBudget::Free => {
            entry.free_retries += 1;
            entry.free_retries <= MAX_FREE_RETRIES
        }
        RetryBudget::Infra if may_repeat => {
            let pays = record.infra_failures < record.demand.infra_retries
                || mutated("a retry is not paid for");
            record.infra_failures += u32::from(pays);
            pays
        }
        RetryBudget::User if may_repeat => {
            let named = u8::try_from(rule.cli_exit)
                .is_ok_and(|code| record.demand.retry_on.contains(&code));
            let worth = record.demand.retry_on.is_empty() || named;
            let pays = worth
                && (record.own_failures < record.demand.retries
                    || mutated("a job is run again for its own failures without a budget"));
            record.own_failures += u32::from(pays);
            pays
        }
        RetryBudget::Infra | RetryBudget::User | RetryBudget::Final => false,
    };
    pays.then_some(rule.budget)
}

/// How long to wait after this attempt, when so many were paid for. In whole milliseconds, as it is stored.
fn wait_after(timings: &Timings, attempt: AttemptId, paid: u32) -> Duration {
    let first = jobyard_core::millis::as_millis(timings.retry_first);
    let most = jobyard_core::millis::as_millis(timings.retry_most);
    let doubled = 1_u64
        .checked_shl(paid.saturating_sub(1))
        .unwrap_or(u64::MAX);
    let whole = first.saturating_mul(doubled).min(most);
    let half = whole / 2;
    Duration::from_millis(half + hash(attempt) % (whole - half + 1))
}

/// For people to read.
fn later(wall: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(wall.as_micros().saturating_add(micros))
}

/// A stable hash of a job and an attempt: the finishing step of `SplitMix64` (Steele, Lea and Flood, 2014) over their
/// bits.
fn hash(attempt: AttemptId) -> u64 {
    let (high, low) = attempt.job.as_uuid().as_u64_pair();
    [high, low, u64::from(attempt.number.get())]
        .into_iter()
        .fold(0, |hash, word| mix(hash ^ word))
}

const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::AttemptNumber;

    fn attempt(job: u128) -> AttemptId {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(job));
        AttemptId::new(job, AttemptNumber::FIRST)
    }

    #[test]
    fn a_wait_doubles_up_to_the_most() {
        let timings = Timings::default();
        for (paid, whole) in [
            (1, 1_000),
            (2, 2_000),
            (5, 16_000),
            (9, 256_000),
            (10, 300_000),
            (200, 300_000),
        ] {
            let wait = wait_after(&timings, attempt(1), paid);
            let whole = Duration::from_millis(whole);
            assert!(whole / 2 <= wait && wait <= whole, "{paid}: {wait:?}");
        }
    }

    #[test]
    fn jobs_that_fail_together_come_back_one_by_one() {
        let timings = Timings::default();
        let waits = (0..1_000).map(|job| wait_after(&timings, attempt(job), 8));
        let waits: std::collections::BTreeSet<Duration> = waits.collect();
        assert!(waits.len() > 980, "{}", waits.len());
    }

    #[test]
    fn no_wait_stays_no_wait() {
        let timings = Timings {
            retry_first: Duration::ZERO,
            ..Timings::default()
        };
        assert_eq!(wait_after(&timings, attempt(1), 7), Duration::ZERO);
    }
}
