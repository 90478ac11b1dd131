//! Who goes first, and where.

use std::collections::BTreeSet;

use jobyard_scheduler::{Event, ring_place};

use crate::yard::{Yard, demand, job, worker};

#[test]
fn a_worker_must_meet_every_requirement() {
    let mut yard = Yard::default();
    yard.worker(1, "os=linux", 1);
    yard.worker(2, "gpu os=darwin", 1);
    assert_eq!(yard.queue(1, "os=linux gpu", 1), []);
    assert_eq!(yard.worker(3, "gpu=a100 os=linux", 1), [(1, 3)]);
}

#[test]
fn a_job_without_requirements_goes_anywhere() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    assert_eq!(yard.queue(1, "", 1), [(1, 1)]);
}

#[test]
fn a_freed_slot_goes_to_the_job_that_was_first_whatever_it_asks() {
    let mut yard = Yard::default();
    yard.worker(1, "a b c", 1);
    assert_eq!(yard.queue(1, "", 1), [(1, 1)]);
    yard.queue(4, "a", 1);
    yard.queue(2, "b", 1);
    yard.queue(3, "c", 1);
    assert_eq!(yard.release(1), [(2, 1)]);
    assert_eq!(yard.release(2), [(3, 1)]);
    assert_eq!(yard.release(3), [(4, 1)]);
}

#[test]
fn jobs_of_equal_order_go_by_id() {
    let mut yard = Yard::default();
    for number in [2, 1] {
        let mut demand = demand(number, "", 1);
        demand.order = 7;
        yard.tell(Event::JobQueued(demand));
    }
    assert_eq!(yard.worker(9, "", 2), [(1, 9), (2, 9)]);
}

#[test]
fn a_job_that_comes_back_keeps_its_place() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    yard.queue(3, "", 1);
    assert_eq!(yard.release(1), [(2, 1)]);
    assert_eq!(yard.queue(1, "", 1), []);
    assert_eq!(yard.release(2), [(1, 1)], "before job 3, which is younger");
}

#[test]
fn a_big_job_does_not_hold_up_smaller_ones_behind_it() {
    let mut yard = Yard::default();
    yard.worker(1, "", 4);
    assert_eq!(yard.queue(1, "", 3), [(1, 1)]);
    assert_eq!(yard.queue(2, "", 2), []);
    assert_eq!(yard.queue(3, "", 1), [(3, 1)]);
    assert_eq!(yard.release(1), [(2, 1)]);
}

#[test]
fn one_event_fills_all_the_room_that_it_made() {
    let mut yard = Yard::default();
    for number in 1..=5 {
        yard.queue(number, "", 2);
    }
    assert_eq!(yard.worker(9, "", 7), [(1, 9), (2, 9), (3, 9)]);
    assert_eq!(yard.used(9), 6);
}

#[test]
fn no_slots_count_as_one() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    assert_eq!(yard.queue(1, "", 0), [(1, 1)]);
    assert_eq!(yard.queue(2, "", 0), []);
}

#[test]
fn the_worker_with_the_most_free_slots_is_taken() {
    let mut yard = Yard::default();
    yard.worker(1, "a", 2);
    yard.worker(2, "a", 4);
    yard.worker(3, "", 9);
    assert_eq!(yard.queue(1, "a", 1), [(1, 2)]);
    assert_eq!(yard.queue(2, "a", 1), [(2, 2)]);
}

#[test]
fn ties_are_broken_by_data_and_not_always_for_the_same_worker() {
    let mut yard = Yard::default();
    for number in 1..=4 {
        yard.worker(number, "", 1);
    }
    let mut taken = BTreeSet::new();
    for number in 100..160_u64 {
        let from = ring_place(number.into());
        let expected = (1..=4)
            .min_by_key(|&worker| ring_place(worker).wrapping_sub(from))
            .expect("four workers");
        assert_eq!(yard.queue(number, "", 1), [(number.into(), expected)]);
        assert_eq!(yard.release(number.into()), []);
        taken.insert(expected);
    }
    assert_eq!(taken.len(), 4);
}

#[test]
fn workers_that_will_not_do_make_no_difference_to_who_is_taken() {
    let choices = |others: u128| {
        let mut yard = Yard::default();
        for number in 1..=3 {
            yard.worker(number, "gpu", 12);
        }
        for number in 0..others {
            yard.worker(100 + number, "", 20);
        }
        let queue = |number| yard.queue(number, "gpu", 1 + u32::from(number % 3 == 0));
        (1..=30).flat_map(queue).collect::<Vec<_>>()
    };
    let alone = choices(0);
    assert!(alone.len() > 20, "{alone:?}");
    // Few among many are found in another way than many among few.
    assert_eq!(choices(40), alone);
}

#[test]
fn a_named_worker_is_found_by_name_and_by_id() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    yard.worker(2, "", 3);
    yard.worker(3, "", 9);
    for (number, named) in [(1, "w2".to_owned()), (2, worker(2).to_string())] {
        let mut demand = demand(number, "", 1);
        demand.worker = Some(named);
        assert_eq!(yard.tell(Event::JobQueued(demand)), [(number.into(), 2)]);
    }
}

#[test]
fn a_withdrawn_job_is_not_placed() {
    let mut yard = Yard::default();
    yard.queue(1, "", 1);
    yard.tell(Event::JobWithdrawn(job(1)));
    assert_eq!(yard.worker(1, "", 1), []);
    assert_eq!(yard.scheduler.queued(), 0);
}

#[test]
fn withdrawing_does_not_release_and_releasing_does_not_withdraw() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    yard.tell(Event::JobWithdrawn(job(1)));
    assert_eq!(yard.used(1), 1);
    assert_eq!(yard.release(2), []);
    assert_eq!(yard.scheduler.queued(), 1);
}

#[test]
fn slots_come_back_once() {
    let mut yard = Yard::default();
    yard.worker(1, "", 4);
    yard.queue(1, "", 2);
    yard.queue(2, "", 2);
    yard.release(1);
    yard.release(1);
    assert_eq!(yard.used(1), 2);
}

#[test]
fn a_queued_job_that_asks_again_asks_for_something_else() {
    let mut yard = Yard::default();
    yard.worker(1, "a", 1);
    yard.queue(1, "b", 1);
    assert_eq!(yard.queue(1, "a", 1), [(1, 1)]);
    assert_eq!(yard.queue(1, "a", 1), [], "it is placed already");
    assert_eq!((yard.scheduler.queued(), yard.scheduler.placed()), (0, 1));
}

#[test]
fn queues_are_counted_while_they_have_jobs() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    for number in 1..=3 {
        let mut demand = demand(number, "", 1);
        demand.queue = "nightly".into();
        yard.tell(Event::JobQueued(demand));
    }
    let counts = yard.scheduler.queue("nightly");
    assert_eq!((counts.queued, counts.placed), (2, 1));
    for number in 1..=3 {
        yard.release(number);
    }
    assert_eq!(yard.scheduler.queues().count(), 0);
}

#[test]
fn ten_thousand_jobs_of_a_few_kinds_leave_in_order() {
    const JOBS: u64 = 10_000;
    let mut yard = Yard::default();
    for number in 1..=JOBS {
        yard.queue(number, ["", "a", "b", "a b"][(number % 4) as usize], 1);
    }
    assert_eq!(yard.worker(1, "a b", 1), [(1, 1)]);
    for number in 1..JOBS {
        let next = u128::from(number) + 1;
        assert_eq!(yard.release(number.into()), [(next, 1)]);
    }
}
