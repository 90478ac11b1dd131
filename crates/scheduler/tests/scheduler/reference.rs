//! The policy once more, slow and obvious: every decision looks at everything.

use std::cmp::Reverse;

use jobyard_core::{JobId, Requirement, WaitReason, WaitVerdict, WorkerId};
use jobyard_scheduler::{Availability, Event, JobDemand, WorkerOffer, ring_place};

#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) workers: Vec<(WorkerOffer, Availability)>,
    pub(crate) jobs: Vec<(JobDemand, Option<WorkerId>)>,
    fleet_known: bool,
}

impl Reference {
    pub(crate) fn handle(&mut self, event: &Event) -> Vec<(JobId, WorkerId)> {
        self.take_in(event);
        let mut assigned = Vec::new();
        while let Some((job, worker)) = self.next() {
            let (_, place) = self
                .jobs
                .iter_mut()
                .find(|(demand, _)| demand.job == job)
                .expect("the job that was chosen");
            *place = Some(worker);
            assigned.push((job, worker));
        }
        assigned
    }

    fn take_in(&mut self, event: &Event) {
        match event {
            Event::JobQueued(demand) => {
                if !self.is_placed(demand.job) {
                    self.forget(demand.job);
                    self.jobs.push((demand.clone(), None));
                }
            }
            Event::JobWithdrawn(job) => {
                if !self.is_placed(*job) {
                    self.forget(*job);
                }
            }
            Event::JobPlaced { demand, worker } => {
                self.forget(demand.job);
                self.jobs.push((demand.clone(), Some(*worker)));
            }
            Event::JobReleased(job) => {
                if self.is_placed(*job) {
                    self.forget(*job);
                }
            }
            Event::WorkerJoined(offer) | Event::WorkerChanged(offer) => {
                match self
                    .workers
                    .iter_mut()
                    .find(|(known, _)| known.worker == offer.worker)
                {
                    Some((known, _)) => *known = offer.clone(),
                    None => self.workers.push((offer.clone(), Availability::Silent)),
                }
            }
            Event::WorkerAvailability {
                worker,
                availability,
            } => {
                for (offer, known) in &mut self.workers {
                    if offer.worker == *worker {
                        *known = *availability;
                    }
                }
            }
            Event::WorkerLeft(worker) => self.workers.retain(|(offer, _)| offer.worker != *worker),
            Event::FleetKnown => self.fleet_known = true,
            other => panic!("an event that the reference does not know: {other:?}"),
        }
    }

    /// Of the jobs that could go somewhere, the first; of the workers where it could go, the best.
    fn next(&self) -> Option<(JobId, WorkerId)> {
        let mut waiting: Vec<_> = self.waiting().collect();
        waiting.sort_by_key(|demand| (demand.order, demand.job));
        waiting.into_iter().find_map(|demand| {
            let from = ring_place(demand.job.as_uuid().as_u128());
            let distance =
                |worker: WorkerId| ring_place(worker.as_uuid().as_u128()).wrapping_sub(from);
            let best = self
                .workers
                .iter()
                .filter(|(offer, availability)| self.could_take(offer, *availability, demand))
                .map(|(offer, _)| offer)
                .min_by_key(|offer| (Reverse(self.free(offer)), distance(offer.worker)))?;
            Some((demand.job, best.worker))
        })
    }

