//! Which of the workers with room gets a job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{Preference, Resources};
use jobyard_scheduler::{Event, MAX_SCORED, Placement, Policy, Score, ScoredJob, ScoredWorker};

use crate::reference::distance;
use crate::yard::{Yard, job, offer, resources, wanting, wants, worker};

fn placing(placement: Placement) -> Yard {
    Yard::with(|policy: &mut Policy| policy.placement = placement)
}

/// Which of these workers is first on the ring for a job.
fn first_on_the_ring(number: u128, mut workers: Vec<u128>) -> u128 {
    workers.sort_by_key(|at| distance(job(number), worker(*at)));
    workers[0]
}

#[test]
fn spread_takes_the_worker_of_which_least_is_taken() {
    let mut yard = placing(Placement::Spread);
    yard.worker(1, "a", 2);
    yard.worker(2, "b", 4);
    yard.queue(1, "a", 1);
    yard.queue(2, "b", 1);
    assert_eq!(
        yard.queue(3, "", 1),
        [(3, 2)],
        "a quarter is less than a half"
    );
    let first = first_on_the_ring(4, vec![1, 2]);
    assert_eq!(yard.queue(4, "", 1), [(4, first)], "two of four are a half");
}

#[test]
fn the_scarcest_resource_makes_the_load() {
    let mut yard = placing(Placement::Spread);
    for number in 1..=2 {
        let mut offer = offer(number, &format!("w{number}"), 10);
        offer.capacity = resources(10, 1_000, 0);
        yard.join(offer);
    }
    let busy = wants("w1", resources(1, 900, 0));
    yard.submit(1, "", 1, |demand| demand.wants = busy);
    yard.queue(2, "w2", 8);
    assert_eq!(yard.queue(3, "", 1), [(3, 2)]);
}

#[test]
fn pack_takes_the_fullest_that_has_room() {
    let mut yard = placing(Placement::Pack);
    yard.worker(1, "a", 4);
    yard.worker(2, "b", 4);
    yard.queue(1, "b", 1);
    for number in 2..=4 {
        assert_eq!(yard.queue(number, "", 1), [(number.into(), 2)]);
    }
    assert_eq!(yard.queue(5, "", 1), [(5, 1)]);
}

#[test]
fn preferences_go_before_everything_and_need_not_hold() {
    for placement in [Placement::Spread, Placement::Pack] {
        let mut yard = placing(placement);
        yard.worker(1, "ssd", 8);
        yard.worker(2, "near", 8);
        yard.worker(3, "", 8);
        let prefers = |terms: &[(&str, u32)]| {
            wanting("", |draft| {
                let preference = |(tag, weight): &(&str, u32)| {
                    Preference::new(tag.parse().expect("a tag"), *weight)
                };
                draft.prefer = terms.iter().map(preference).collect();
            })
        };
        let both = prefers(&[("ssd", 2), ("near", 3)]);
        let neither = prefers(&[("ssd", 2), ("!near", 2)]);
        let absent = prefers(&[("gpu", 9)]);
        let mut submit = |number, wants: &Arc<jobyard_scheduler::Wants>| {
            yard.submit(number, "", 1, |demand| demand.wants = wants.clone())
        };
        assert_eq!(submit(1, &both), [(1, 2)]);
        assert_eq!(submit(2, &both), [(2, 2)]);
        assert_eq!(submit(3, &neither), [(3, 1)], "four in all");
        assert_eq!(submit(4, &absent).len(), 1);
    }
}

#[test]
fn warm_takes_the_worker_that_holds_most_of_what_is_used() {
    let patience = Duration::from_secs(10);
    let mut yard = placing(Placement::Warm { patience });
    for (number, holds) in [(1, "deps"), (2, "src"), (3, "other")] {
        let mut offer = offer(number, "", 4);
        let bytes = if holds == "deps" { 100 } else { 7 };
        offer.holds = BTreeMap::from([(holds.to_owned(), bytes)]);
        yard.join(offer);
    }
    let uses = |things: &[&str]| {
        wanting("", |draft| {
            draft.warm = things.iter().map(|thing| (*thing).to_owned()).collect();
        })
    };
    for number in 1..=4 {
        let wants = uses(&["deps", "src"]);
        let assigned = yard.submit(number, "", 1, |demand| demand.wants = wants);
        assert_eq!(assigned, [(number.into(), 1)]);
    }
    let wants = uses(&["deps", "src"]);
    assert_eq!(
        yard.submit(5, "", 1, |demand| demand.wants = wants),
        [(5, 2)]
    );
}

#[test]
fn a_job_waits_for_a_warm_worker_until_its_patience_ends() {
    let patience = Duration::from_secs(10);
    let mut yard = placing(Placement::Warm { patience });
    let mut warm = offer(1, "", 1);
    warm.holds = BTreeMap::from([("src".to_owned(), 0)]);
    yard.join(warm);
    yard.worker(2, "", 1);
    let uses = wanting("", |draft| draft.warm.extend(["src".to_owned()]));
    let submit =
        |yard: &mut Yard, number| yard.submit(number, "", 1, |demand| demand.wants = uses.clone());
    assert_eq!(submit(&mut yard, 1), [(1, 1)]);
    assert_eq!(submit(&mut yard, 2), [], "worker 2 is free, and cold");
    assert_eq!(
        yard.queue(3, "", 1),
        [(3, 2)],
        "that does not hold up who uses nothing"
    );
    yard.release(3);
    assert_eq!(yard.scheduler.next_deadline(), Some(yard.now + patience));
    assert_eq!(yard.wait(9_999), []);
    assert_eq!(yard.wait(1), [(2, 2)]);
    submit(&mut yard, 4);
    let nothing = Event::WorkerHolds {
        worker: worker(1),
        holds: BTreeMap::new(),
    };
    yard.release(2);
    assert_eq!(yard.tell(nothing), [(4, 2)], "nobody is warm any more");
}

#[derive(Debug)]
struct ByName;

impl Score for ByName {
    fn score(&self, job: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64 {
        assert_eq!(
            (job.queue, job.wants.draft().worker.as_ref()),
            ("default", None)
        );
        assert!(worker.capacity.covers(&Resources::of_slots(1)) && worker.load < 1000);
        i64::from(worker.name == "w7") - 2 * i64::from(worker.tags.has_key("slow"))
    }
}

#[test]
fn a_host_places_as_it_likes() {
    let mut yard = placing(Placement::Scored(Arc::new(ByName)));
    for number in 1..=9 {
        yard.worker(number, if number < 9 { "slow" } else { "" }, 2);
    }
    assert_eq!(yard.queue(1, "", 1), [(1, 9)], "one is not slow");
    yard.queue(2, "", 1);
    assert_eq!(yard.release(2), []);
    yard.tell(Event::WorkerLeft(worker(9)));
    assert_eq!(yard.queue(3, "", 1), [(3, 7)]);
}

#[derive(Debug)]
struct LikesTheLast;

impl Score for LikesTheLast {
    fn score(&self, job: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64 {
        let far = distance(job.job, worker.worker) >> 65;
        i64::try_from(far).expect("63 bits")
    }
}

#[test]
fn a_host_is_shown_only_the_first_in_the_order_of_spread() {
    let mut yard = placing(Placement::Scored(Arc::new(LikesTheLast)));
    for number in 1..=200 {
        yard.worker(number, "", 1);
    }
    let mut order: Vec<_> = (1..=200).collect();
    order.sort_by_key(|at| distance(job(1), worker(*at)));
    assert_eq!(yard.queue(1, "", 1), [(1, order[MAX_SCORED - 1])]);
}
