//! Random histories of small yards, in which the same jobs, workers and queues meet again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Group, JobId, Preference, QueueSettings, Requirement, Resources, TagSet, WorkerId,
};
use jobyard_scheduler::{
    Availability, Event, JobDemand, Placement, Policy, Wants, WantsDraft, WorkerOffer, ring_place,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::points::Points;
use crate::yard::{self, resources};

/// An event, and how long after the one before it was told.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    /// How far the clock is behind when it is told.
    pub(crate) late: Duration,
    pub(crate) what: What,
}

/// What happens. Jobs that are meant by their number are found when it does, so that something mostly happens.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Told(Event),
    /// A job ends: the one of this number among those with a worker.
    Ends(usize),
    /// The same, and it goes back to the queue.
    ComesBack(usize),
    /// A waiting job of this number is withdrawn.
    Withdrawn(usize),
    /// A waiting job of this number asks again for the same.
    AsksAgain(usize),
}

const TAGS: [&str; 8] = [
    "os=linux",
    "os=darwin",
    "gpu",
    "gpu=a100",
    "has=git",
    "has=cargo",
    "cores=4",
    "cores=16",
];
const EXCLUSIVE: [&str; 3] = ["gpu", "gpu=a100", "has=git"];
const ASKS: [&str; 14] = [
    "os=linux",
    "os=linux|darwin",
    "os",
    "os!=linux",
    "os!=darwin|windows",
    "gpu",
    "!gpu",
    "gpu=a100",
    "has=git",
    "has=git|cargo",
    "cores>=8",
    "cores<8",
    "cores>4",
    "cores<=4KiB",
];
const QUEUES: [&str; 4] = ["default", "nightly", "a", "b"];
const THINGS: [&str; 4] = ["src", "deps", "image", "cache"];

pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    (openings(), prop::collection::vec(steps(), 1..150)).prop_map(|(mut opening, rest)| {
        opening.extend(rest);
        opening
    })
}

