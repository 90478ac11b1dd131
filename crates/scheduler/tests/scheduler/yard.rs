//! A scheduler with jobs and workers that go by numbers, and a clock that is turned by hand.

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Help, JobId, Now, QueueSettings, Resources, Steady, Timestamp, WaitReason, WaitVerdict,
    WorkerId,
};
use jobyard_scheduler::{
    Availability, Decision, Event, JobDemand, Policy, Scheduler, Wants, WantsDraft, WorkerOffer,
};
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Yard {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Steady,
    /// Jobs that were given up, in order.
    pub(crate) given_up: Vec<u128>,
}

impl Yard {
    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        Self {
            scheduler: Scheduler::with_policy(policy),
            ..Self::default()
        }
    }

    /// The assignments that follow, as (job, worker).
    pub(crate) fn tell(&mut self, event: Event) -> Vec<(u128, u128)> {
        let mut out = Vec::new();
        self.scheduler.handle(at(self.now), event, &mut out);
        let mut assigned = Vec::new();
        for decision in out {
            match decision {
                Decision::Assigned { job, worker } => {
                    assigned.push((job.as_uuid().as_u128(), worker.as_uuid().as_u128()));
                }
                Decision::GaveUp { job } => self.given_up.push(job.as_uuid().as_u128()),
                other => panic!("an unknown decision: {other:?}"),
            }
        }
        assigned
    }

    /// Time passes, and what follows from that alone.
    pub(crate) fn wait(&mut self, millis: u64) -> Vec<(u128, u128)> {
        self.now = self.now + Duration::from_millis(millis);
        self.tell(Event::TimePassed)
    }

    /// A worker that is available at once.
    pub(crate) fn worker(&mut self, number: u128, tags: &str, slots: u32) -> Vec<(u128, u128)> {
        self.join(offer(number, tags, slots))
    }

    /// The same with everything that it offers.
    pub(crate) fn join(&mut self, offer: WorkerOffer) -> Vec<(u128, u128)> {
        let number = offer.worker.as_uuid().as_u128();
        assert_eq!(self.tell(Event::WorkerJoined(offer)), []);
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
        self.submit(number, asks, slots, |_| {})
    }

    /// The same with more to say.
    pub(crate) fn submit(
        &mut self,
        number: u64,
        asks: &str,
        slots: u32,
        more: impl FnOnce(&mut JobDemand),
    ) -> Vec<(u128, u128)> {
        let mut demand = demand(number, asks, slots);
        more(&mut demand);
        self.tell(Event::JobQueued(demand))
    }

    pub(crate) fn release(&mut self, number: u128) -> Vec<(u128, u128)> {
        self.tell(Event::JobReleased(job(number)))
    }

    pub(crate) fn set(
        &mut self,
        queue: &str,
        change: impl FnOnce(&mut QueueSettings),
    ) -> Vec<(u128, u128)> {
        let mut settings = QueueSettings::default();
        change(&mut settings);
        let queue = queue.into();
        self.tell(Event::QueueSet { queue, settings })
    }

    pub(crate) fn why(&self, number: u128) -> (WaitVerdict, Vec<WaitReason>) {
        let why = self.scheduler.explain(job(number)).expect("it waits");
        (why.verdict.expect("it waits"), why.reasons)
    }

    pub(crate) fn help(&self, number: u128) -> Vec<Help> {
        self.scheduler.explain(job(number)).expect("it waits").help
    }

    /// The slots that are taken.
    pub(crate) fn used(&self, number: u128) -> u32 {
        let usage = self.scheduler.worker(worker(number));
        usage.expect("it is known").used.slots
    }

    /// The job for which room is kept on a worker.
    pub(crate) fn kept(&self, number: u128) -> Option<u128> {
        let job = self.scheduler.reserved_for(worker(number))?;
        Some(job.as_uuid().as_u128())
    }
}

pub(crate) fn at(steady: Steady) -> Now {
    Now {
        wall: Timestamp::default(),
        steady,
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
    offer.capacity = Resources::of_slots(slots);
    offer
}

pub(crate) fn demand(number: u64, asks: &str, slots: u32) -> JobDemand {
    let wants = wants(asks, Resources::of_slots(slots));
    JobDemand::of(job(number.into()), number, wants)
}

pub(crate) fn wants(asks: &str, resources: Resources) -> Arc<Wants> {
    wanting(asks, |draft| draft.resources = resources)
}

pub(crate) fn wanting(asks: &str, change: impl FnOnce(&mut WantsDraft)) -> Arc<Wants> {
    let mut draft = WantsDraft::default();
    let terms = asks.split_whitespace();
    draft.requirements = terms
        .map(|term| term.parse().expect("a requirement"))
        .collect();
    change(&mut draft);
    Arc::new(draft.into())
}

pub(crate) fn resources(slots: u32, cpu_millis: u64, memory_bytes: u64) -> Resources {
    let mut resources = Resources::of_slots(slots);
    resources.cpu_millis = cpu_millis;
    resources.memory_bytes = memory_bytes;
    resources
}
