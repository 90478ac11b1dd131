//! Histories of any kind: whatever a scheduler can be told.

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Group, JobId, Now, Preference, QueueSettings, Resources, Steady, TagSet, Timestamp, WorkerId,
};
use jobyard_scheduler::{
    Availability, Event, JobDemand, Placement, Policy, Wants, WantsDraft, WorkerOffer,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::{Moment, job, requirement, with, worker};

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let placements = prop_oneof![
        Just(Placement::Spread),
        Just(Placement::Pack),
        spans().prop_map(|patience| Placement::Warm { patience }),
    ];
    let maybe = || prop::option::of(spans());
    (placements, maybe(), 0..4_usize, maybe(), maybe()).prop_map(
        |(placement, reserve_after, max_reservations, ageing, give_up_after)| {
            with(|policy| {
                policy.placement = placement;
                policy.reserve_after = reserve_after;
                policy.max_reservations = max_reservations;
                policy.ageing = ageing;
                policy.give_up_after = give_up_after;
            })
        },
    )
}

fn spans() -> impl Strategy<Value = Duration> {
    (1..2000_u64).prop_map(Duration::from_millis)
}

/// Clocks that mostly go on, and at times back.
pub(crate) fn histories() -> impl Strategy<Value = Vec<Moment>> {
    let steps = (-50..400_i64, -20..20_i64, events());
    prop::collection::vec(steps, 1..80).prop_map(|steps| {
        let (mut steady, mut wall) = (1_000_000_i64, 0);
        let moments = steps.into_iter().map(|(step, drift, event)| {
            steady += step * 1000;
            wall += step * 1000 + drift;
            let now = Now {
                wall: Timestamp::from_micros(wall),
                steady: Steady::from_micros(steady.unsigned_abs()),
            };
            (now, event)
        });
        moments.collect()
    })
}

fn events() -> impl Strategy<Value = Event> {
    let availabilities = || {
        select(vec![
            Availability::Available,
            Availability::Available,
            Availability::Silent,
            Availability::Suspended,
            Availability::Complaining,
        ])
    };
    prop_oneof![
        20 => demands().prop_map(Event::JobQueued),
        3 => jobs().prop_map(Event::JobWithdrawn),
        2 => (demands(), workers()).prop_map(|(demand, worker)| Event::JobPlaced { demand, worker }),
        15 => jobs().prop_map(Event::JobReleased),
        6 => offers().prop_map(Event::WorkerJoined),
        4 => offers().prop_map(Event::WorkerChanged),
        3 => (workers(), holds()).prop_map(|(worker, holds)| Event::WorkerHolds { worker, holds }),
        12 => (workers(), availabilities())
            .prop_map(|(worker, availability)| Event::WorkerAvailability { worker, availability }),
        2 => workers().prop_map(Event::WorkerLeft),
        3 => (queues(), settings()).prop_map(|(queue, settings)| Event::QueueSet { queue, settings }),
        1 => Just(Event::FleetKnown),
        1 => any::<bool>().prop_map(Event::FleetMayGrow),
        4 => Just(Event::TimePassed),
    ]
}

fn jobs() -> impl Strategy<Value = JobId> {
    (0..20_u32).prop_map(job)
}

fn workers() -> impl Strategy<Value = WorkerId> {
    (0..6_u32).prop_map(worker)
}

fn queues() -> impl Strategy<Value = Arc<str>> {
    select(vec!["default", "nightly", "deploy"]).prop_map(Arc::from)
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    (-2..3_i32, 1..5_u32, prop::option::of(0..3_u64)).prop_map(|(class, weight, max_running)| {
        let mut settings = QueueSettings::default();
        settings.class = class;
        settings.weight = weight;
        settings.max_running = max_running;
        settings
    })
}

fn resources() -> impl Strategy<Value = Resources> {
    (0..5_u32, 0..3_u64, 0..3_u64, 0..3_u64).prop_map(|(slots, cpu, memory, gpus)| {
        let mut resources = Resources::of_slots(slots).with("gpu", gpus);
        resources.cpu_millis = cpu * 500;
        resources.memory_bytes = memory << 30;
        resources
    })
}

fn holds() -> impl Strategy<Value = std::collections::BTreeMap<String, u64>> {
    let keys = select(vec!["image:a", "image:b", "cache:x"]).prop_map(str::to_owned);
    prop::collection::btree_map(keys, 0..1_000_000_u64, 0..3)
}

fn tags() -> impl Strategy<Value = TagSet> {
    let texts = vec!["os=linux", "os=darwin", "gpu", "gpu=a100", "cores=8"];
    subsequence(texts, 0..=5).prop_map(|texts| {
        let tags: Vec<_> = texts
            .iter()
            .map(|text| text.parse().expect("a tag"))
            .collect();
        TagSet::try_from(tags).expect("few tags")
    })
}

fn offers() -> impl Strategy<Value = WorkerOffer> {
    let exclusive = prop_oneof![4 => Just(TagSet::new()), 1 => tags()];
    (workers(), tags(), exclusive, resources(), holds()).prop_map(
        |(worker, tags, exclusive, capacity, holds)| {
            let mut offer = WorkerOffer::new(worker, format!("worker-{}", tags.len()));
            offer.tags = tags;
            offer.exclusive = exclusive;
            offer.capacity = capacity;
            offer.holds = holds;
            offer
        },
    )
}

fn wants() -> impl Strategy<Value = Arc<Wants>> {
    let texts = vec![
        "os=linux",
        "os!=linux|darwin",
        "!gpu",
        "gpu=a100",
        "cores>=4",
    ];
    let requirements = subsequence(texts.clone(), 0..3);
    let preferences = subsequence(texts, 0..2);
    let named = prop::option::weighted(0.1, workers());
    (requirements, preferences, named, resources(), holds()).prop_map(
        |(requirements, preferences, named, resources, holds)| {
            let mut wants = WantsDraft::default();
            wants.requirements = requirements.into_iter().map(requirement).collect();
            wants.prefer = preferences
                .into_iter()
                .map(|text| Preference::new(requirement(text), 3))
                .collect();
            wants.worker = named.map(|worker| worker.to_string());
            wants.resources = resources;
            wants.warm = holds.into_keys().collect();
            Arc::new(wants.into())
        },
    )
}

fn demands() -> impl Strategy<Value = JobDemand> {
    let groups = prop::option::weighted(0.3, (select(vec!["a", "b"]), 0..3_u32));
    let expected = prop::option::weighted(0.3, spans());
    (
        jobs(),
        0..30_u64,
        queues(),
        -2..3_i32,
        groups,
        wants(),
        expected,
    )
        .prop_map(|(job, order, queue, priority, group, wants, expected)| {
            let mut demand = JobDemand::of(job, order, wants);
            demand.queue = queue;
            demand.priority = priority;
            demand.group = group.map(|(key, limit)| Group::new(key, limit));
            demand.expected = expected;
            demand
        })
}