/// Some workers are there from the start, mostly.
fn openings() -> impl Strategy<Value = Vec<Step>> {
    let known = prop::bool::weighted(0.7);
    (prop::collection::vec(offers(), 0..5), known).prop_map(|(offers, known)| {
        let mut events = Vec::new();
        for offer in offers {
            let worker = offer.worker;
            let availability = Availability::Available;
            events.push(Event::WorkerJoined(offer));
            events.push(Event::WorkerAvailability {
                worker,
                availability,
            });
        }
        if known {
            events.push(Event::FleetKnown);
        }
        let step = |event| Step {
            after: Duration::ZERO,
            late: Duration::ZERO,
            what: What::Told(event),
        };
        events.into_iter().map(step).collect()
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let late = prop_oneof![20 => Just(0), 1 => Just(3_000)];
    (durations(), late, whats()).prop_map(|(after, late, what)| Step {
        after,
        late: Duration::from_millis(late),
        what,
    })
}

fn whats() -> impl Strategy<Value = What> {
    prop_oneof![
        70 => events().prop_map(What::Told),
        25 => any::<usize>().prop_map(What::Ends),
        3 => any::<usize>().prop_map(What::ComesBack),
        1 => any::<usize>().prop_map(What::Withdrawn),
        1 => any::<usize>().prop_map(What::AsksAgain),
    ]
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        10 => Just(Duration::ZERO),
        1 => Just(Duration::from_micros(1)),
        1 => Just(Duration::from_micros(999)),
        2 => (0..400_u64).prop_map(Duration::from_millis),
        4 => (0..8_u64).prop_map(|halves| Duration::from_millis(halves * 500)),
        2 => (1..60_u64).prop_map(Duration::from_secs),
        1 => (1..10_u64).prop_map(Duration::from_mins),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => demands().prop_map(Event::JobQueued),
        2 => jobs().prop_map(Event::JobWithdrawn),
        2 => (demands(), workers())
            .prop_map(|(demand, worker)| Event::JobPlaced { demand, worker }),
        2 => jobs().prop_map(Event::JobReleased),
        2 => offers().prop_map(Event::WorkerJoined),
        4 => offers().prop_map(Event::WorkerChanged),
        4 => (workers(), holds())
            .prop_map(|(worker, holds)| Event::WorkerHolds { worker, holds }),
        8 => (workers(), availabilities())
            .prop_map(|(worker, availability)| Event::WorkerAvailability { worker, availability }),
        2 => workers().prop_map(Event::WorkerLeft),
        5 => (queues(), settings()).prop_map(|(queue, settings)| Event::QueueSet { queue, settings }),
        1 => Just(Event::FleetKnown),
        2 => any::<bool>().prop_map(Event::FleetMayGrow),
        5 => Just(Event::TimePassed),
    ]
}

/// Ids from all over the range, so that neither order nor ties favour the numbers.
fn jobs() -> impl Strategy<Value = JobId> {
    (0..20_u128).prop_map(|number| yard::job(ring_place(number + 1000)))
}

fn workers() -> impl Strategy<Value = WorkerId> {
    (0..6_u128).prop_map(|number| yard::worker(ring_place(number + 1)))
}

fn queues() -> impl Strategy<Value = Arc<str>> {
    select(QUEUES.to_vec()).prop_map(Arc::from)
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    let class = prop_oneof![4 => Just(0), 1 => Just(-1), 2 => 1..4_i32];
    let weight = select(vec![0, 1, 1, 2, 3, 1000]);
    let max_running = prop_oneof![5 => Just(None), 2 => (0..4_u64).prop_map(Some)];
    (class, weight, max_running).prop_map(|(class, weight, max_running)| {
        let mut settings = QueueSettings::default();
        settings.class = class;
        settings.weight = weight;
        settings.max_running = max_running;
        settings
    })
}

fn availabilities() -> impl Strategy<Value = Availability> {
    prop_oneof![
        6 => Just(Availability::Available),
        1 => Just(Availability::Silent),
        1 => Just(Availability::Suspended),
        1 => Just(Availability::Complaining),
    ]
}

/// Names are few, so that workers share them and take them over.
fn names() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn holds() -> impl Strategy<Value = BTreeMap<String, u64>> {
    let sizes = select(vec![0, 10, 10, 1000, u64::MAX]);
    let things = select(THINGS.to_vec()).prop_map(str::to_owned);
    prop::collection::btree_map(things, sizes, 0..4)
}

fn offers() -> impl Strategy<Value = WorkerOffer> {
    let tags = subsequence(TAGS.to_vec(), 2..=TAGS.len());
    let exclusive = prop_oneof![
        14 => Just(Vec::new()),
        1 => subsequence(EXCLUSIVE.to_vec(), 1..=2),
    ];
    let capacity = (0..6_u32, 2..9_u64, 0..5_u64, 0..4_u64, 0..2_u64);
    (workers(), names(), tags, exclusive, capacity, holds()).prop_map(
        |(worker, name, tags, exclusive, (slots, cpu, memory, gpu, license), holds)| {
            let mut offer = WorkerOffer::new(worker, name);
            offer.tags = tag_set(&tags);
            offer.exclusive = tag_set(&exclusive);
            offer.capacity = resources(slots, cpu * 500, memory << 30)
                .with("gpu", gpu)
                .with("license", license);
            offer.holds = holds;
            offer
        },
    )
}

fn tag_set(tags: &[&str]) -> TagSet {
    let mut set = TagSet::new();
    for tag in tags {
        set.insert(tag.parse().expect("a tag")).expect("room");
    }
    set
}

fn requirement(text: &str) -> Requirement {
    text.parse().expect("a requirement")
}

pub(crate) fn wants() -> impl Strategy<Value = Arc<Wants>> {
    let asks = prop_oneof![
        3 => Just(Vec::new()),
        4 => prop::collection::vec(select(ASKS.to_vec()), 1..3),
    ];
    let named = prop_oneof![
        12 => Just(None),
        1 => names().prop_map(Some),
        1 => workers().prop_map(|worker| Some(worker.to_string())),
    ];
    let prefer = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((select(ASKS.to_vec()), 1..4_u32), 1..3),
    ];
    let things = prop_oneof![
        2 => Just(Vec::new()),
        1 => subsequence(THINGS.to_vec(), 1..3),
    ];
    (asks, named, takes(), prefer, things).prop_map(|(asks, named, takes, prefer, things)| {
        let mut draft = WantsDraft::default();
        draft.requirements = asks.into_iter().map(requirement).collect();
        draft.worker = named;
        draft.resources = takes;
        draft.prefer = prefer
            .into_iter()
            .map(|(tag, weight)| Preference::new(requirement(tag), weight))
            .collect();
        draft.warm = things
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>();
        Arc::new(draft.into())
    })
}

