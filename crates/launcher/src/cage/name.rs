//! How a cage is found again by those who did not make it.

use std::time::Duration;

use jobyard_core::{AttemptId, KilledProcess};
use serde::{Deserialize, Serialize};

use crate::protocol::Mechanism;

/// Everything by which a cage is found again after its launcher is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CageName {
    mechanism: Mechanism,
    attempt: AttemptId,
    /// The process that was forked, and when it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warden: Option<(u32, u64)>,
}

impl CageName {
    pub(super) fn new(mechanism: Mechanism, attempt: AttemptId) -> Self {
        Self {
            mechanism,
            attempt,
            warden: None,
        }
    }

    /// The same cage, and the process that was forked into it: its number, and when it started.
    #[must_use]
    pub fn with_warden(self, pid: u32, start_time: u64) -> Self {
        Self {
            warden: Some((pid, start_time)),
            ..self
        }
    }

    /// Ends what a dead launcher left in this cage and removes the cage. `main` is the main process and when it
    /// started, where that is known. Blocks, at most for `patience`.
    pub fn end_left_over(
        &self,
        attempt: AttemptId,
        main: Option<(u32, u64)>,
        patience: Duration,
    ) -> LeftOver {
        let _ = (attempt, main, patience);
        LeftOver {
            killed: Vec::new(),
            empty: false,
        }
    }
}

/// What was left in a cage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOver {
    /// What had to be killed.
    pub killed: Vec<KilledProcess>,
    /// Whether nothing is left.
    pub empty: bool,
}
