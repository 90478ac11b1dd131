//! What is measured: the scheduler, or something in its place.

use jobyard_core::Now;
use jobyard_scheduler::{Decision, Event, JobDemand, Scheduler};

/// Takes events, makes decisions.
pub trait Matcher {
    /// Takes in what happened, and appends what follows.
    fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Decision>);

    /// Queues a job for which no worker has room, as far as the caller knows. For a matcher that would look for one
    /// among all workers, so that a load can be set up in bearable time.
    fn queue_blocked(&mut self, now: Now, demand: JobDemand, out: &mut Vec<Decision>) {
        self.handle(now, Event::JobQueued(demand), out);
    }
}

impl Matcher for Scheduler {
    #[inline]
    fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Decision>) {
        Self::handle(self, now, event, out);
    }
}
