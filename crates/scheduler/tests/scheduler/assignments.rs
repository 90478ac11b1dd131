//! Who goes first, and where.

use std::collections::BTreeSet;

use jobyard_scheduler::{Event, ring_place};

use crate::yard::{Yard, job, wanting, worker};

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
fn a_worker_with_an_exclusive_tag_takes_only_jobs_that_name_it() {
    let mut yard = Yard::default();
    let mut offer = crate::yard::offer(1, "gpu=a100 os=linux", 9);
    offer
        .exclusive
        .insert("gpu=a100".parse().expect("a tag"))
        .expect("room");
    yard.join(offer);
    for (number, asks) in [(1, ""), (2, "os=linux"), (3, "!cpu"), (4, "gpu!=h100")] {
        assert_eq!(yard.queue(number, asks, 1), [], "{asks}");
    }
    for (number, asks) in [(5, "gpu"), (6, "gpu=a100"), (7, "gpu=a100|h100 os")] {
        assert_eq!(yard.queue(number, asks, 1), [(number.into(), 1)], "{asks}");
    }
}

#[test]
fn every_operator_is_held_against_the_tags() {
    let mut yard = Yard::default();
    yard.worker(1, "os=linux cores=8 mem=64GiB has=git has=cargo", 99);
    let met = [
        "os",
        "OS=Linux",
        "os=linux|darwin",
        "!gpu",
        "os!=windows",
        "gpu!=a100",
        "cores>=8",
        "cores<=8",
        "cores>7.5",
        "mem<65GiB",
        "has=git",
        "mem>=65536MiB",
    ];
    for (number, asks) in (1..).zip(met) {
        assert_eq!(yard.queue(number, asks, 1), [(number.into(), 1)], "{asks}");
    }
    let unmet = [
        "gpu",
        "os=darwin",
        "!os",
        "os!=linux",
        "os!=darwin|linux",
        "cores>8",
        "cores<8",
        "mem<64GiB",
        "has>1",
        "gpu<5",
        "has=git has=make",
    ];
    for (number, asks) in (101..).zip(unmet) {
        assert_eq!(yard.queue(number, asks, 1), [], "{asks}");
    }
}

#[test]
fn each_resource_is_taken_and_given_back_once() {
    let mut yard = Yard::default();
    let mut offer = crate::yard::offer(1, "", 9);
    offer.capacity = crate::yard::resources(9, 4_000, 8 << 30).with("gpu", 2);
    yard.join(offer);
    let takes = crate::yard::resources(2, 3_000, 5 << 30).with("gpu", 1);
    let submit = |yard: &mut Yard, number, takes: &jobyard_core::Resources| {
        let wants = crate::yard::wants("", takes.clone());
        yard.submit(number, "", 1, |demand| demand.wants = wants)
    };
    assert_eq!(submit(&mut yard, 1, &takes), [(1, 1)]);
    let usage = yard.scheduler.worker(worker(1)).expect("known");
    assert_eq!(usage.used, takes);
    assert_eq!(
        submit(&mut yard, 2, &crate::yard::resources(1, 1_001, 0)),
        []
    );
    assert_eq!(
        submit(&mut yard, 3, &crate::yard::resources(1, 0, (3 << 30) + 1)),
        []
    );
    assert_eq!(
        submit(
            &mut yard,
            4,
            &crate::yard::resources(1, 0, 0).with("gpu", 2)
        ),
        []
    );
    assert_eq!(
        submit(
            &mut yard,
            5,
            &crate::yard::resources(1, 0, 0).with("license", 1)
        ),
        []
    );
    assert_eq!(
        submit(
            &mut yard,
            6,
            &crate::yard::resources(7, 1_000, 3 << 30).with("gpu", 1)
        ),
        [(6, 1)]
    );
    assert_eq!(yard.release(6), []);
    assert_eq!(yard.release(1), [(2, 1), (3, 1), (4, 1)]);
}

#[test]
fn amounts_beyond_all_bounds_do_not_overflow() {
    let mut yard = Yard::default();
    let most = crate::yard::resources(u32::MAX, u64::MAX, u64::MAX).with("gpu", u64::MAX);
    for number in 1..=2 {
        let mut offer = crate::yard::offer(number, "", 1);
        offer.capacity = most.clone();
        yard.join(offer);
    }
    for number in 1..=4 {
        let wants = crate::yard::wants("", most.clone());
        yard.submit(number, "", 1, |demand| demand.wants = wants);
    }
    assert_eq!((yard.scheduler.placed(), yard.scheduler.queued()), (2, 2));
    yard.release(1);
    yard.release(2);
    assert_eq!((yard.scheduler.placed(), yard.scheduler.queued()), (2, 0));
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
        let assigned = yard.submit(number, "", 1, |demand| {
            demand.wants = wanting("", |draft| draft.worker = Some(named));
        });
        assert_eq!(assigned, [(number.into(), 2)]);
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
        yard.submit(number, "", 1, |demand| demand.queue = "nightly".into());
    }
    let counts = yard.scheduler.queue("nightly").expect("it has jobs");
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
