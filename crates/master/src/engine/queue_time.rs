//! Jobs that have to start by a time of their own, or end.
//!
//! The time counts from the submission, steadily. So that it outlives a restart, what is left of it is written down: at
//! first, and then again whenever a quarter of it (but at least [`WRITE_EVERY`]) has passed. A new term goes on with what
//! was written last, so a restart gives a job at most that much more, and the time in which no master ran does not count.

use std::time::Duration;

use jobyard_core::{JobId, Now, Outcome, Steady};
use jobyard_scheduler::Event;

use super::Engine;
use super::tables::Stage;
use super::timers::Timer;

/// How often what is left of a job's time is written down at most: a minute more or less matters to nobody who waits for
/// longer than that, and a million waiting jobs stay cheap.
const WRITE_EVERY: Duration = Duration::from_mins(1);

impl Engine {
    /// Begins to count a job's time, or goes on with what was left at the last write.
    pub(super) fn count_queue_time(&mut self, now: Now, job: JobId) {
        let Some(entry) = self.tables.jobs.get(&job) else {
            return;
        };
        if let Some(left) = entry.record.queue_left {
            let (due, whole) = (now.steady + left, entry.record.demand.queue_timeout);
            self.timers.set(Timer::QueueTimeOver(job), due);
            self.plan_next_write(now, job, due, whole);
        }
    }

    fn plan_next_write(&mut self, now: Now, job: JobId, due: Steady, whole: Option<Duration>) {
        let pause = WRITE_EVERY.max(whole.unwrap_or_default() / 4);
        if now.steady + pause < due {
            self.timers
                .set(Timer::QueueTimePasses(job), now.steady + pause);
        }
    }

    /// Writes down what is left of a job's time.
    pub(super) fn on_queue_time_passes(&mut self, now: Now, job: JobId) {
        let Some(due) = self.timers.due(Timer::QueueTimeOver(job)) else {
            return;
        };
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        entry.record.queue_left = Some(due - now.steady);
        let whole = entry.record.demand.queue_timeout;
        self.tables.dirty.insert(job);
        self.plan_next_write(now, job, due, whole);
    }

    /// A job that waits has waited for long enough. One that was just sent may still begin: it ends only if it comes back
    /// without having begun.
    pub(super) fn on_queue_time_over(&mut self, now: Now, job: JobId) {
        self.timers.clear(Timer::QueueTimePasses(job));
        let Some(entry) = self.tables.jobs.get_mut(&job) else {
            return;
        };
        match entry.stage {
            Stage::Queued => {
                self.schedule(now, Event::JobWithdrawn(job));
                self.finish(now, job, Outcome::TimedOut { exit: None });
            }
            Stage::Backoff => self.finish(now, job, Outcome::TimedOut { exit: None }),
            Stage::Sent { .. } => {
                entry.record.queue_left = Some(Duration::ZERO);
                self.tables.dirty.insert(job);
            }
            _ => {}
        }
    }

    /// The job has begun, or may have, or is over: its time no longer counts.
    pub(super) fn stop_queue_time(&mut self, job: JobId) {
        let entry = self.tables.jobs.get_mut(&job);
        if entry.is_some_and(|entry| entry.record.queue_left.take().is_some()) {
            self.timers.clear(Timer::QueueTimePasses(job));
            self.timers.clear(Timer::QueueTimeOver(job));
        }
    }
}