fn takes() -> impl Strategy<Value = Resources> {
    let slots = prop_oneof![4 => 0..2_u32, 2 => 2..6_u32];
    let cpu = prop_oneof![4 => Just(0), 2 => (1..7_u64).prop_map(|halves| halves * 500)];
    let memory = prop_oneof![5 => Just(0), 1 => (1..4_u64).prop_map(|gib| gib << 30)];
    let gpu = prop_oneof![6 => Just(0), 1 => 1..3_u64];
    let license = prop_oneof![12 => Just(0), 1 => Just(1)];
    (slots, cpu, memory, gpu, license).prop_map(|(slots, cpu, memory, gpu, license)| {
        resources(slots, cpu, memory)
            .with("gpu", gpu)
            .with("license", license)
    })
}

/// Wants are few within a history, so that lines form: most jobs want what others want too.
fn demands() -> impl Strategy<Value = JobDemand> {
    let common = select(vec![
        ("", 1_u32, None),
        ("", 1, Some("src")),
        ("", 1, Some("src")),
        ("", 3, Some("deps")),
        ("", 5, None),
        ("os=linux", 1, None),
        ("os=linux", 4, None),
        ("gpu", 1, Some("deps")),
        ("!gpu", 2, Some("src")),
    ]);
    let common = common.prop_map(|(asks, slots, thing)| {
        yard::wanting(asks, |draft| {
            draft.resources = Resources::of_slots(slots);
            draft.warm.extend(thing.map(str::to_owned));
        })
    });
    let wants = prop_oneof![3 => common, 2 => wants()];
    let group = prop_oneof![
        6 => Just(None),
        1 => (select(vec!["x", "y"]), 0..3_u32)
            .prop_map(|(key, limit)| Some(Group::new(key, limit))),
    ];
    let priority = prop_oneof![5 => Just(0), 1 => -1..2_i32];
    let expected = prop_oneof![
        2 => Just(None),
        1 => (0..100_u64).prop_map(|tenths| Some(Duration::from_millis(tenths * 100))),
    ];
    (
        jobs(),
        0..12_u64,
        queues(),
        priority,
        group,
        wants,
        expected,
    )
        .prop_map(|(job, order, queue, priority, group, wants, expected)| {
            let mut demand = JobDemand::of(job, order, wants);
            demand.queue = queue;
            demand.priority = priority;
            demand.group = group;
            demand.expected = expected;
            demand
        })
}

pub(crate) fn placements() -> impl Strategy<Value = Placement> {
    prop_oneof![
        2 => Just(Placement::Spread),
        1 => Just(Placement::Pack),
        2 => warm(),
        1 => Just(Placement::Scored(Arc::new(Points))),
    ]
}

pub(crate) fn warm() -> impl Strategy<Value = Placement> {
    let patience = select(vec![0, 500, 5_000, 60_000, 60_000]);
    patience.prop_map(|patience| Placement::Warm {
        patience: Duration::from_millis(patience),
    })
}

/// Every other choice of a policy.
pub(crate) fn policies(
    placement: impl Strategy<Value = Placement>,
) -> impl Strategy<Value = Policy> {
    let millis = |choices: &[u64]| {
        let choices: Vec<_> = choices
            .iter()
            .map(|millis| Some(Duration::from_millis(*millis)))
            .chain([None])
            .collect();
        select(choices)
    };
    (
        placement,
        millis(&[0, 0, 700, 3_000]),
        select(vec![0_usize, 1, 1, 2, 64]),
        millis(&[1, 1_000, 10_000]),
        millis(&[0, 1_500, 20_000]),
        any::<u64>(),
    )
        .prop_map(
            |(placement, reserve_after, max_reservations, ageing, give_up_after, seed)| {
                let mut policy = Policy::default();
                policy.placement = placement;
                policy.reserve_after = reserve_after;
                policy.max_reservations = max_reservations;
                policy.ageing = ageing;
                policy.give_up_after = give_up_after;
                policy.hash_seed = seed;
                policy
            },
        )
}
