//! A scheduler with jobs and workers that go by numbers.

use jobyard_core::{JobId, Now, WaitReason, WaitVerdict, WorkerId};
use jobyard_scheduler::{Availability, Event, JobDemand, Scheduler, WorkerOffer};
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Yard {
    pub(crate) scheduler: Scheduler,
}

impl Yard {
    /// The assignments that follow, as (job, worker).
    pub(crate) fn tell(&mut self, event: Event) -> Vec<(u128, u128)> {
        let mut out = Vec::new();
        self.scheduler.handle(Now::default(), event, &mut out);
        out.iter()
            .map(|to| (to.job.as_uuid().as_u128(), to.worker.as_uuid().as_u128()))
            .collect()
    }

    /// A worker that is available at once.
    pub(crate) fn worker(&mut self, number: u128, tags: &str, slots: u32) -> Vec<(u128, u128)> {
        assert_eq!(
            self.tell(Event::WorkerJoined(offer(number, tags, slots))),
            []
        );
        self.availability(number, Availability::Available)
    }

    pub(crate) fn availability(
        &mut self,
        number: u128,
        availability: Availability,
    ) -> Vec<(u128, u128)> {
        self.tell(Event::WorkerAvailability {
            worker: worker(number),
            availability,
        })
    }

    /// Queues a job whose number is also its order.
    pub(crate) fn queue(&mut self, number: u64, asks: &str, slots: u32) -> Vec<(u128, u128)> {
        self.tell(Event::JobQueued(demand(number, asks, slots)))
    }

    pub(crate) fn release(&mut self, number: u128) -> Vec<(u128, u128)> {
        self.tell(Event::JobReleased(job(number)))
    }

    pub(crate) fn why(&self, number: u128) -> (WaitVerdict, Vec<WaitReason>) {
        let why = self.scheduler.explain(job(number)).expect("it waits");
        (why.verdict.expect("it waits"), why.reasons)
    }

    pub(crate) fn used(&self, number: u128) -> u64 {
        self.scheduler
            .worker(worker(number))
            .expect("it is known")
            .used
    }
}

pub(crate) fn job(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn worker(number: u128) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(number))
}

/// Worker `number` is called `w{number}`.
pub(crate) fn offer(number: u128, tags: &str, slots: u32) -> WorkerOffer {
    let mut offer = WorkerOffer::new(worker(number), format!("w{number}"));
    for tag in tags.split_whitespace() {
        let tag = tag.parse().expect("a tag");
        offer.tags.insert(tag).expect("room");
    }
    offer.slots = slots;
    offer
}

pub(crate) fn demand(number: u64, asks: &str, slots: u32) -> JobDemand {
    let mut demand = JobDemand::new(job(number.into()), number);
    let terms = asks.split_whitespace();
    demand.requirements = terms
        .map(|term| term.parse().expect("a requirement"))
        .collect();
    demand.slots = slots;
    demand
}
