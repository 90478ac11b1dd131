//! Whether what an explanation says is so.

use jobyard_core::{Lack, MAX_COMPLAINING, Tag, WaitReason, WaitVerdict};
use jobyard_scheduler::{Availability, WorkerOffer};

use super::matching::{is_warm, unmet, unnamed};
use super::{Job, Reference, Worker};

impl Reference {
    pub(crate) fn verdict(&self, job: &Job) -> WaitVerdict {
        if self.able(job).next().is_some() {
            WaitVerdict::NotNow
        } else if self.fleet_known && !self.fleet_may_grow {
            WaitVerdict::Never
        } else {
            WaitVerdict::NotKnownYet
        }
    }

    /// Whether what a reason says about a waiting job is so.
    pub(crate) fn is_true(&self, reason: &WaitReason, job: &Job) -> bool {
        match reason {
            WaitReason::NoWorkers => self.workers.is_empty(),
            WaitReason::FleetUnknown => !self.fleet_known,
            WaitReason::FleetMayGrow => self.fleet_may_grow,
            WaitReason::RequirementUnmet { .. }
            | WaitReason::Excluded { .. }
            | WaitReason::NamedWorkerUnknown { .. }
            | WaitReason::TooMuch { .. }
            | WaitReason::Nearest { .. } => self.is_true_of_the_fleet(reason, job),
            WaitReason::QueueFull { .. }
            | WaitReason::GroupFull { .. }
            | WaitReason::Reserved { .. }
            | WaitReason::Behind { .. }
            | WaitReason::QueuesFirst { .. } => self.is_true_of_the_order(reason, job),
            WaitReason::Busy { workers } => {
                let room = |worker: &Worker| self.has_bare_room(worker, job);
                self.is_count(job, *workers, |worker| {
                    worker.is_available() && !room(worker)
                })
            }
            WaitReason::KeptForOthers { workers } => self.is_count(job, *workers, |worker| {
                self.has_bare_room(worker, job) && !self.has_room(worker, job)
            }),
            WaitReason::WaitsForWarm { workers } => {
                let mut warm = self.workers.iter();
                self.holds_out(job)
                    && !warm.any(|worker| {
                        is_warm(&worker.offer, &job.demand) && self.has_room(worker, job)
                    })
                    && self.is_count(job, *workers, |worker| {
                        worker.is_available() && is_warm(&worker.offer, &job.demand)
                    })
            }
            WaitReason::Silent { workers } => self.is_count(job, *workers, |worker| {
                worker.availability == Availability::Silent
            }),
            WaitReason::Complaining { workers, said } => {
                let complains = |worker: &Worker| worker.availability == Availability::Complaining;
                let mut names: Vec<_> = self.able(job).filter(|worker| complains(worker)).collect();
                names.sort_by(|a, b| a.offer.name.cmp(&b.offer.name));
                let names = names.into_iter().map(|worker| &worker.offer.name);
                self.is_count(job, *workers, complains)
                    && said
                        .iter()
                        .map(|said| &said.name)
                        .eq(names.take(MAX_COMPLAINING))
            }
            WaitReason::Suspended { workers } => self.is_count(job, *workers, |worker| {
                worker.availability == Availability::Suspended
            }),
            _ => false,
        }
    }

    /// Whether so many of the workers that could hold the job are like this, and at least one.
    fn is_count(&self, job: &Job, workers: u32, is: impl Fn(&Worker) -> bool) -> bool {
        workers > 0 && workers as usize == self.able(job).filter(|worker| is(worker)).count()
    }

    fn is_true_of_the_fleet(&self, reason: &WaitReason, job: &Job) -> bool {
        let demand = &job.demand;
        match reason {
            WaitReason::RequirementUnmet {
                requirement,
                failing,
                workers,
            } => {
                let fails = |worker: &&Worker| !requirement.is_met_by(&worker.offer.tags);
                demand.wants.draft().requirements.contains(requirement)
                    && *failing > 0
                    && *failing as usize == self.named(job).filter(fails).count()
                    && *workers as usize == self.named(job).count()
            }
            WaitReason::Excluded { tag, workers } => {
                let has = |worker: &&Worker| unnamed(&worker.offer, demand).contains(tag);
                *workers > 0 && *workers as usize == self.named(job).filter(has).count()
            }
            WaitReason::NamedWorkerUnknown { worker } => {
                demand.wants.draft().worker.as_ref() == Some(worker) && self.named(job).count() == 0
            }
            WaitReason::TooMuch {
                resource,
                asked,
                largest,
            } => self
                .too_much(job)
                .contains(&(resource.clone(), *asked, *largest)),
            WaitReason::Nearest {
                worker,
                name,
                lacks,
            } => self.worker(*worker).is_some_and(|worker| {
                self.named(job).any(|named| named.offer == worker.offer)
                    && worker.offer.name == *name
                    && !lacks.is_empty()
                    && *lacks == all_lacks(&worker.offer, job)
            }),
            other => panic!("no reason in the fleet: {other:?}"),
        }
    }

    fn is_true_of_the_order(&self, reason: &WaitReason, job: &Job) -> bool {
        let demand = &job.demand;
        match reason {
            WaitReason::QueueFull {
                queue,
                running,
                limit,
            } => {
                *queue == *demand.queue
                    && *running == self.placed_of(queue) as u64
                    && self.queues.queue(queue).settings.max_running == Some(*limit)
                    && running >= limit
            }
            WaitReason::GroupFull {
                group,
                running,
                limit,
            } => {
                let asked = demand.group.as_ref().expect("it is in a group");
                asked.key == *group
                    && u64::from(asked.limit.max(1)) == *limit
                    && *running == self.running_of_group(group)
                    && running >= limit
            }
            WaitReason::Reserved { worker, name } => {
                let kept = self.kept_on(job);
                kept.is_some_and(|kept| (kept.offer.worker, &kept.offer.name) == (*worker, name))
            }
            WaitReason::Behind { jobs } => {
                let before =
                    |other: &&Job| other.demand.queue == demand.queue && other.key() < job.key();
                *jobs > 0 && *jobs == self.waiting().filter(before).count() as u64
            }
            WaitReason::QueuesFirst { queues } => {
                *queues > 0 && *queues == self.queues_before(job) as u64
            }
            other => panic!("no reason in the order: {other:?}"),
        }
    }

    /// How many queues that have something to start go before the queue of this job.
    fn queues_before(&self, job: &Job) -> usize {
        let own = self.turn(&job.demand.queue);
        let heads = self.heads();
        let mut queues: Vec<_> = heads
            .into_iter()
            .map(|at| self.jobs[at].demand.queue.clone())
            .filter(|queue| self.turn(queue) < own)
            .collect();
        queues.sort();
        queues.dedup();
        queues.len()
    }
}

/// What keeps an idle worker from being enough.
pub(crate) fn all_lacks(offer: &WorkerOffer, job: &Job) -> Vec<Lack> {
    let requirements = unmet(offer, &job.demand)
        .into_iter()
        .map(|requirement| Lack::Requirement { requirement });
    let exclusive = unnamed(offer, &job.demand)
        .into_iter()
        .map(|tag: Tag| Lack::Exclusive { tag });
    let takes = &job.demand.wants.draft().resources;
    let resources = takes.iter().filter_map(|(kind, asked)| {
        let has = offer.capacity.amount(kind);
        let resource = kind.to_string();
        (asked > has).then_some(Lack::Resource {
            resource,
            asked,
            has,
        })
    });
    requirements.chain(exclusive).chain(resources).collect()
}
