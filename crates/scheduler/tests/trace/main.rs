//! What was recorded replays, bit by bit, and bytes from anywhere do no harm.

mod histories;

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Group, JobId, Now, Preference, QueueSettings, Requirement, Resources, Steady, Timestamp,
    WorkerId,
};
use jobyard_scheduler::trace::{MAX_PENDING_BYTES, Recorder, Replay, ReplayError, Step};
use jobyard_scheduler::{
    Availability, Decision, Event, JobDemand, Placement, Policy, Scheduler, Score, ScoredJob,
    ScoredWorker, Wants, WantsDraft, WorkerOffer, ring_place,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::histories::{histories, policies};

type Moment = (Now, Event);

proptest! {
    #[test]
    fn a_random_history_replays_with_the_same_decisions(policy in policies(), history in histories()) {
        let (bytes, expected) = record(&policy, &history);
        let steps = replay(&bytes);
        prop_assert_eq!(steps, expected);
    }

    #[test]
    fn a_cut_trace_replays_up_to_the_cut(
        policy in policies(), history in histories(), cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, expected) = record(&policy, &history);
        let cut = cut.index(bytes.len());
        let Ok(replay) = Replay::new(&bytes[..cut]) else {
            return Ok(());
        };
        let mut seen = 0;
        for step in replay {
            match step {
                Ok(step) => {
                    prop_assert_eq!(Some(&step), expected.get(seen));
                    seen += 1;
                }
                Err(problem) => prop_assert!(matches!(problem, ReplayError::Truncated { .. }), "{}", problem),
            }
        }
        prop_assert!(seen <= expected.len());
    }

    #[test]
    fn damage_is_noticed_and_never_panics(
        policy in policies(),
        history in histories(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let (bytes, expected) = record(&policy, &history);
        let mut damaged = bytes.clone();
        for (at, by) in damage {
            damaged[at.index(bytes.len())] ^= by;
        }
        prop_assume!(damaged != bytes);
        let Ok(replay) = Replay::new(&damaged) else {
            return Ok(());
        };
        let steps: Vec<_> = replay.collect();
        let good = steps.iter().take_while(|step| step.is_ok()).count();
        prop_assert!(good < expected.len());
        prop_assert!(steps.len() <= good + 1);
        for (step, expected) in steps.into_iter().flatten().zip(expected) {
            prop_assert_eq!(step, expected);
        }
    }

    #[test]
    fn bytes_from_anywhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(replay) = Replay::new(&bytes) {
            replay.for_each(drop);
        }
    }

    /// With frames that are whole, so that everything behind them is reached.
    #[test]
    fn bodies_from_anywhere_never_panic(
        bodies in prop::collection::vec(prop::collection::vec(bytes_of_bodies(), 0..60), 0..12),
    ) {
        let mut bytes = Recorder::new(&Policy::default()).take();
        for body in bodies {
            append_frame(&mut bytes, &body);
        }
        Replay::new(&bytes).expect("a good head").for_each(drop);
    }
}

#[test]
fn a_repeated_job_costs_a_few_bytes() {
    let mut wants = WantsDraft::default();
    wants.requirements = vec![requirement("os=linux|darwin"), requirement("cores>=8")];
    wants.resources = Resources::of_slots(1).with("gpu", 1);
    let wants: Arc<Wants> = Arc::new(wants.into());
    let history: Vec<_> = (0..1000)
        .map(|number| {
            let mut demand = JobDemand::of(job(number), number.into(), Arc::clone(&wants));
            demand.group = Some(Group::new("deploy", 3));
            (at(u64::from(number) * 1000), Event::JobQueued(demand))
        })
        .collect();
    let (bytes, _) = record(&Policy::default(), &history);
    // Besides its id, which nobody can guess.
    let each = bytes.len() / 1000 - 16;
    assert!(each < 20, "{each} bytes");
}

#[test]
fn a_score_of_the_host_has_to_be_given_again() {
    let policy = with(|policy| policy.placement = Placement::Scored(Arc::new(ByName)));
    let (bytes, expected) = record(&policy, &small_history());
    assert_eq!(Replay::new(&bytes).map(drop), Err(ReplayError::ScoreNeeded));
    let replay = Replay::with_score(&bytes, Arc::new(ByName)).expect("a trace");
    let steps: Vec<_> = replay.map(|step| step.expect("the same")).collect();
    assert_eq!(steps, expected);
}

#[test]
fn what_departs_is_named_by_its_event() {
    let one = record(&Policy::default(), &small_history());
    let mut never = with(|policy| policy.give_up_after = Some(Duration::ZERO));
    never.reserve_after = None;
    // The head of one trace with the events of another.
    let head = |policy: &Policy| Recorder::new(policy).take();
    let mut mixed = head(&never);
    mixed.extend_from_slice(&one.0[head(&Policy::default()).len()..]);
    let last = Replay::new(&mixed).expect("a trace").last();
    assert_eq!(last, Some(Err(ReplayError::Diverged { event: 5 })));
}

