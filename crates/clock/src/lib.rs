//! The machine's clocks behind the [`Clock`] port, and waiting for a steady deadline.
//!
//! # Theory of operation
//!
//! [`SystemClock`] reads the wall clock for people and, for deadlines, a clock that never jumps and counts through
//! suspend (`CLOCK_BOOTTIME` on Linux; elsewhere the standard library's monotonic clock, which may stand still while
//! the machine sleeps). [`sleep_until`] waits on the runtime's timer and looks at the clock again when it wakes, so a
//! deadline that passed during a suspend is noticed when the machine comes back, and none is reached too early.
//!
//! # Example
//!
//! ```
//! use jobyard_clock::SystemClock;
//! use jobyard_core::Clock;
//!
//! let clock = SystemClock::new();
//! let earlier = clock.now();
//! assert!(clock.now().steady >= earlier.steady);
//! ```

#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jobyard_core::{Clock, Now, Steady, Timestamp};

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    #[cfg(not(target_os = "linux"))]
    start: std::time::Instant,
}

impl SystemClock {
    /// Cheap; holds nothing.
    pub fn new() -> Self {
        Self {
            #[cfg(not(target_os = "linux"))]
            start: std::time::Instant::now(),
        }
    }

    #[cfg(target_os = "linux")]
    #[expect(
        clippy::unused_self,
        reason = "other systems measure from the start they hold"
    )]
    fn steady(self) -> Steady {
        if jobyard_core::mutated("deadlines go by the wall clock") {
            return Steady::from_micros(u64::try_from(wall().as_micros()).unwrap_or(0));
        }
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        let micros = u64::try_from(time.tv_nsec / 1_000).unwrap_or(0);
        Steady::from_micros(secs.saturating_mul(1_000_000).saturating_add(micros))
    }

    #[cfg(not(target_os = "linux"))]
    fn steady(self) -> Steady {
        Steady::default() + self.start.elapsed()
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now {
            wall: wall(),
            steady: self.steady(),
        }
    }
}

/// Returns when `clock` has reached the deadline; never, if there is none. Cancel-safe.
pub async fn sleep_until(clock: &dyn Clock, deadline: Option<Steady>) {
    let Some(deadline) = deadline else {
        return std::future::pending().await;
    };
    loop {
        let left = deadline.since(clock.now().steady);
        if left.is_zero() {
            return;
        }
        // The timer counts whole milliseconds: one more than is left, or it could wake just before the deadline.
        tokio::time::sleep(left.min(LONGEST_NAP) + Duration::from_millis(1)).await;
    }
}

/// The timer does not count through suspend, so a long wait looks at the clock now and then. This bounds how late a
/// deadline is noticed after a suspend; it decides nothing else.
const LONGEST_NAP: Duration = Duration::from_mins(1);

fn wall() -> Timestamp {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let right = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    };
    Timestamp::from_micros(right.saturating_add(error_micros()))
}

/// By how much the wall clock is wrong.
#[cfg(not(feature = "failpoints"))]
const fn error_micros() -> i64 {
    0
}

/// By how much the wall clock is wrong: by so many seconds as stand at the moment in the file that the variable
/// `JOBYARD_WALL_CLOCK_ERROR` names.
#[cfg(feature = "failpoints")]
fn error_micros() -> i64 {
    static FILE: std::sync::OnceLock<Option<std::ffi::OsString>> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("JOBYARD_WALL_CLOCK_ERROR"));
    let text = file.as_ref().map(std::fs::read_to_string);
    let seconds: Option<i64> = text.and_then(|text| text.ok()?.trim().parse().ok());
    seconds.unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleep_never_ends_before_the_deadline() {
        let clock = SystemClock::new();
        let deadline = clock.now().steady + Duration::from_millis(5);
        sleep_until(&clock, Some(deadline)).await;
        assert!(clock.now().steady >= deadline);
    }

    #[test]
    fn wall_time_is_of_this_century() {
        assert!(SystemClock::new().now().wall.as_micros() > 1_600_000_000_000_000);
    }
}
