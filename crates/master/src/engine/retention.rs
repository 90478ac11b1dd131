//! How long finished jobs and events are kept, and what is removed when.

use std::time::Duration;

use jobyard_core::{AttemptId, Change, JobId, Now, TOMBSTONE, Timestamp};

use super::Engine;
use super::input::ReplyTo;
use super::output::Answer;
use crate::records::{JOB, JobRecord, RETENTION, RetentionRecord, SPEC, Tomb};

/// How many finished jobs are removed at once: with their specs and tombstones a few hundred changes, so that no other
/// commit waits behind them for long.
pub const FORGET_PORTION: usize = 100;

/// How long a tombstone stands.
pub const TOMBSTONES_FOR: Duration = Duration::from_hours(365 * 24);

/// How long finished jobs and events are kept. By the wall clock: what is kept for weeks is kept across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// A finished job goes so long after its end, with its output. `None`: never for its age.
    pub jobs_for: Option<Duration>,
    /// At most so many finished jobs are kept; those that ended first go first. `None`: any number.
    pub jobs: Option<u64>,
    /// An event goes when it is older. `None`: never for its age.
    pub events_for: Option<Duration>,
    /// About so many events are kept, never fewer. `None`: any number.
    pub events: Option<u64>,
    /// The output of a finished job goes so long after its end, wherever it is. `None`: with its job.
    pub logs_for: Option<Duration>,
    /// So many bytes of output are kept at most where the log store keeps them, an archive aside: the output of jobs that
    /// finished first goes first, and if that is not enough no more is taken. `None`: any number.
    pub log_budget: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        let month = Duration::from_hours(30 * 24);
        Self {
            jobs_for: Some(month),
            jobs: Some(1_000_000),
            events_for: Some(month),
            events: Some(1_000_000),
            logs_for: None,
            log_budget: None,
        }
    }
}

/// What to remove now, and when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many, from the oldest on.
    pub(crate) due: usize,
    /// How long until more may be due by age. `None`: not by age.
    pub(crate) next: Option<Duration>,
}

impl Retention {
    /// Plans for finished jobs: `kept` of them, of which the oldest ended at these times, in microseconds of the wall
    /// clock, in order.
    pub(crate) fn plan_jobs(&self, now: Timestamp, kept: u64, oldest: &[u64]) -> Plan {
        let too_many = self.jobs.map_or(0, |most| kept.saturating_sub(most));
        let too_many = usize::try_from(too_many).unwrap_or(usize::MAX);
        plan(now, self.jobs_for, too_many, oldest)
    }

    /// Plans for the output of finished jobs, of which the oldest that have any ended at these times.
    pub(crate) fn plan_output(&self, now: Timestamp, oldest: &[u64]) -> Plan {
        plan(now, self.logs_for, 0, oldest)
    }

    /// Plans for records of events, of which the oldest were made at these times.
    pub(crate) fn plan_events(&self, now: Timestamp, oldest: &[u64]) -> Plan {
        plan(now, self.events_for, 0, oldest)
    }

    /// Every event before this place is one too many, once the newest is this one.
    pub(crate) fn first_kept_event(&self, newest: u64) -> Option<u64> {
        let first = newest.checked_sub(self.events?)? + 1;
        (first > 1).then_some(first)
    }

    /// The place of the newest event at which it is worth removing some records, of which the oldest one ends with the
    /// place `oldest`: a portion at once, and not one at each commit.
    pub(crate) fn too_many_events_at(&self, oldest: u64) -> Option<u64> {
        let most = self.events?;
        let slack = (most / 64).clamp(1, 16_384);
        Some(oldest.saturating_add(most).saturating_add(slack))
    }
}