#[test]
fn the_scheduler_can_be_asked_after_each_event() {
    let (bytes, _) = record(&Policy::default(), &small_history());
    let mut replay = Replay::new(&bytes).expect("a trace");
    while replay.next().is_some() {}
    let scheduler = replay.into_scheduler();
    assert_eq!((scheduler.queued(), scheduler.placed()), (1, 1));
    assert!(scheduler.explain(job(2)).is_some());
}

#[test]
fn other_bytes_are_refused() {
    let bytes = Recorder::new(&Policy::default()).take();
    let refusal = |bytes: &[u8]| Replay::new(bytes).map(drop);
    assert_eq!(refusal(b""), Err(ReplayError::BadHeader));
    assert_eq!(refusal(&bytes[..7]), Err(ReplayError::BadHeader));
    assert_eq!(refusal(&bytes[..9]), Err(ReplayError::BadHeader));
    assert_eq!(refusal(b"{\"jobs\": []}"), Err(ReplayError::BadHeader));
    let mut later = bytes.clone();
    later[7] = 9;
    assert_eq!(
        refusal(&later),
        Err(ReplayError::UnknownVersion { version: 9 })
    );
    assert_eq!(refusal(&bytes), Ok(()));
}

#[test]
fn recording_ends_when_nobody_takes_the_bytes() {
    let mut scheduler = Scheduler::new();
    let mut recorder = Recorder::new(scheduler.policy());
    let name = "x".repeat(1 << 20);
    let mut out = Vec::new();
    for _ in 0..=MAX_PENDING_BYTES >> 20 {
        let offer = WorkerOffer::new(worker(1), name.clone());
        let event = Event::WorkerJoined(offer);
        recorder.handle(&mut scheduler, at(1), event, &mut out);
    }
    assert!(recorder.is_stopped());
    assert!(recorder.pending() <= MAX_PENDING_BYTES);
    let bytes = recorder.take();
    assert!(
        Replay::new(&bytes)
            .expect("a trace")
            .all(|step| step.is_ok())
    );
    recorder.handle(&mut scheduler, at(2), Event::TimePassed, &mut out);
    assert_eq!(recorder.pending(), 0);
}

#[test]
fn the_longest_texts_replay() {
    let long = "k".repeat(256);
    let negated = requirement(&long).negated().expect("an opposite");
    let mut wants = WantsDraft::default();
    wants.requirements = vec![negated, requirement(&long)];
    let mut demand = JobDemand::of(job(1), 1, Arc::new(wants.into()));
    demand.queue = "q".repeat(5000).into();
    let history = [(at(1), Event::JobQueued(demand))];
    let (bytes, expected) = record(&Policy::default(), &history);
    assert_eq!(replay(&bytes), expected);
}

#[test]
fn the_largest_numbers_replay_and_never_panic() {
    let longest = Duration::new(u64::MAX, 999_999_999);
    let policy = with(|policy| {
        policy.reserve_after = Some(longest);
        policy.max_reservations = usize::MAX;
        policy.ageing = Some(longest);
        policy.give_up_after = Some(longest);
        policy.placement = Placement::Warm { patience: longest };
    });
    let mut most = Resources::of_slots(u32::MAX).with("gpu", u64::MAX);
    most.cpu_millis = u64::MAX;
    most.memory_bytes = u64::MAX;
    let mut wants = WantsDraft::default();
    wants.resources = most.clone();
    wants.prefer = (0..9)
        .map(|_| Preference::new(requirement("!gpu"), u32::MAX))
        .collect();
    wants.warm = ["a".to_owned(), "b".to_owned()].into();
    let wants: Arc<Wants> = Arc::new(wants.into());
    let demand = |number| {
        let mut demand = JobDemand::of(job(number), u64::MAX, Arc::clone(&wants));
        demand.priority = [i32::MIN, i32::MAX][number as usize % 2];
        demand.group = Some(Group::new("g", u32::MAX));
        demand.expected = Some(longest);
        demand
    };
    let mut offer = WorkerOffer::new(worker(1), "a");
    offer.capacity = most.clone();
    offer.holds = [("a".to_owned(), u64::MAX), ("b".to_owned(), u64::MAX)].into();
    let mut settings = QueueSettings::default();
    settings.class = i32::MIN;
    settings.weight = u32::MAX;
    settings.max_running = Some(u64::MAX);
    let mut opposite = settings;
    opposite.class = i32::MAX;
    let (here, availability) = (worker(1), Availability::Available);
    let mut events = vec![Event::FleetKnown, Event::WorkerJoined(offer.clone())];
    events.extend((0..2).map(|number| Event::JobPlaced {
        demand: demand(number),
        worker: here,
    }));
    events.extend((2..6).map(|number| Event::JobQueued(demand(number))));
    for settings in [settings, opposite] {
        let queue = "default".into();
        events.push(Event::QueueSet { queue, settings });
    }
    events.push(Event::WorkerAvailability {
        worker: here,
        availability,
    });
    events.extend((0..3).map(|number| Event::JobReleased(job(number))));
    let moments = [0, 1, u64::MAX / 2, u64::MAX - 1, 0];
    let mut history = Vec::new();
    for steady in moments {
        let now = Now {
            wall: Timestamp::from_micros(steady.cast_signed()),
            steady: Steady::from_micros(steady),
        };
        history.extend(events.iter().map(|event| (now, event.clone())));
    }
    let (bytes, expected) = record(&policy, &history);
    assert_eq!(replay(&bytes), expected);
}

