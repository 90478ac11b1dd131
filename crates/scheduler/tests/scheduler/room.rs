//! Nobody is oversold, and nothing that could run is left lying beside a worker with room.

use std::collections::BTreeMap;

use jobyard_core::{JobId, WorkerId};
use jobyard_scheduler::{Decision, Event, JobDemand, WorkerOffer};
use proptest::prelude::*;

use crate::history::{histories, placements, policies};
use crate::reference::{Reference, is_warm, may_hold};
use crate::walk::{a_part_of_the_cases, walk};

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn no_assignment_oversells_a_worker_in_any_resource(
        policy in policies(placements()),
        history in histories(),
    ) {
        let mut ledger = Ledger::default();
        walk(&policy, &history, |_, event, decisions| {
            ledger.take_in(event);
            for decision in decisions {
                let Decision::Assigned { job, worker } = *decision else {
                    continue;
                };
                ledger.places.insert(job, worker);
                let takes = &ledger.demands[&job].wants.draft().resources;
                let capacity = &ledger.offers[&worker].capacity;
                for (kind, _) in takes.iter() {
                    let on_it = ledger.places.iter().filter(|(_, on)| **on == worker);
                    let used: u64 = on_it
                        .map(|(job, _)| {
                            let wants = &ledger.demands[job].wants;
                            wants.draft().resources.amount(kind)
                        })
                        .sum();
                    prop_assert!(used <= capacity.amount(kind), "{kind} of {worker}: {used}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_open_head_is_idle_beside_a_worker_with_room(
        policy in policies(placements()),
        history in histories(),
    ) {
        walk(&policy, &history, |twins, _, _| {
            let reference = &twins.reference;
            for job in reference.heads().into_iter().map(|at| &reference.jobs[at]) {
                for worker in &reference.workers {
                    let goes_there =
                        !reference.holds_out(job) || is_warm(&worker.offer, &job.demand);
                    // What waits and what is taken is the scheduler's own view.
                    let usage = twins.scheduler.worker(worker.offer.worker).expect("known");
                    let takes = &job.demand.wants.draft().resources;
                    let fits = takes.iter().all(|(kind, amount)| {
                        usage.used.amount(kind) + amount <= usage.capacity.amount(kind)
                    });
                    let kept = twins.scheduler.reserved_for(worker.offer.worker);
                    let is_kept_for_others = kept.is_some_and(|kept| kept != job.id());
                    prop_assert!(
                        !(goes_there
                            && fits
                            && worker.is_available()
                            && may_hold(&worker.offer, &job.demand)
                            && !is_kept_for_others),
                        "{job:?} beside {worker:?}"
                    );
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn jobs_go_only_where_they_suit(policy in policies(placements()), history in histories()) {
        walk(&policy, &history, |twins, _, decisions| {
            for decision in decisions {
                if let Decision::Assigned { job, worker } = decision {
                    prop_assert!(suits(&twins.reference, *job, *worker));
                }
            }
            Ok(())
        })?;
    }
}

fn suits(reference: &Reference, job: JobId, worker: WorkerId) -> bool {
    let job = reference.job(job).expect("it was assigned");
    let worker = reference.worker(worker).expect("it got a job");
    worker.is_available() && may_hold(&worker.offer, &job.demand)
}

/// What the host knows, without any policy.
#[derive(Default)]
struct Ledger {
    demands: BTreeMap<JobId, JobDemand>,
    offers: BTreeMap<WorkerId, WorkerOffer>,
    places: BTreeMap<JobId, WorkerId>,
}

impl Ledger {
    fn take_in(&mut self, event: &Event) {
        match event {
            Event::JobQueued(demand) if !self.places.contains_key(&demand.job) => {
                self.demands.insert(demand.job, demand.clone());
            }
            Event::JobPlaced { demand, worker } => {
                self.demands.insert(demand.job, demand.clone());
                self.places.insert(demand.job, *worker);
            }
            Event::JobReleased(job) => {
                self.places.remove(job);
            }
            Event::WorkerJoined(offer) | Event::WorkerChanged(offer) => {
                self.offers.insert(offer.worker, offer.clone());
            }
            _ => {}
        }
    }
}
