//! Big jobs are not starved by small ones.

use std::collections::BTreeSet;
use std::time::Duration;

use jobyard_core::{Resources, Steady};
use proptest::prelude::*;

use crate::backlog::{Backlog, Stream, scatter};
use crate::yard::{Yard, wants, worker};

/// The longest that a job runs.
const LONGEST: Duration = Duration::from_secs(10);

fn short(number: u64) -> (Option<Duration>, Duration) {
    (None, Duration::from_millis(1 + scatter(number, 10_000)))
}

/// Small jobs without end, on workers that hold them all.
fn small_jobs(reserve_after: u64, max_reservations: usize, workers: u128, slots: u32) -> Backlog {
    let stream = Stream {
        queue: "default",
        wants: wants("", Resources::of_slots(1)),
        times: short,
    };
    let mut backlog = Backlog::new(
        |policy| {
            policy.reserve_after = Some(Duration::from_millis(reserve_after));
            policy.max_reservations = max_reservations;
        },
        vec![stream],
    );
    for number in 1..=workers {
        backlog.worker(number, "k0 k1 k2 k3 k4 k5", slots);
    }
    let all = usize::try_from(workers).expect("few") * slots as usize;
    backlog.fill(all + 3);
    // So that they do not all end at once.
    for _ in 0..all * 2 {
        backlog.step();
    }
    backlog
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_big_job_starts_when_those_have_ended_that_ran_when_room_was_kept(
        (slots, big) in (2..10_u32).prop_flat_map(|slots| (Just(slots), 2..=slots)),
        reserve_after in 0..30_000_u64,
        workers in 1..4_u128,
    ) {
        let mut backlog = small_jobs(reserve_after, 1, workers, slots);
        let queued = backlog.yard.now;
        let overdue = queued + Duration::from_millis(reserve_after);
        let mut start = backlog.yard.queue(1, "", big).first().copied();
        let mut kept: Option<(u128, BTreeSet<u64>)> = None;
        while start.is_none() {
            let (_, _, assigned) = backlog.step();
            start = assigned.iter().find(|(job, _)| *job == 1).copied();
            let now = backlog.yard.now;
            let running = &backlog.running;
            let on = |worker: u128| {
                let on_it = running.iter().filter(move |(_, run)| run.worker == worker);
                on_it.map(|(number, _)| *number).collect::<BTreeSet<_>>()
            };
            if start.is_some() {
                break;
            }
            if let Some((on_worker, ran)) = &kept {
                let left = on(*on_worker).intersection(ran).count();
                prop_assert!(left > 0, "all have ended, and it does not run");
            } else {
                kept = (1..=workers)
                    .find(|worker| backlog.yard.kept(*worker) == Some(1))
                    .map(|worker| (worker, on(worker)));
            }
            prop_assert!(now <= overdue + LONGEST, "it was overtaken for too long");
        }
        if let Some((on_worker, _)) = kept {
            prop_assert_eq!(start, Some((1, on_worker)));
        }
    }

    #[test]
    fn of_several_big_jobs_the_last_starts_within_the_bound(
        jobs in 1..6_u64,
        max_reservations in 1..4_usize,
        workers in 1..4_u128,
        reserve_after in 0..5_000_u64,
    ) {
        const SLOTS: u32 = 4;
        let mut backlog = small_jobs(reserve_after, max_reservations, workers, SLOTS);
        let mut waiting = BTreeSet::new();
        let mut running: BTreeSet<(Steady, u128)> = BTreeSet::new();
        let runs = |job: u128| short(u64::try_from(job).expect("small")).1;
        for number in 1..=jobs {
            // Each in a line of its own.
            let assigned = backlog.yard.queue(number, &format!("k{number}"), SLOTS);
            prop_assert_eq!(assigned, []);
            waiting.insert(u128::from(number));
        }
        let overdue = backlog.yard.now + Duration::from_millis(reserve_after);
        let at_once = max_reservations.min(usize::try_from(workers).expect("few"));
        let rounds = jobs / at_once as u64 + 1;
        let bound = overdue + LONGEST * u32::try_from(rounds).expect("few");
        while !waiting.is_empty() {
            let next_big = running.first().map(|(end, _)| *end);
            let assigned = match (next_big, backlog.next_end()) {
                (Some(end), small) if small.is_none_or(|small| end <= small) => {
                    let (_, job) = running.pop_first().expect("it runs");
                    backlog.yard.now = end;
                    backlog.end_other(job)
                }
                _ => backlog.step().2,
            };
            for (job, _) in assigned {
                if waiting.remove(&job) {
                    running.insert((backlog.yard.now + runs(job), job));
                }
            }
            let now = backlog.yard.now;
            prop_assert!(waiting.is_empty() || now < bound, "{waiting:?} wait at {now:?}");
        }
    }
}