/// The trace of a history, and what its replay has to yield.
fn record(policy: &Policy, history: &[Moment]) -> (Vec<u8>, Vec<Step>) {
    let mut seeded = policy.clone();
    seeded.hash_seed = 4711;
    let mut scheduler = Scheduler::with_policy(seeded);
    let mut recorder = Recorder::new(scheduler.policy());
    let mut bytes = Vec::new();
    let mut all = Vec::new();
    let mut ends = Vec::new();
    for (now, event) in history {
        recorder.handle(&mut scheduler, *now, event.clone(), &mut all);
        ends.push(all.len());
        bytes.extend(recorder.take());
    }
    let mut begin = 0;
    let moments = history.iter().zip(ends).zip(0..);
    let steps = moments.map(|(((now, event), end), index)| {
        let decisions = all[begin..end].to_vec();
        begin = end;
        step(index, *now, event.clone(), decisions)
    });
    let steps = steps.collect();
    (bytes, steps)
}

/// Steps are made by replays alone; one of a trivial trace is filled in.
fn step(index: u64, now: Now, event: Event, decisions: Vec<Decision>) -> Step {
    let mut scheduler = Scheduler::new();
    let mut recorder = Recorder::new(scheduler.policy());
    recorder.handle(&mut scheduler, now, Event::TimePassed, &mut Vec::new());
    let bytes = recorder.take();
    let first = Replay::new(&bytes).expect("a trace").next();
    let mut step = first.expect("a step").expect("a good one");
    step.event_index = index;
    step.event = event;
    step.decisions = decisions;
    step
}

fn replay(bytes: &[u8]) -> Vec<Step> {
    let replay = Replay::new(bytes).expect("a trace");
    replay.map(|step| step.expect("the same")).collect()
}

/// A record around a body, with the checksum that belongs to it.
fn append_frame(bytes: &mut Vec<u8>, body: &[u8]) {
    let size = u8::try_from(body.len()).expect("a small body");
    assert!(size < 0x80);
    bytes.push(size);
    bytes.extend_from_slice(body);
    let checksum = body.iter().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    bytes.extend_from_slice(&checksum.to_le_bytes());
}

fn small_history() -> Vec<Moment> {
    let availability = Availability::Available;
    let available = |number| Event::WorkerAvailability {
        worker: worker(number),
        availability,
    };
    let mut picky = JobDemand::of(job(2), 2, Wants::meeting(vec![requirement("gpu")]));
    picky.queue = "nightly".into();
    vec![
        (at(1), Event::WorkerJoined(WorkerOffer::new(worker(1), "a"))),
        (at(2), Event::WorkerJoined(WorkerOffer::new(worker(2), "b"))),
        (at(3), available(1)),
        (at(4), available(2)),
        (at(5), Event::FleetKnown),
        (at(6), Event::JobQueued(picky)),
        (at(7), Event::JobQueued(JobDemand::new(job(1), 1))),
    ]
}

#[derive(Debug)]
struct ByName;

impl Score for ByName {
    fn score(&self, _: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64 {
        worker.name.bytes().map(i64::from).sum()
    }
}

fn with(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy);
    policy
}

fn at(millis: u64) -> Now {
    let micros = millis * 1000;
    let wall = i64::try_from(micros).expect("not so late");
    Now {
        wall: Timestamp::from_micros(1_800_000_000_000_000 + wall),
        steady: Steady::from_micros(micros),
    }
}

fn job(number: u32) -> JobId {
    JobId::from_uuid(Uuid::from_u128(ring_place(u128::from(number) + 1000)))
}

fn worker(number: u32) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(ring_place(number.into())))
}

fn requirement(text: &str) -> Requirement {
    text.parse().expect("a requirement")
}

/// Small numbers, which mean most, and all others.
fn bytes_of_bodies() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0..20_u8, 1 => any::<u8>(), 1 => Just(b'a')]
}