fn plan(now: Timestamp, keep_for: Option<Duration>, too_many: usize, oldest: &[u64]) -> Plan {
    let now = micros(now);
    let keep_for = keep_for.map(|span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    let is_old = |ended: &u64| keep_for.is_some_and(|span| ended.saturating_add(span) <= now);
    let too_old = oldest.partition_point(is_old);
    let due = too_old.max(too_many).min(oldest.len());
    let next = keep_for.map(|span| {
        // What ends from now on is due no earlier than that.
        let next = oldest.get(due).copied().unwrap_or(now);
        Duration::from_micros(next.saturating_add(span).saturating_sub(now))
    });
    Plan { due, next }
}

/// Microseconds of the wall clock, from its beginning on.
pub(crate) fn micros(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(0)
}

/// A finished job that is to be forgotten.
#[derive(Clone, Debug)]
pub struct Forgotten {
    /// Its id.
    pub id: JobId,
    /// Its place in the order of submission.
    pub sequence: u64,
    /// What stays of it.
    pub tomb: Tomb,
    /// Its attempts, whose output goes too.
    pub attempts: Vec<AttemptId>,
}

impl Engine {
    /// Removes finished jobs and their specs, and leaves their tombstones. The caller removes their output once that is
    /// durable; what it has to remove stands in the same batch, so that it is known after a crash.
    pub(super) fn on_forget(&mut self, now: Now, reply: ReplyTo, jobs: Vec<Forgotten>) {
        let mut kept = RetentionRecord {
            // Numbers that were given to jobs which did not become durable are left out; nobody minds.
            sequence: self.counters.job_sequence,
            logs: Vec::new(),
        };
        for job in jobs {
            // Only what is over and settled is asked for; should the books still hold it, it stays.
            if self.tables.jobs.contains_key(&job.id) {
                continue;
            }
            let key = job.id.to_string();
            let tomb = job.tomb.to_record(job.id, now.wall);
            debug_assert_eq!(tomb.kind, TOMBSTONE, "that is how a tombstone is known");
            self.outbox.changes.push(Change::Put(tomb));
            for kind in [JOB, SPEC] {
                let key = key.clone();
                self.outbox.changes.push(Change::Remove { kind, key });
            }
            kept.logs.extend(job.attempts);
        }
        self.outbox.changes.push(Change::Put(kept.to_record()));
        self.reply(reply, Answer::Done);
    }
}

impl Engine {
    /// Keeps finished jobs as they are given, which say that their output is gone. The caller removes it once that is
    /// durable; what it has to remove stands in the same batch, so that it is known after a crash.
    pub(super) fn on_forget_output(
        &mut self,
        reply: ReplyTo,
        jobs: Vec<JobRecord>,
        logs: Vec<AttemptId>,
    ) {
        for job in jobs {
            // As above: should the books still hold it, its record is not the last word.
            if !self.tables.jobs.contains_key(&job.id) {
                self.outbox.changes.push(Change::Put(job.to_record(false)));
            }
        }
        let sequence = self.counters.job_sequence;
        let kept = RetentionRecord { sequence, logs };
        self.outbox.changes.push(Change::Put(kept.to_record()));
        self.reply(reply, Answer::Done);
    }
}

/// Where the record of retention stands.
pub(crate) const RETENTION_KEY: (jobyard_core::RecordKind, &str) =
    (RETENTION, RetentionRecord::KEY);

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn day(n: u64) -> u64 {
        n * 24 * 3_600 * 1_000_000
    }

    fn now(days: u64) -> Timestamp {
        Timestamp::from_micros(i64::try_from(day(days)).expect("small"))
    }

    fn retention(jobs_for: Option<Duration>, jobs: Option<u64>) -> Retention {
        Retention {
            jobs_for,
            jobs,
            ..Retention::default()
        }
    }

    #[test]
    fn jobs_go_by_age() {
        let retention = retention(Some(30 * DAY), None);
        let ended = [day(1), day(2), day(40)];
        let plan = retention.plan_jobs(now(32), 3, &ended);
        assert_eq!((plan.due, plan.next), (2, Some(38 * DAY)));
        let plan = retention.plan_jobs(now(30), 3, &ended);
        assert_eq!((plan.due, plan.next), (0, Some(DAY)));
        let plan = retention.plan_jobs(now(30), 0, &[]);
        assert_eq!((plan.due, plan.next), (0, Some(30 * DAY)));
    }

    #[test]
    fn jobs_go_by_count() {
        let retention = retention(None, Some(5));
        let ended = [1, 2, 3, 4];
        assert_eq!(retention.plan_jobs(now(1), 7, &ended).due, 2);
        assert_eq!(retention.plan_jobs(now(1), 5, &ended).due, 0);
        let plan = retention.plan_jobs(now(1), 100, &ended);
        assert_eq!((plan.due, plan.next), (4, None));
    }

    #[test]
    fn events_go_in_portions() {
        let mut retention = Retention::default();
        assert_eq!(retention.first_kept_event(1_000_000), None);
        assert_eq!(retention.first_kept_event(1_000_001), Some(2));
        assert_eq!(retention.too_many_events_at(1), Some(1_015_626));
        retention.events = None;
        assert_eq!(retention.first_kept_event(u64::MAX), None);
    }
}
