//! Why a job waits: each verdict and each reason once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::WaitReason::{
    Behind, Busy, Complaining, Excluded, FleetMayGrow, FleetUnknown, GroupFull, KeptForOthers,
    NamedWorkerUnknown, Nearest, NoWorkers, QueueFull, QueuesFirst, RequirementUnmet, Reserved,
    Silent, Suspended, TooMuch, WaitsForWarm,
};
use jobyard_core::WaitVerdict::{Never, NotKnownYet, NotNow};
use jobyard_core::{Group, Lack, Requirement, Tag, WaitReason, WaitVerdict, WorkerComplaints};
use jobyard_scheduler::{Availability, Event, Placement, Policy, Wants, WorkerOffer};

use crate::yard::{Yard, job, offer, resources, wanting, wants, worker};

fn known() -> Yard {
    known_with(|_| {})
}

fn known_with(change: impl FnOnce(&mut Policy)) -> Yard {
    let mut yard = Yard::with(change);
    yard.tell(Event::FleetKnown);
    yard
}

fn requirement(text: &str) -> Requirement {
    text.parse().expect("a requirement")
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

fn unmet(text: &str, failing: u32, workers: u32) -> WaitReason {
    RequirementUnmet {
        requirement: requirement(text),
        failing,
        workers,
    }
}

fn nearest(number: u128, lacks: Vec<Lack>) -> WaitReason {
    Nearest {
        worker: worker(number),
        name: format!("w{number}"),
        lacks,
    }
}

fn fails(texts: &[&str]) -> Vec<Lack> {
    let lack = |text: &&str| Lack::Requirement {
        requirement: requirement(text),
    };
    texts.iter().map(lack).collect()
}

fn too_small(resource: &str, asked: u64, has: u64) -> Lack {
    Lack::Resource {
        resource: resource.to_owned(),
        asked,
        has,
    }
}

fn exclusive(number: u128, text: &str) -> WorkerOffer {
    let mut offer = offer(number, text, 1);
    offer.exclusive = offer.tags.clone();
    offer
}

fn why_named(yard: &mut Yard, name: &str, asks: &str) -> (WaitVerdict, Vec<WaitReason>) {
    let wants = wanting(asks, |draft| draft.worker = Some(name.to_owned()));
    yard.submit(1, "", 1, |demand| demand.wants = wants);
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
    let unmet = vec![FleetUnknown, unmet("a", 1, 1), nearest(1, fails(&["a"]))];
    assert_eq!(yard.why(1), (NotKnownYet, unmet.clone()));
    yard.tell(Event::FleetKnown);
    assert_eq!(yard.why(1), (Never, unmet[1..].to_vec()));
}

#[test]
fn nothing_is_impossible_while_the_fleet_may_grow() {
    let mut yard = known();
    yard.tell(Event::FleetMayGrow(true));
    yard.queue(1, "a", 1);
    assert_eq!(yard.why(1), (NotKnownYet, vec![FleetMayGrow]));
    yard.tell(Event::FleetMayGrow(false));
    assert_eq!(yard.why(1), (Never, vec![NoWorkers]));
}

#[test]
fn a_known_worker_that_will_do_is_definite_at_once() {
    let mut yard = Yard::default();
    yard.tell(Event::WorkerJoined(offer(1, "a", 1)));
    yard.queue(1, "a", 1);
    assert_eq!(yard.why(1), (NotNow, vec![Silent { workers: 1 }]));
}

#[test]
fn unmet_requirements_are_counted_and_the_nearest_workers_are_named() {
    let mut yard = known();
    yard.worker(1, "a", 1);
    yard.worker(3, "a b", 1);
    yard.worker(2, "b c", 1);
    yard.worker(4, "", 1);
    yard.queue(1, "a b c", 1);
    let reasons = vec![
        unmet("c", 3, 4),
        unmet("a", 2, 4),
        unmet("b", 2, 4),
        nearest(2, fails(&["a"])),
        nearest(3, fails(&["c"])),
        nearest(1, fails(&["b", "c"])),
    ];
    assert_eq!(yard.why(1), (Never, reasons));
}

#[test]
fn a_job_that_is_too_big_is_told_how_much_there_is() {
    let mut yard = known();
    yard.worker(1, "a", 4);
    yard.worker(2, "", 8);
    yard.queue(1, "a", 5);
    let too_much = TooMuch {
        resource: "slots".to_owned(),
        asked: 5,
        largest: 4,
    };
    let reasons = vec![
        unmet("a", 1, 2),
        too_much,
        nearest(1, vec![too_small("slots", 5, 4)]),
        nearest(2, fails(&["a"])),
    ];
    assert_eq!(yard.why(1), (Never, reasons));
}

#[test]
fn each_resource_of_which_there_is_too_little_is_told() {
    let mut yard = known();
    let mut small = offer(1, "", 4);
    small.capacity = resources(4, 2_000, 1 << 30).with("gpu", 1);
    yard.join(small);
    let asks = wants("", resources(1, 3_000, 1 << 30).with("gpu", 2));
    yard.submit(1, "", 1, |demand| demand.wants = asks);
    let too_much = |resource: &str, asked, largest| TooMuch {
        resource: resource.to_owned(),
        asked,
        largest,
    };
    let (verdict, reasons) = yard.why(1);
    assert_eq!(verdict, Never);
    assert!(
        reasons.contains(&too_much("cpu", 3_000, 2_000)),
        "{reasons:?}"
    );
    assert!(reasons.contains(&too_much("gpu", 2, 1)), "{reasons:?}");
    let lacks = vec![too_small("cpu", 3_000, 2_000), too_small("gpu", 2, 1)];
    assert_eq!(reasons.last(), Some(&nearest(1, lacks)));
    assert_eq!(reasons.len(), 3);
}

#[test]
fn an_exclusive_tag_that_is_not_named_is_told() {
    let mut yard = known();
    yard.join(exclusive(1, "gpu"));
    yard.join(exclusive(2, "gpu"));
    yard.queue(1, "", 1);
    let lacks = || vec![Lack::Exclusive { tag: tag("gpu") }];
    let excluded = Excluded {
        tag: tag("gpu"),
        workers: 2,
    };
    let reasons = vec![excluded, nearest(1, lacks()), nearest(2, lacks())];
    assert_eq!(yard.why(1), (Never, reasons));
}

#[test]
fn a_name_that_no_worker_has_is_repeated() {
    let mut yard = known();
    yard.worker(1, "", 1);
    let worker = "w9".to_owned();
    let unknown = vec![NamedWorkerUnknown { worker }];
    assert_eq!(why_named(&mut yard, "w9", ""), (Never, unknown));
}

#[test]
fn of_a_named_worker_only_its_own_lacks_count() {
    let mut yard = known();
    yard.worker(1, "", 1);
    yard.worker(2, "a", 1);
    let reasons = vec![unmet("a", 1, 1), nearest(1, fails(&["a"]))];
    assert_eq!(why_named(&mut yard, "w1", "a"), (Never, reasons));
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
    for number in [7, 6] {
        yard.worker(number, "a", 1);
        yard.availability(number, Availability::Complaining);
    }
    yard.queue(2, "a", 1);
    let reasons = vec![
        Busy { workers: 1 },
        Silent { workers: 2 },
        Suspended { workers: 1 },
        Complaining {
            workers: 2,
            said: ["w6", "w7"]
                .map(|name| WorkerComplaints::new(name.to_owned(), Vec::new()))
                .to_vec(),
        },
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
fn a_full_queue_is_told_with_its_limit() {
    let mut yard = known();
    yard.set("default", |settings| settings.max_running = Some(1));
    yard.worker(1, "", 4);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    let full = QueueFull {
        queue: "default".to_owned(),
        running: 1,
        limit: 1,
    };
    assert_eq!(yard.why(2), (NotNow, vec![full]));
}

#[test]
fn a_full_group_is_told_with_the_limit_of_the_job() {
    let mut yard = known();
    yard.worker(1, "", 9);
    for (number, limit) in [(1, 3), (2, 3), (3, 2)] {
        yard.submit(number, "", 1, |demand| {
            demand.group = Some(Group::new("deploy", limit));
        });
    }
    let full = GroupFull {
        group: "deploy".to_owned(),
        running: 2,
        limit: 2,
    };
    assert_eq!(yard.why(3), (NotNow, vec![full]));
}

#[test]
fn kept_room_is_told_to_whom_it_is_kept_for_and_to_who_passes_by() {
    let mut yard = known_with(|policy| policy.reserve_after = Some(Duration::ZERO));
    yard.worker(1, "", 3);
    yard.queue(10, "", 2);
    yard.queue(11, "", 3);
    yard.queue(12, "", 1);
    let reserved = Reserved {
        worker: worker(1),
        name: "w1".to_owned(),
    };
    assert_eq!(yard.why(11), (NotNow, vec![Busy { workers: 1 }, reserved]));
    let kept = vec![KeptForOthers { workers: 1 }, Behind { jobs: 1 }];
    assert_eq!(yard.why(12), (NotNow, kept));
}

#[test]
fn a_job_that_holds_out_is_told_for_how_many_workers() {
    let mut yard = warm_and_cold();
    for number in 1..=2 {
        yard.submit(number, "", 1, |demand| demand.wants = uses_src());
    }
    let reasons = vec![Busy { workers: 1 }, WaitsForWarm { workers: 1 }];
    assert_eq!(yard.why(2), (NotNow, reasons));
}

fn uses_src() -> Arc<Wants> {
    wanting("", |draft| draft.warm.extend(["src".to_owned()]))
}

/// Worker 1 is warm for those who use `src`; worker 2 is cold.
fn warm_and_cold() -> Yard {
    let patience = Duration::from_secs(10);
    let mut yard = known_with(|policy| policy.placement = Placement::Warm { patience });
    let mut warm = offer(1, "", 1);
    warm.holds = BTreeMap::from([("src".to_owned(), 1)]);
    yard.join(warm);
    yard.worker(2, "", 1);
    yard
}

#[test]
fn a_job_without_patience_left_is_not_told_that_it_holds_out() {
    let mut yard = warm_and_cold();
    for number in [1, 5] {
        yard.submit(number, "", 1, |demand| demand.wants = uses_src());
    }
    yard.wait(9_999);
    yard.submit(2, "", 1, |demand| demand.wants = uses_src());
    yard.wait(1);
    let reasons = vec![Busy { workers: 1 }, Behind { jobs: 1 }];
    assert_eq!(
        yard.why(5),
        (NotNow, reasons),
        "job 2 is before it and does"
    );
}

#[test]
fn nobody_holds_out_for_a_warm_worker_that_has_room() {
    let mut yard = warm_and_cold();
    yard.set("default", |settings| settings.max_running = Some(0));
    yard.submit(1, "", 1, |demand| demand.wants = uses_src());
    let full = QueueFull {
        queue: "default".to_owned(),
        running: 0,
        limit: 0,
    };
    assert_eq!(yard.why(1), (NotNow, vec![full]));
}

#[test]
fn jobs_before_it_in_its_own_queue_are_counted() {
    let mut yard = known();
    yard.worker(1, "", 1);
    for number in 1..=4 {
        yard.queue(number, "", 1);
    }
    yard.submit(5, "", 1, |demand| demand.queue = "nightly".into());
    yard.submit(6, "", 1, |demand| demand.priority = 1);
    let busy = || Busy { workers: 1 };
    let (_, reasons) = yard.why(4);
    assert!(reasons.contains(&Behind { jobs: 3 }), "{reasons:?}");
    assert_eq!(yard.why(5), (NotNow, vec![busy()]), "others have had more");
    let first = QueuesFirst { queues: 1 };
    assert_eq!(yard.why(6), (NotNow, vec![busy(), first]));
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
