//! Why a job waits.

use jobyard_core::WaitReason::{
    Behind, Busy, FleetUnknown, NamedWorkerUnknown, Nearest, NoWorkers, RequirementUnmet, Silent,
    Suspended, TooManySlots,
};
use jobyard_core::WaitVerdict::{Never, NotKnownYet, NotNow};
use jobyard_core::{WaitReason, WaitVerdict};
use jobyard_scheduler::{Availability, Event};

use crate::yard::{Yard, demand, job, offer, worker};

fn known() -> Yard {
    let mut yard = Yard::default();
    yard.tell(Event::FleetKnown);
    yard
}

fn unmet(requirement: &str, failing: u32, workers: u32) -> WaitReason {
    RequirementUnmet {
        requirement: requirement.parse().expect("a requirement"),
        failing,
        workers,
    }
}

fn nearest(number: u128, lacks: &[&str]) -> WaitReason {
    Nearest {
        worker: worker(number),
        name: format!("w{number}"),
        lacks: lacks
            .iter()
            .map(|term| term.parse().expect("a requirement"))
            .collect(),
    }
}

fn why_named(yard: &mut Yard, name: &str, asks: &str) -> (WaitVerdict, Vec<WaitReason>) {
    let mut demand = demand(1, asks, 1);
    demand.worker = Some(name.to_owned());
    yard.tell(Event::JobQueued(demand));
    yard.why(1)
}

#[test]
fn a_job_that_does_not_wait_has_no_explanation() {
    let mut yard = known();
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    assert_eq!(yard.scheduler.explain(job(1)), None);
    assert_eq!(yard.scheduler.explain(job(2)), None);
}

#[test]
fn without_workers_it_never_runs() {
    let mut yard = known();
    yard.queue(1, "a", 1);
    assert_eq!(yard.why(1), (Never, vec![NoWorkers]));
}

#[test]
fn nothing_is_definite_before_the_fleet_is_known() {
    let mut yard = Yard::default();
    yard.queue(1, "a", 1);
    assert_eq!(yard.why(1), (NotKnownYet, vec![FleetUnknown]));
    yard.worker(1, "", 1);
    let unmet = vec![FleetUnknown, unmet("a", 1, 1), nearest(1, &["a"])];
    assert_eq!(yard.why(1), (NotKnownYet, unmet.clone()));
    yard.tell(Event::FleetKnown);
    assert_eq!(yard.why(1), (Never, unmet[1..].to_vec()));
}

#[test]
fn a_known_worker_that_will_do_is_definite_at_once() {
    let mut yard = Yard::default();
    yard.tell(Event::WorkerJoined(offer(1, "a", 1)));
    yard.queue(1, "a", 1);
    assert_eq!(yard.why(1), (NotNow, vec![Silent { workers: 1 }]));
}

#[test]
fn unmet_requirements_are_counted_and_the_nearest_worker_is_named() {
    let mut yard = known();
    yard.worker(1, "a", 1);
    yard.worker(3, "a b", 1);
    yard.worker(2, "b c", 1);
    yard.queue(1, "a b c", 1);
    let reasons = vec![
        unmet("c", 2, 3),
        unmet("a", 1, 3),
        unmet("b", 1, 3),
        nearest(2, &["a"]),
    ];
    assert_eq!(yard.why(1), (Never, reasons));
}

#[test]
fn a_job_that_is_too_big_is_told_how_much_there_is() {
    let mut yard = known();
    yard.worker(1, "a", 4);
    yard.worker(2, "a", 2);
    yard.worker(3, "", 8);
    yard.queue(1, "a", 5);
    let (asked, largest) = (5, 4);
    assert_eq!(yard.why(1), (Never, vec![TooManySlots { asked, largest }]));
}

#[test]
fn a_name_that_no_worker_has_is_repeated() {
    let mut yard = known();
    yard.worker(1, "", 1);
    let unknown = NamedWorkerUnknown {
        worker: "w9".to_owned(),
    };
    assert_eq!(why_named(&mut yard, "w9", ""), (Never, vec![unknown]));
}

#[test]
fn of_a_named_worker_only_its_own_lacks_count() {
    let mut yard = known();
    yard.worker(1, "", 1);
    yard.worker(2, "a", 1);
    assert_eq!(
        why_named(&mut yard, "w1", "a"),
        (Never, vec![unmet("a", 1, 1), nearest(1, &["a"])])
    );
}

#[test]
fn workers_that_will_do_are_counted_by_what_keeps_each() {
    let mut yard = known();
    yard.worker(1, "a", 1);
    yard.queue(1, "a", 1);
    yard.tell(Event::WorkerJoined(offer(2, "a", 1)));
    yard.tell(Event::WorkerJoined(offer(3, "a", 1)));
    yard.worker(4, "a", 1);
    yard.availability(4, Availability::Suspended);
    yard.worker(5, "", 1);
    yard.queue(2, "a", 1);
    let reasons = vec![
        Busy { workers: 1 },
        Silent { workers: 2 },
        Suspended { workers: 1 },
    ];
    assert_eq!(yard.why(2), (NotNow, reasons));
}

#[test]
fn a_worker_that_is_too_small_is_not_one_that_is_busy() {
    let mut yard = known();
    yard.worker(1, "", 4);
    yard.worker(2, "", 2);
    yard.queue(1, "", 3);
    yard.queue(2, "", 3);
    assert_eq!(yard.why(2), (NotNow, vec![Busy { workers: 1 }]));
}

#[test]
fn jobs_before_it_in_its_own_queue_are_counted() {
    let mut yard = known();
    yard.worker(1, "", 1);
    for number in 1..=4 {
        yard.queue(number, "", 1);
    }
    let mut elsewhere = demand(5, "", 1);
    elsewhere.queue = "nightly".into();
    yard.tell(Event::JobQueued(elsewhere));
    let busy = Busy { workers: 1 };
    assert_eq!(
        yard.why(4),
        (NotNow, vec![busy.clone(), Behind { jobs: 2 }])
    );
    assert_eq!(yard.why(5), (NotNow, vec![busy]));
}

#[test]
fn it_becomes_impossible_when_the_last_worker_leaves() {
    let mut yard = known();
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    assert_eq!(yard.why(2).0, NotNow);
    yard.tell(Event::WorkerLeft(worker(1)));
    assert_eq!(yard.why(2), (Never, vec![NoWorkers]));
}
