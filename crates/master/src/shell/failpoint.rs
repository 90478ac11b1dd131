//! Places at which a build with the feature `failpoints` dies on order.
//!
//! A test says in the environment what the batch is that the master does not survive, and how far it comes with it:
//! `JOBYARD_FAILPOINT=finish.committed@2` dies when the second batch in which a worker reports an end is durable, and
//! nobody has heard of it. Without the feature there is nothing of this.

#[cfg(not(feature = "failpoints"))]
use jobyard_core::Change;

use crate::engine::Input;

/// What was ordered.
#[derive(Debug, Default)]
pub(super) struct Failpoints {
    #[cfg(feature = "failpoints")]
    armed: Option<std::sync::Mutex<armed::Armed>>,
}

#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unused_self, reason = "as with the feature")]
impl Failpoints {
    pub(super) fn from_environment() -> Self {
        Self::default()
    }

    /// The engine has taken this.
    pub(super) fn taken(&self, _input: &Input) {}

    /// What the engine has taken so far is about to be made durable with these changes.
    pub(super) fn sealed(&self, _changes: &[Change]) {}

    /// It is durable, and nobody knows.
    pub(super) fn committed(&self) {}

    /// All who wait for it were told, as far as this program goes.
    pub(super) fn told(&self) {}
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use jobyard_core::{Change, JobState, WorkerMessage};

    use super::{Failpoints, Input};
    use crate::records::JOB;

    /// The variable that holds the order.
    const VARIABLE: &str = "JOBYARD_FAILPOINT";

    /// How long it takes at most until the other side has heard something.
    const HEARD: Duration = Duration::from_millis(200);

    #[derive(Debug)]
    pub(super) struct Armed {
        operation: String,
        stage: String,
        /// How many more batches with the operation come that far.
        left: u64,
        taken: BTreeSet<&'static str>,
        sealed: BTreeSet<&'static str>,
    }

    impl Failpoints {
        /// What the environment orders.
        ///
        /// # Panics
        ///
        /// When that makes no sense: a test that orders nothing by mistake would prove nothing.
        pub(crate) fn from_environment() -> Self {
            let armed = std::env::var(VARIABLE)
                .ok()
                .filter(|order| !order.is_empty());
            let armed = armed.map(|order| {
                let armed = parse(&order);
                Mutex::new(armed.unwrap_or_else(|| panic!("{order:?} is no order for a failpoint")))
            });
            Self { armed }
        }

        pub(crate) fn taken(&self, input: &Input) {
            if let (Some(mut armed), Some(operation)) = (self.lock(), operation(input)) {
                armed.taken.insert(operation);
            }
        }

        pub(crate) fn sealed(&self, changes: &[Change]) {
            if let Some(mut armed) = self.lock() {
                armed.sealed = std::mem::take(&mut armed.taken);
                if changes.iter().any(assigns) {
                    armed.sealed.insert("assign");
                }
                armed.reach("sealed");
            }
        }

        pub(crate) fn committed(&self) {
            if let Some(mut armed) = self.lock() {
                armed.reach("committed");
            }
        }

        pub(crate) fn told(&self) {
            if let Some(mut armed) = self.lock() {
                armed.reach("told");
            }
        }

        fn lock(&self) -> Option<MutexGuard<'_, Armed>> {
            let armed = self.armed.as_ref()?;
            Some(armed.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Armed {
        fn reach(&mut self, stage: &str) {
            if self.stage != stage || !self.sealed.contains(self.operation.as_str()) {
                return;
            }
            self.left -= 1;
            if self.left == 0 {
                tracing::warn!(operation = self.operation, stage, "dies on order");
                if stage == "sealed" {
                    // What was said although it is not durable shall be heard.
                    std::thread::sleep(HEARD);
                }
                // As with `kill -9`: nothing is flushed, nothing is said.
                std::process::abort();
            }
        }
    }

    fn parse(order: &str) -> Option<Armed> {
        let (place, left) = order.split_once('@').unwrap_or((order, "1"));
        let (operation, stage) = place.split_once('.')?;
        let known = OPERATIONS.contains(&operation) && STAGES.contains(&stage);
        let left = left.parse().ok().filter(|left| *left > 0)?;
        known.then(|| Armed {
            operation: operation.to_owned(),
            stage: stage.to_owned(),
            left,
            taken: BTreeSet::new(),
            sealed: BTreeSet::new(),
        })
    }

    const OPERATIONS: [&str; 7] = [
        "submit", "assign", "start", "renew", "finish", "stop", "worker",
    ];
    const STAGES: [&str; 3] = ["sealed", "committed", "told"];

    fn operation(input: &Input) -> Option<&'static str> {
        match input {
            Input::Once { call, .. } => operation(call),
            Input::Submit { .. } => Some("submit"),
            Input::Stop { .. } => Some("stop"),
            Input::SetWorker { .. } => Some("worker"),
            Input::Said { messages, .. } => messages.iter().rev().find_map(|message| {
                Some(match message {
                    WorkerMessage::Heartbeat => "renew",
                    WorkerMessage::Started { .. } => "start",
                    WorkerMessage::Finished(_) => "finish",
                    _ => return None,
                })
            }),
            _ => None,
        }
    }

    fn assigns(change: &Change) -> bool {
        let assigned = Some(JobState::Assigned.as_str());
        matches!(change, Change::Put(record) if record.kind == JOB && record.fields.state.as_deref() == assigned)
    }
}
