//! Why a job waits, read from the table by which it is matched.

use std::cmp::Reverse;

use jobyard_core::{Explanation, WaitReason, WaitVerdict};

use crate::Availability;
use crate::fleet::{Fleet, Worker};
use crate::needs::{Entry, Need};

/// What is asked about: a queued job, and the fleet as it is.
pub(crate) struct Question<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) slots: u32,
    /// How many jobs stand before it in its queue.
    pub(crate) ahead: u64,
    pub(crate) fleet: &'a Fleet,
    pub(crate) fleet_known: bool,
}

impl Question<'_> {
    pub(crate) fn answer(&self) -> Explanation {
        let able = self.able();
        if able.any() {
            return Explanation::waiting(WaitVerdict::NotNow, able.reasons(self.ahead));
        }
        let obstacles = self.obstacles();
        if self.fleet_known {
            return Explanation::waiting(WaitVerdict::Never, obstacles);
        }
        // That a worker is not known says nothing yet.
        let telling = |reason: &WaitReason| {
            !matches!(
                reason,
                WaitReason::NoWorkers | WaitReason::NamedWorkerUnknown { .. }
            )
        };
        let reasons = [WaitReason::FleetUnknown]
            .into_iter()
            .chain(obstacles.into_iter().filter(telling));
        Explanation::waiting(WaitVerdict::NotKnownYet, reasons.collect())
    }

    /// The workers that meet the need, with or without room.
    fn members(&self) -> impl Iterator<Item = &Worker> {
        let members = self.entry.members().ones();
        members.map(|at| self.fleet.worker(at))
    }

    /// The workers that could run it when idle, by what keeps each from it now.
    fn able(&self) -> Able {
        let mut able = Able::default();
        for worker in self.members().filter(|worker| worker.slots >= self.slots) {
            match worker.availability {
                // Had it enough free slots, the job would have gone there.
                Availability::Available => able.busy += 1,
                Availability::Silent => able.silent += 1,
                Availability::Suspended => able.suspended += 1,
            }
        }
        able
    }

    /// Why no worker could ever run it. Never empty when none could.
    fn obstacles(&self) -> Vec<WaitReason> {
        if self.fleet.len() == 0 {
            return vec![WaitReason::NoWorkers];
        }
        if let Some(largest) = self.members().map(|worker| worker.slots).max() {
            let asked = self.slots;
            return vec![WaitReason::TooManySlots { asked, largest }];
        }
        let need = self.entry.need();
        let admitted: Vec<_> = self
            .fleet
            .iter()
            .map(|(_, worker)| worker)
            .filter(|worker| need.admits(worker))
            .collect();
        match need.named() {
            Some(name) if admitted.is_empty() => vec![WaitReason::NamedWorkerUnknown {
                worker: name.to_owned(),
            }],
            _ => {
                let mut reasons = unmet_requirements(need, &admitted);
                reasons.extend(nearest(need, &admitted));
                reasons
            }
        }
    }
}

/// Counts of workers that could run a job when idle.
#[derive(Default)]
struct Able {
    busy: u32,
    silent: u32,
    suspended: u32,
}

impl Able {
    fn any(&self) -> bool {
        self.busy > 0 || self.silent > 0 || self.suspended > 0
    }

    fn reasons(&self, ahead: u64) -> Vec<WaitReason> {
        let mut reasons = Vec::new();
        if self.busy > 0 {
            reasons.push(WaitReason::Busy { workers: self.busy });
        }
        if self.silent > 0 {
            reasons.push(WaitReason::Silent {
                workers: self.silent,
            });
        }
        if self.suspended > 0 {
            reasons.push(WaitReason::Suspended {
                workers: self.suspended,
            });
        }
        if ahead > 0 {
            reasons.push(WaitReason::Behind { jobs: ahead });
        }
        reasons
    }
}

/// Each requirement that some of these workers fail, the one that most of them fail first.
fn unmet_requirements(need: &Need, workers: &[&Worker]) -> Vec<WaitReason> {
    let mut unmet: Vec<_> = need
        .requirements()
        .iter()
        .map(|requirement| {
            let fails = |worker: &&&Worker| !requirement.is_met_by(&worker.tags);
            (requirement, workers.iter().filter(fails).count())
        })
        .filter(|(_, failing)| *failing > 0)
        .collect();
    unmet.sort_by_key(|(_, failing)| Reverse(*failing));
    let reasons = unmet
        .into_iter()
        .map(|(requirement, failing)| WaitReason::RequirementUnmet {
            requirement: requirement.clone(),
            failing: counted(failing),
            workers: counted(workers.len()),
        });
    reasons.collect()
}

/// The worker that fails the fewest requirements; of several the first by name, then by id.
fn nearest(need: &Need, workers: &[&Worker]) -> Option<WaitReason> {
    let nearest = workers
        .iter()
        .min_by_key(|worker| (need.unmet(worker).count(), &worker.name, worker.id))?;
    Some(WaitReason::Nearest {
        worker: nearest.id,
        name: nearest.name.clone(),
        lacks: need.unmet(nearest).cloned().collect(),
    })
}

/// A number of workers. No fleet is larger than the type.
fn counted(workers: usize) -> u32 {
    u32::try_from(workers).unwrap_or(u32::MAX)
}
