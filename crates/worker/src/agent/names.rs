//! What stages are called: for tests and simulations, which count what they have tried.

use jobyard_core::AttemptId;

use super::Agent;
use super::entry::Stage;
use super::session::Phase;

impl Agent {
    /// The name of the stage of an attempt; `"none"` if it is not held.
    pub fn stage_of(&self, attempt: AttemptId) -> &'static str {
        let Some(entry) = self.held.get(&attempt) else {
            return "none";
        };
        match entry.stage {
            _ if entry.forgotten => "forgotten",
            Stage::Journaling { .. } => "journaling",
            Stage::Waiting { .. } => "waiting for a promise",
            Stage::Starting { .. } => "starting",
            Stage::Running { .. } => "running",
            Stage::Finished { .. } => "finished",
        }
    }

    /// The name of the phase of the session.
    pub const fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Idle => "idle",
            Phase::Waiting { .. } => "waiting",
            Phase::Connecting { .. } => "connecting",
            Phase::Greeting { .. } => "greeting",
            Phase::Open(_) => "open",
        }
    }
}
