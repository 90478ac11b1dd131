//! Loads that are made to be slow or unfair.

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{Group, Resources};
use jobyard_scheduler::{Availability, Event, Placement, Policy};

use crate::backlog::scatter;
use crate::points::Points;
use crate::reference::Job;
use crate::walk::Twins;
use crate::yard::{Yard, demand, job, offer, wanting, worker};

#[test]
fn ten_thousand_sets_of_requirements() {
    const SETS: u64 = 10_000;
    let mut yard = Yard::default();
    for number in 1..=100 {
        let tags = format!("rack={} cores={number} os=linux", number % 10);
        yard.worker(number, &tags, 1);
    }
    for number in 1..=SETS {
        let asks = format!("os=linux rack={} cores!={number}", number % 10);
        yard.queue(number, &asks, 1);
    }
    assert_eq!(yard.scheduler.placed(), 100);
    let mut running: Vec<_> = yard.scheduler.placed_jobs().collect();
    let mut started = running.len();
    while let Some((ended, _)) = running.pop() {
        let number = ended.as_uuid().as_u128();
        let assigned = yard.release(number);
        for (next, on) in assigned {
            assert_eq!(next % 10, on % 10, "of the right rack");
            assert_ne!(next, on, "it must not have as many cores");
            running.push((job(next), worker(on)));
            started += 1;
        }
    }
    assert_eq!(started, usize::try_from(SETS).expect("few"));
    assert_eq!((yard.scheduler.queued(), yard.scheduler.placed()), (0, 0));
}

#[test]
fn a_hundred_sets_are_decided_as_the_reference_does() {
    let mut twins = Twins::new(&Policy::default());
    for number in 1..=20 {
        let tags = format!("k{number} k{} n={number}", number % 5);
        add(&mut twins, number, &tags, 2);
    }
    for number in 1..=100 {
        let (a, b) = (scatter(number, 21), scatter(number + 1000, 21));
        let asks = [
            format!("k{a}"),
            format!("!k{b}"),
            format!("n>={a}"),
            format!("n!={b}|{a}"),
        ];
        let asks = asks[..=usize::try_from(number % 4).expect("few")].join(" ");
        twins
            .tell(&Event::JobQueued(demand(number, &asks, 1)))
            .expect("the same");
    }
    drain(&mut twins);
}

#[test]
fn a_crowded_queue_beside_one_with_a_single_job() {
    let mut yard = Yard::default();
    yard.worker(9, "", 2);
    for number in 100..20_100 {
        yard.submit(number, "", 1, |demand| demand.queue = "crowd".into());
    }
    yard.submit(1, "", 1, |demand| demand.queue = "single".into());
    assert_eq!(yard.release(100), [(1, 9)], "at the first chance");
    assert_eq!(yard.release(1), [(102, 9)]);
}

#[test]
fn all_jobs_blocked_by_one_cap() {
    let mut yard = Yard::default();
    yard.set("default", |settings| settings.max_running = Some(0));
    for number in 1..=50 {
        yard.worker(number, "", 4);
    }
    for number in 1..=5_000 {
        assert_eq!(yard.queue(number, &format!("!k{}", number % 100), 1), []);
    }
    for number in 1..=50 {
        yard.availability(number, Availability::Suspended);
        assert_eq!(yard.availability(number, Availability::Available), []);
    }
    let raised = yard.set("default", |settings| settings.max_running = Some(7));
    assert_eq!(
        raised.iter().map(|(job, _)| *job).collect::<Vec<_>>(),
        (1..=7).collect::<Vec<_>>()
    );
    assert_eq!(yard.set("default", |_| {}).len(), 200 - 7);
}