    fn could_take(
        &self,
        offer: &WorkerOffer,
        availability: Availability,
        demand: &JobDemand,
    ) -> bool {
        availability == Availability::Available
            && will_do(offer, demand)
            && self.free(offer) >= u64::from(slots(demand))
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &JobDemand> {
        let jobs = self.jobs.iter();
        jobs.filter(|(_, place)| place.is_none())
            .map(|(demand, _)| demand)
    }

    pub(crate) fn used(&self, worker: WorkerId) -> u64 {
        self.jobs
            .iter()
            .filter(|(_, place)| *place == Some(worker))
            .map(|(demand, _)| u64::from(slots(demand)))
            .sum()
    }

    fn free(&self, offer: &WorkerOffer) -> u64 {
        u64::from(offer.slots).saturating_sub(self.used(offer.worker))
    }

    fn is_placed(&self, job: JobId) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|(demand, place)| demand.job == job && place.is_some())
    }

    fn forget(&mut self, job: JobId) {
        self.jobs.retain(|(demand, _)| demand.job != job);
    }

    pub(crate) fn verdict(&self, demand: &JobDemand) -> WaitVerdict {
        if self.able(demand).next().is_some() {
            WaitVerdict::NotNow
        } else if self.fleet_known {
            WaitVerdict::Never
        } else {
            WaitVerdict::NotKnownYet
        }
    }

    /// Whether what a reason says about a waiting job is so.
    pub(crate) fn is_true(&self, reason: &WaitReason, demand: &JobDemand) -> bool {
        let count = |wanted: Availability| {
            self.able(demand)
                .filter(|(_, availability)| *availability == wanted)
                .count() as u64
        };
        match reason {
            WaitReason::NoWorkers => self.workers.is_empty(),
            WaitReason::FleetUnknown => !self.fleet_known,
            WaitReason::RequirementUnmet {
                requirement,
                failing,
                workers,
            } => {
                let fails = |offer: &&WorkerOffer| !requirement.is_met_by(&offer.tags);
                demand.requirements.contains(requirement)
                    && *failing > 0
                    && *failing as usize == self.named(demand).filter(fails).count()
                    && *workers as usize == self.named(demand).count()
            }
            WaitReason::NamedWorkerUnknown { worker } => {
                demand.worker.as_ref() == Some(worker) && self.named(demand).count() == 0
            }
            WaitReason::TooManySlots { asked, largest } => {
                let will_do = self.named(demand).filter(|offer| will_do(offer, demand));
                *asked == slots(demand)
                    && asked > largest
                    && will_do.map(|offer| offer.slots).max() == Some(*largest)
            }
            WaitReason::Nearest {
                worker,
                name,
                lacks,
            } => {
                let nearest = self
                    .named(demand)
                    .min_by_key(|offer| (unmet(offer, demand).len(), &offer.name, offer.worker))
                    .expect("a worker");
                !lacks.is_empty()
                    && (*worker, name) == (nearest.worker, &nearest.name)
                    && *lacks == unmet(nearest, demand)
            }
            WaitReason::Busy { workers } => {
                *workers > 0 && u64::from(*workers) == count(Availability::Available)
            }
            WaitReason::Silent { workers } => {
                *workers > 0 && u64::from(*workers) == count(Availability::Silent)
            }
            WaitReason::Suspended { workers } => {
                *workers > 0 && u64::from(*workers) == count(Availability::Suspended)
            }
            WaitReason::Behind { jobs } => {
                let before = |other: &&JobDemand| {
                    other.queue == demand.queue
                        && (other.order, other.job) < (demand.order, demand.job)
                };
                *jobs > 0 && *jobs == self.waiting().filter(before).count() as u64
            }
            _ => false,
        }
    }

    /// The workers that could run it when idle.
    fn able(&self, demand: &JobDemand) -> impl Iterator<Item = &(WorkerOffer, Availability)> {
        self.workers
            .iter()
            .filter(|(offer, _)| will_do(offer, demand) && offer.slots >= slots(demand))
    }

    /// The workers that a job names: all if it names none.
    fn named(&self, demand: &JobDemand) -> impl Iterator<Item = &WorkerOffer> {
        let workers = self.workers.iter().map(|(offer, _)| offer);
        workers.filter(|offer| is_named(offer, demand))
    }
}

pub(crate) fn slots(demand: &JobDemand) -> u32 {
    demand.slots.max(1)
}

pub(crate) fn will_do(offer: &WorkerOffer, demand: &JobDemand) -> bool {
    is_named(offer, demand) && unmet(offer, demand).is_empty()
}

fn is_named(offer: &WorkerOffer, demand: &JobDemand) -> bool {
    match &demand.worker {
        None => true,
        Some(name) => *name == offer.name || *name == offer.worker.to_string(),
    }
}

/// What a worker lacks, in order, each once.
fn unmet(offer: &WorkerOffer, demand: &JobDemand) -> Vec<Requirement> {
    let mut unmet = demand.requirements.clone();
    unmet.retain(|requirement| !requirement.is_met_by(&offer.tags));
    unmet.sort();
    unmet.dedup();
    unmet
}
