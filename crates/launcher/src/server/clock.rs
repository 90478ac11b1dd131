//! What time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use jobyard_core::{Now, Steady, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Reads both clocks.
pub(super) fn now() -> Now {
    Now {
        wall: wall(),
        steady: steady(),
    }
}

/// The wall clock.
pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The clock for deadlines, which counts through suspend.
pub(super) fn steady() -> Steady {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let micros = u64::try_from(time.tv_nsec).unwrap_or_default() / 1000;
    Steady::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
}