#[test]
fn all_workers_are_busy_and_jobs_come_and_go() {
    let mut yard = Yard::default();
    for number in 1..=200 {
        yard.worker(number, "", 1);
        yard.queue(u64::try_from(number).expect("small"), "", 1);
    }
    for number in 1_000..11_000 {
        assert_eq!(yard.queue(number, "", 1), []);
    }
    for number in 1_000..10_000 {
        assert_eq!(yard.tell(Event::JobWithdrawn(job(number))), []);
    }
    assert_eq!(yard.scheduler.queued(), 1_000);
    assert_eq!(yard.release(5).len(), 1);
    assert_eq!(yard.scheduler.placed(), 200);
}

#[test]
fn every_job_needs_another_worker_by_name() {
    by_address(|number| {
        let name = if number.is_multiple_of(2) {
            format!("w{number}")
        } else {
            worker(number.into()).to_string()
        };
        wanting("", |draft| draft.worker = Some(name))
    });
}

#[test]
fn every_job_needs_another_worker_by_tag() {
    by_address(|number| wanting(&format!("host=h{number}"), |_| {}));
}

fn by_address(wants: impl Fn(u64) -> Arc<jobyard_scheduler::Wants>) {
    const WORKERS: u64 = 2_000;
    let mut yard = Yard::default();
    for number in (1..=WORKERS).rev() {
        let wants = wants(number);
        let assigned = yard.submit(number, "", 1, |demand| demand.wants = wants);
        assert_eq!(assigned, []);
    }
    for number in 1..=WORKERS {
        let at = u128::from(number);
        assert_eq!(yard.worker(at, &format!("host=h{number}"), 1), [(at, at)]);
    }
    for number in 1..=WORKERS {
        let wants = wants(number);
        yard.submit(number + WORKERS, "", 1, |demand| demand.wants = wants);
    }
    for number in (1..=WORKERS).rev() {
        let next = u128::from(number + WORKERS);
        assert_eq!(yard.release(number.into()), [(next, number.into())]);
    }
}

#[test]
fn flapping_workers() {
    let mut policy = Policy::default();
    policy.reserve_after = Some(Duration::from_secs(1));
    let mut twins = Twins::new(&policy);
    for number in 1..=6 {
        add(
            &mut twins,
            number,
            if number % 2 == 0 { "even" } else { "" },
            2,
        );
    }
    for number in 1..=30 {
        let asks = ["", "even", "!even"][usize::try_from(number % 3).expect("few")];
        let slots = 1 + u32::from(number % 5 == 0);
        twins
            .tell(&Event::JobQueued(demand(number, asks, slots)))
            .expect("the same");
    }
    for round in 0..300_u64 {
        twins.now = twins.now + Duration::from_millis(scatter(round, 700));
        let number = u128::from(1 + scatter(round + 10_000, 6));
        let worker = worker(number);
        let availability = |availability| Event::WorkerAvailability {
            worker,
            availability,
        };
        let events = match round % 4 {
            0 => vec![
                availability(Availability::Silent),
                availability(Availability::Available),
            ],
            1 => vec![availability(Availability::Suspended)],
            2 => vec![
                Event::WorkerLeft(worker),
                Event::WorkerJoined(offer(number, "even", 1 + u32::from(round % 3 == 0))),
                availability(Availability::Available),
            ],
            _ => (1..=6)
                .map(|number| Event::WorkerAvailability {
                    worker: crate::yard::worker(number),
                    availability: Availability::Available,
                })
                .collect(),
        };
        for event in events {
            twins.tell(&event).expect("the same");
        }
        let oldest = twins.reference.placed().map(Job::id).min();
        if let Some(oldest) = oldest.filter(|_| round % 3 == 0) {
            twins.tell(&Event::JobReleased(oldest)).expect("the same");
            let number = 1_000 + round;
            twins
                .tell(&Event::JobQueued(demand(number, "", 1)))
                .expect("the same");
        }
    }
}

