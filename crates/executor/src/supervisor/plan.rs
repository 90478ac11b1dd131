//! What a supervisor has to know of its attempt.

use std::time::Duration;

use jobyard_core::{Capabilities, JobSpec};

/// The few facts about an attempt on which the [`Supervisor`](super::Supervisor)'s decisions depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// How long it may run from now on; `None`: as long as it likes. After an adoption: what was left.
    pub timeout: Option<Duration>,
    /// How long it may take to end after its timeout, before it is killed. A stop brings its own.
    pub grace: Duration,
    /// Whether its executor delivers signals. If not, a stop goes straight to the kill.
    pub signals: bool,
}

impl Plan {
    /// What this spec asks of an executor with these capabilities.
    pub const fn new(spec: &JobSpec, capabilities: Capabilities) -> Self {
        Self {
            timeout: spec.timeout,
            grace: spec.grace,
            signals: capabilities.signal,
        }
    }
}
