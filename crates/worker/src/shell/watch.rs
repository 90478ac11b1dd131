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
        self.look_at_once(now)
    }

    /// Looks, however short ago that was done.
    pub(super) fn look_at_once(&mut self, now: Steady) -> Option<Input> {
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use jobyard_core::ComplaintKind;

    use super::*;

    fn kinds(news: Option<Input>) -> Vec<ComplaintKind> {
        match news {
            Some(Input::Complaints { complaints, .. }) => {
                complaints.iter().map(|complaint| complaint.kind).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_kernel_says_counts_before_its_averages_follow() {
        let mut protection = Protection::NONE;
        protection.max_memory_pressure = Some(99);
        let mut watch = Watch::new("/".into(), &protection);
        assert_eq!(kinds(watch.on_pressure()), [ComplaintKind::Memory]);
        assert_eq!(watch.on_pressure(), None, "that is known");
    }

    #[test]
    fn looks_are_not_taken_at_every_occasion() {
        let mut protection = Protection::NONE;
        protection.min_free_disk = u64::MAX;
        let mut watch = Watch::new("/".into(), &protection);
        let begin = Steady::from_micros(1_000_000);
        assert_eq!(kinds(watch.look(begin)), [ComplaintKind::Disk]);
        watch.judgement = Judgement::default();
        assert_eq!(watch.look(begin + LOOK_AGAIN / 2), None);
        assert_eq!(kinds(watch.look_at_once(begin)), [ComplaintKind::Disk]);
        watch.judgement = Judgement::default();
        assert_eq!(kinds(watch.look(begin + LOOK_AGAIN)), [ComplaintKind::Disk]);
    }
}