#[test]
fn weights_from_one_to_a_thousand() {
    const ROUNDS: usize = 10_000;
    let weights = [1_u32, 10, 100, 1_000];
    let mut yard = Yard::default();
    for weight in weights {
        yard.set(&format!("q{weight}"), |settings| settings.weight = weight);
    }
    // The number of a job says to which queue it belongs.
    let submit = |yard: &mut Yard, number: u64| {
        let queue = weights[usize::try_from(number % 4).expect("few")];
        yard.submit(number, "", 1, |demand| {
            demand.queue = format!("q{queue}").into();
            demand.expected = Some(Duration::from_secs(1));
        });
    };
    for number in 0..8 {
        submit(&mut yard, number);
    }
    let mut running = yard.worker(9, "", 1)[0].0;
    let mut served = [0_usize; 4];
    for round in 2.. {
        let queue = u64::try_from(running % 4).expect("few");
        served[usize::try_from(queue).expect("few")] += 1;
        if round - 2 == ROUNDS as u64 {
            break;
        }
        yard.wait(1_000);
        running = yard.release(running)[0].0;
        submit(&mut yard, 4 * round + queue);
    }
    for (queue, weight) in weights.into_iter().enumerate() {
        let due = ROUNDS * weight as usize / 1_111;
        assert!(served[queue].abs_diff(due) <= 2, "{served:?}");
    }
}

#[test]
fn thousands_of_groups() {
    const GROUPS: u64 = 3_000;
    let mut yard = Yard::default();
    for number in 1..=3 * GROUPS {
        let key = format!("g{}", number % GROUPS);
        yard.submit(number, "", 1, |demand| {
            demand.group = Some(Group::new(&key, 1));
        });
    }
    let slots = u32::try_from(2 * GROUPS).expect("few");
    let assigned = yard.worker(9, "", slots);
    let first: Vec<_> = (1..=GROUPS).map(|number| (u128::from(number), 9)).collect();
    assert_eq!(assigned, first, "one of each");
    for number in 1..=2 * GROUPS {
        let next = u128::from(number + GROUPS);
        assert_eq!(yard.release(number.into()), [(next, 9)]);
    }
}

#[test]
fn hundreds_of_workers_and_a_host_s_own_placement() {
    let mut policy = Policy::default();
    policy.placement = Placement::Scored(Arc::new(Points));
    let mut twins = Twins::new(&policy);
    for number in 1..=150 {
        add(
            &mut twins,
            number,
            ["", "gpu", "ssd"][usize::try_from(number % 3).expect("few")],
            3,
        );
    }
    for number in 1..=120 {
        let asks = ["", "gpu", "!gpu"][usize::try_from(number % 3).expect("few")];
        twins
            .tell(&Event::JobQueued(demand(number, asks, 1)))
            .expect("the same");
    }
}

#[test]
fn idle_queues_that_owe_are_forgotten_from_the_least() {
    let mut yard = Yard::default();
    yard.worker(9, "", 1);
    let most = jobyard_scheduler::MAX_IDLE_QUEUES as u64;
    for number in 1..=most + 100 {
        yard.submit(number, "", 1, |demand| {
            demand.queue = format!("q{number}").into();
            demand.wants = crate::yard::wants("", Resources::of_slots(1));
        });
        yard.wait(number);
        yard.release(number.into());
    }
    assert_eq!(yard.scheduler.queues().count(), 0, "they are memories only");
}

fn add(twins: &mut Twins, number: u128, tags: &str, slots: u32) {
    let joined = Event::WorkerJoined(offer(number, tags, slots));
    twins.tell(&joined).expect("the same");
    let available = Event::WorkerAvailability {
        worker: worker(number),
        availability: Availability::Available,
    };
    twins.tell(&available).expect("the same");
}

/// Ends jobs until none runs.
fn drain(twins: &mut Twins) {
    for round in 0.. {
        let placed: Vec<_> = twins.reference.placed().map(Job::id).collect();
        if placed.is_empty() {
            return;
        }
        let at = usize::try_from(scatter(round, placed.len() as u64)).expect("few");
        twins.now = twins.now + Duration::from_millis(scatter(round + 5_000, 2_000));
        twins
            .tell(&Event::JobReleased(placed[at]))
            .expect("the same");
    }
}
