//! How a kill goes on.

use std::time::Duration;

use jobyard_core::{Now, Steady};

/// How long a killed attempt may take to be gone. Whoever is not dead by then hangs in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How long after the first kill the next follows: where killing is not one step of the kernel, something may have been
/// forked between the look and the kill. Doubled each time, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause between two kills.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Killing, until nothing is left or the patience is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Effort {
    pub(super) next: Steady,
    pause: Duration,
    pub(super) until: Steady,
}

impl Effort {
    /// The first kill is now.
    pub(super) fn begin(now: Now) -> Self {
        Self {
            next: now.steady + FIRST_PAUSE,
            pause: FIRST_PAUSE,
            until: now.steady + KILL_PATIENCE,
        }
    }

    /// The next kill is now.
    pub(super) fn again(self, now: Now) -> Self {
        let pause = (self.pause * 2).min(LONGEST_PAUSE);
        Self {
            next: now.steady + pause,
            pause,
            until: self.until,
        }
    }

    /// When something is to be done: another kill, or nothing more.
    pub(super) fn deadline(self) -> Steady {
        self.next.min(self.until)
    }
}
