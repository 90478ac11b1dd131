//! The clock by which the kernel says when a process started.

use rustix::time::{ClockId, clock_gettime};

/// The time since boot in the unit of `/proc/PID/stat`. Makes no system call on most machines.
pub(super) fn now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * TICKS_PER_SECOND + nanos / (NANOS_PER_SECOND / TICKS_PER_SECOND)
}

/// The same on all architectures for which there is a standard library.
const TICKS_PER_SECOND: u64 = 100;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sys::stat::Stat;

    #[test]
    fn a_process_starts_by_this_clock() {
        let before = now();
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("there is one");
        let started = Stat::of(child.id()).expect("it lives").start_time;
        assert!((before..=now()).contains(&started));
        child.kill().expect("ours");
        child.wait().expect("ours");
    }
}
