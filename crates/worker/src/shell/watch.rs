//! An eye on the machine.

use std::path::PathBuf;
use std::time::Duration;

use jobyard_core::Steady;

use crate::agent::Input;
use crate::protection::{Guard, Judgement, MemoryPressure, Protection, Readings};

/// How soon the machine is looked at again: it does not change much faster, and a worker with many short jobs has many
/// occasions to look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Looks at the machine when there is an occasion, and knows what is news about it.
#[derive(Debug)]
pub(super) struct Watch {
    data: PathBuf,
    max_pressure: Option<u8>,
    guard: Guard,
    judgement: Judgement,
    looked_at: Option<Steady>,
}

impl Watch {
    /// A watch with these thresholds, for a worker whose data lies there. Has not looked yet.
    pub(super) fn new(data: PathBuf, protection: &Protection) -> Self {
        Self {
            data,
            max_pressure: protection.max_memory_pressure,
            guard: Guard::new(protection.clone()),
            judgement: Judgement::default(),
            looked_at: None,
        }
    }

    /// What tells that memory is short, where the kernel offers it. Needs a runtime.
    pub(super) fn pressure(&self) -> Option<MemoryPressure> {
        self.max_pressure.and_then(MemoryPressure::beyond)
    }

    /// Looks, unless that was done just now, and says what is new.
    pub(super) fn look(&mut self, now: Steady) -> Option<Input> {
        let is_due = |last: Steady| now.since(last) >= LOOK_AGAIN;
        if !self.looked_at.is_none_or(is_due) {
            return None;
        }
        self.looked_at = Some(now);
        self.judge(&Readings::of_this_machine(&self.data))
    }

    /// The kernel says that memory is short. Its averages follow only later.
    pub(super) fn on_pressure(&mut self) -> Option<Input> {
        let mut readings = Readings::of_this_machine(&self.data);
        if let (Some(memory), Some(max)) = (&mut readings.memory, self.max_pressure) {
            let felt = u32::from(max) * 100 + 1;
            memory.pressure = Some(memory.pressure.map_or(felt, |average| average.max(felt)));
        }
        self.judge(&readings)
    }

    fn judge(&mut self, readings: &Readings) -> Option<Input> {
        let judgement = self.guard.judge(readings);
        if judgement == self.judgement {
            return None;
        }
        for complaint in &judgement.complaints {
            if !self.judgement.complaints.contains(complaint) {
                tracing::warn!(%complaint, "this worker takes no jobs");
            }
        }
        if judgement.complaints.is_empty() {
            tracing::info!("the machine keeps this worker from taking jobs no longer");
        }
        self.judgement = judgement.clone();
        Some(Input::Complaints {
            complaints: judgement.complaints,
            exhausted: judgement.exhausted,
        })
    }
}

/// Returns when the kernel says that memory is short; never, where it does not.
pub(super) async fn felt(pressure: Option<&MemoryPressure>) {
    match pressure {
        Some(pressure) => pressure.felt().await,
        None => std::future::pending().await,
    }
}
