//! Workers come, change, fall silent and go, with jobs on them.

use jobyard_scheduler::{Availability, Event};

use crate::yard::{Yard, demand, offer, wanting, worker};

#[test]
fn a_worker_gets_nothing_before_it_is_available() {
    let mut yard = Yard::default();
    yard.queue(1, "", 1);
    assert_eq!(yard.tell(Event::WorkerJoined(offer(1, "", 1))), []);
    assert_eq!(yard.availability(1, Availability::Available), [(1, 1)]);
}

#[test]
fn a_worker_that_joins_twice_stays_available() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    assert_eq!(yard.tell(Event::WorkerJoined(offer(1, "", 2))), []);
    assert_eq!(yard.queue(1, "", 2), [(1, 1)]);
}

#[test]
fn a_suspended_complaining_or_silent_worker_keeps_its_jobs_and_gets_none() {
    for away in [
        Availability::Suspended,
        Availability::Complaining,
        Availability::Silent,
    ] {
        let mut yard = Yard::default();
        yard.worker(1, "", 2);
        yard.queue(1, "", 1);
        yard.availability(1, away);
        assert_eq!(yard.queue(2, "", 1), []);
        assert_eq!(yard.used(1), 1);
        assert_eq!(yard.release(1), []);
        assert_eq!(yard.availability(1, Availability::Available), [(2, 1)]);
    }
}

#[test]
fn new_tags_are_held_against_what_waits_and_what_comes() {
    let mut yard = Yard::default();
    yard.worker(1, "a", 2);
    yard.queue(1, "b", 1);
    assert_eq!(yard.tell(Event::WorkerChanged(offer(1, "b", 2))), [(1, 1)]);
    assert_eq!(yard.queue(2, "a", 1), []);
    assert_eq!(yard.queue(3, "b", 1), [(3, 1)]);
}

#[test]
fn a_new_name_is_the_one_that_counts() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    let wants = wanting("", |draft| draft.worker = Some("big".to_owned()));
    assert_eq!(yard.submit(1, "", 1, |demand| demand.wants = wants), []);
    let mut renamed = offer(1, "", 1);
    renamed.name = "big".to_owned();
    assert_eq!(yard.tell(Event::WorkerChanged(renamed)), [(1, 1)]);
}

#[test]
fn more_capacity_is_used_at_once() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    for number in 1..=3 {
        yard.queue(number, "", 1);
    }
    assert_eq!(
        yard.tell(Event::WorkerChanged(offer(1, "", 3))),
        [(2, 1), (3, 1)]
    );
}

#[test]
fn capacity_may_shrink_below_what_runs() {
    let mut yard = Yard::default();
    yard.worker(1, "", 3);
    for number in 1..=4 {
        yard.queue(number, "", 1);
    }
    yard.tell(Event::WorkerChanged(offer(1, "", 1)));
    assert_eq!(yard.used(1), 3);
    assert_eq!(yard.release(1), []);
    assert_eq!(yard.release(2), []);
    assert_eq!(yard.release(3), [(4, 1)]);
}

#[test]
fn jobs_of_a_worker_that_left_count_when_it_joins_again() {
    let mut yard = Yard::default();
    yard.worker(1, "", 2);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    yard.tell(Event::WorkerLeft(worker(1)));
    assert_eq!(yard.scheduler.placed(), 2);
    assert_eq!(yard.release(1), []);
    assert_eq!(yard.queue(3, "", 1), []);
    assert_eq!(yard.worker(1, "", 2), [(3, 1)]);
    assert_eq!(yard.used(1), 2);
}

#[test]
fn a_worker_in_the_place_of_one_that_left_inherits_nothing() {
    let mut yard = Yard::default();
    yard.worker(1, "a", 1);
    yard.queue(1, "a", 1);
    yard.queue(2, "a", 1);
    yard.tell(Event::WorkerLeft(worker(1)));
    assert_eq!(yard.worker(2, "b", 1), []);
    assert_eq!(yard.release(1), []);
    assert_eq!(yard.used(2), 0);
}

#[test]
fn jobs_that_run_already_take_their_slots_before_and_after_the_worker_is_known() {
    let mut yard = Yard::default();
    for (number, then_joins) in [(1, true), (2, false)] {
        let worker = worker(1);
        let demand = demand(number, "x", 2);
        assert_eq!(yard.tell(Event::JobPlaced { demand, worker }), []);
        if then_joins {
            yard.worker(1, "", 5);
        }
    }
    assert_eq!(yard.used(1), 4);
    assert_eq!(yard.queue(3, "", 2), []);
    assert_eq!(yard.release(1), [(3, 1)]);
}

#[test]
fn what_the_host_places_is_true_even_beyond_capacity() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    for number in 1..=2 {
        yard.tell(Event::JobPlaced {
            demand: demand(number, "", 1),
            worker: worker(1),
        });
    }
    assert_eq!(yard.used(1), 2);
    yard.queue(3, "", 1);
    assert_eq!(yard.release(1), []);
    assert_eq!(yard.release(2), [(3, 1)]);
}

#[test]
fn a_job_that_the_host_places_elsewhere_frees_its_first_worker() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    let placed = Event::JobPlaced {
        demand: demand(1, "", 1),
        worker: worker(7),
    };
    assert_eq!(yard.tell(placed), [(2, 1)]);
}

#[test]
fn news_of_unknown_workers_change_nothing() {
    let mut yard = Yard::default();
    assert_eq!(yard.availability(1, Availability::Available), []);
    yard.tell(Event::WorkerLeft(worker(1)));
    assert_eq!(yard.scheduler.workers().count(), 0);
}