#[test]
fn without_patience_a_big_job_waits_behind_small_ones_for_ever() {
    let mut yard = Yard::with(|policy| policy.reserve_after = None);
    yard.worker(9, "", 2);
    yard.queue(10, "", 1);
    yard.queue(11, "", 1);
    yard.queue(1, "", 2);
    for number in 12..40 {
        yard.queue(number, "", 1);
        yard.wait(600_000);
        let ended = u128::from(number) - 2;
        assert_eq!(yard.release(ended), [(number.into(), 9)]);
    }
}

#[test]
fn room_is_kept_from_the_moment_that_a_long_wait_is_overtaken() {
    let mut yard = Yard::default();
    yard.worker(9, "", 2);
    yard.queue(10, "", 1);
    yard.queue(11, "", 1);
    yard.queue(1, "", 2);
    yard.queue(12, "", 1);
    yard.queue(13, "", 1);
    yard.wait(59_999);
    assert_eq!(yard.release(10), [(12, 9)], "it has not waited long enough");
    assert_eq!(yard.kept(9), None);
    yard.wait(1);
    assert_eq!(yard.kept(9), None, "nothing overtakes it now");
    assert_eq!(yard.release(11), []);
    assert_eq!(yard.kept(9), Some(1));
    assert_eq!(yard.release(12), [(1, 9)]);
    assert_eq!(yard.kept(9), None);
}

#[test]
fn what_is_left_beside_the_kept_room_may_be_used() {
    let mut yard = Yard::with(|policy| policy.reserve_after = Some(Duration::ZERO));
    yard.worker(9, "", 6);
    yard.queue(10, "", 3);
    yard.submit(1, "", 4, |demand| demand.queue = "big".into());
    for number in 11..=13 {
        assert_eq!(
            yard.queue(number, "", 1),
            [],
            "it would go where room is missing"
        );
    }
    assert_eq!(yard.kept(9), Some(1));
    yard.set("big", |settings| settings.max_running = Some(0));
    assert_eq!(yard.release(10), [(11, 9), (12, 9)], "four are kept");
    assert_eq!(yard.set("big", |_| {}), [(1, 9)]);
}

#[test]
fn resources_that_nobody_waits_for_are_not_kept() {
    let mut yard = Yard::with(|policy| policy.reserve_after = Some(Duration::ZERO));
    let mut offer = crate::yard::offer(9, "", 9);
    offer.capacity = Resources::of_slots(9).with("gpu", 2);
    yard.join(offer);
    let gpus = |count| wants("", Resources::of_slots(1).with("gpu", count));
    yard.submit(10, "", 1, |demand| demand.wants = gpus(1));
    yard.submit(1, "", 1, |demand| demand.wants = gpus(2));
    assert_eq!(yard.queue(11, "", 1), [(11, 9)]);
    yard.submit(12, "", 1, |demand| demand.wants = gpus(1));
    assert_eq!(yard.kept(9), Some(1));
    assert_eq!(yard.queue(13, "", 1), [(13, 9)], "it takes no gpu");
    assert_eq!(yard.release(10), [(1, 9)]);
}

#[test]
fn kept_room_is_given_up_with_its_worker() {
    let mut yard = Yard::with(|policy| policy.reserve_after = Some(Duration::ZERO));
    yard.worker(9, "", 2);
    yard.queue(10, "", 1);
    yard.queue(1, "", 2);
    yard.queue(11, "", 1);
    assert_eq!(yard.kept(9), Some(1));
    yard.tell(jobyard_scheduler::Event::WorkerLeft(worker(9)));
    assert_eq!(yard.worker(8, "", 2), [(1, 8)]);
    assert_eq!(yard.worker(9, "", 2), [(11, 9)]);
}
