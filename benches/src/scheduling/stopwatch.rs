//! Time of this thread alone.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Measures the processor time of this thread: what others do to the machine meanwhile does not count, apart from what
/// they do to its caches.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    begun: Duration,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        Self { begun: so_far() }
    }

    /// How much this thread has computed since.
    pub fn elapsed(&self) -> Duration {
        so_far().saturating_sub(self.begun)
    }
}

fn so_far() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}
