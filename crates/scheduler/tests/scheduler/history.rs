//! Random histories of small yards, in which the same jobs and workers meet again and again.

use jobyard_core::{JobId, WorkerId};
use jobyard_scheduler::{Availability, Event, JobDemand, WorkerOffer, ring_place};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::yard;

const TAGS: [&str; 6] = [
    "os=linux",
    "os=darwin",
    "gpu",
    "gpu=a100",
    "has=git",
    "has=cargo",
];
const ASKS: [&str; 6] = [
    "os=linux",
    "os=linux|darwin",
    "os",
    "gpu",
    "gpu=a100",
    "has=git",
];

pub(crate) fn histories() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(events(), 1..120)
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => demands().prop_map(Event::JobQueued),
        5 => jobs().prop_map(Event::JobWithdrawn),
        4 => (demands(), workers()).prop_map(|(demand, worker)| Event::JobPlaced { demand, worker }),
        20 => jobs().prop_map(Event::JobReleased),
        8 => offers().prop_map(Event::WorkerJoined),
        8 => offers().prop_map(Event::WorkerChanged),
        16 => (workers(), availabilities())
            .prop_map(|(worker, availability)| Event::WorkerAvailability { worker, availability }),
        3 => workers().prop_map(Event::WorkerLeft),
        1 => Just(Event::FleetKnown),
    ]
}

/// Ids from all over the range, so that neither order nor ties favour the numbers.
fn jobs() -> impl Strategy<Value = JobId> {
    (0..20_u128).prop_map(|number| yard::job(ring_place(number + 1000)))
}

fn workers() -> impl Strategy<Value = WorkerId> {
    (0..8_u128).prop_map(|number| yard::worker(ring_place(number + 1)))
}

fn availabilities() -> impl Strategy<Value = Availability> {
    prop_oneof![
        4 => Just(Availability::Available),
        1 => Just(Availability::Silent),
        1 => Just(Availability::Suspended),
    ]
}

/// Names are few, so that workers share them and take them over.
fn names() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn offers() -> impl Strategy<Value = WorkerOffer> {
    let tags = subsequence(TAGS.to_vec(), 0..=TAGS.len());
    (workers(), names(), tags, 0..6_u32).prop_map(|(worker, name, tags, slots)| {
        let mut offer = WorkerOffer::new(worker, name);
        for tag in tags {
            let tag = tag.parse().expect("a tag");
            offer.tags.insert(tag).expect("room");
        }
        offer.slots = slots;
        offer
    })
}

fn demands() -> impl Strategy<Value = JobDemand> {
    let asks = prop::collection::vec(select(ASKS.to_vec()), 0..3);
    let named = prop_oneof![
        8 => Just(None),
        1 => names().prop_map(Some),
        1 => workers().prop_map(|worker| Some(worker.to_string())),
    ];
    let queue = select(vec!["default", "nightly"]);
    (jobs(), 0..12_u64, queue, asks, named, 0..5_u32).prop_map(
        |(job, order, queue, asks, named, slots)| {
            let mut demand = JobDemand::new(job, order);
            demand.queue = queue.into();
            let terms = asks.into_iter();
            demand.requirements = terms
                .map(|ask| ask.parse().expect("a requirement"))
                .collect();
            demand.worker = named;
            demand.slots = slots;
            demand
        },
    )
}
