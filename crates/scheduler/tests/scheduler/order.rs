//! Who goes first: no inversion but by a stated rule.

use jobyard_core::Requirement;
use jobyard_scheduler::{Decision, JobDemand};
use proptest::prelude::*;

use crate::history::{histories, placements, policies};
use crate::reference::Job;
use crate::walk::{a_part_of_the_cases, walk};
use crate::yard::Yard;

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn no_job_overtakes_one_of_its_queue_that_asks_for_no_more(
        mut policy in policies(placements()),
        history in histories(),
    ) {
        // Room that is kept is the one stated exception.
        policy.reserve_after = None;
        walk(&policy, &history, |twins, _, decisions| {
            for decision in decisions {
                let Decision::Assigned { job, .. } = decision else {
                    continue;
                };
                let assigned = twins.reference.job(*job).expect("it was assigned");
                for waiting in twins.reference.waiting() {
                    let overtaken = waiting.demand.queue == assigned.demand.queue
                        && waiting.key() < assigned.key()
                        && asks_for_no_more(waiting, &assigned.demand);
                    prop_assert!(!overtaken, "{waiting:?} by {assigned:?}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn without_ageing_a_higher_class_goes_first(
        mut policy in policies(placements()),
        history in histories(),
    ) {
        policy.reserve_after = None;
        policy.ageing = None;
        walk(&policy, &history, |twins, _, decisions| {
            let reference = &twins.reference;
            let class = |job: &Job| reference.queues.queue(&job.demand.queue).settings.class;
            for decision in decisions {
                let Decision::Assigned { job, .. } = decision else {
                    continue;
                };
                let assigned = reference.job(*job).expect("it was assigned");
                for waiting in reference.waiting() {
                    let overtaken = class(waiting) > class(assigned)
                        && reference.is_queue_open(&waiting.demand.queue)
                        && asks_for_no_more(waiting, &assigned.demand);
                    prop_assert!(!overtaken, "{waiting:?} by {assigned:?}");
                }
            }
            Ok(())
        })?;
    }
}

/// Whether every worker with room for the other has room for this one, and nothing else holds it up.
fn asks_for_no_more(job: &Job, than: &JobDemand) -> bool {
    let (own, other) = (job.demand.wants.draft(), than.wants.draft());
    let meets = |requirement: &Requirement| other.requirements.contains(requirement);
    // Requirements also name exclusive tags: fewer of them may be too few.
    own.requirements == other.requirements
        && own.requirements.iter().all(meets)
        && own.worker == other.worker
        && other.resources.covers(&own.resources)
        && own.warm.is_empty()
        && job.demand.group.is_none()
}

#[test]
fn a_higher_priority_goes_first_within_its_queue() {
    let mut yard = Yard::default();
    for (number, priority) in [(1, 0), (2, 5), (3, -1), (4, 5)] {
        yard.submit(number, "", 1, |demand| demand.priority = priority);
    }
    assert_eq!(yard.worker(9, "", 1), [(2, 9)]);
    assert_eq!(yard.release(2), [(4, 9)]);
    assert_eq!(yard.release(4), [(1, 9)]);
    assert_eq!(yard.release(1), [(3, 9)]);
}

#[test]
fn a_priority_says_nothing_to_other_queues() {
    let mut yard = Yard::default();
    yard.submit(1, "", 1, |demand| demand.queue = "a".into());
    yard.submit(2, "", 1, |demand| {
        demand.queue = "b".into();
        demand.priority = 1000;
    });
    assert_eq!(yard.worker(9, "", 1), [(1, 9)], "of equal queues by name");
}

#[test]
fn jobs_of_equal_order_go_as_they_were_queued() {
    let mut yard = Yard::default();
    for number in [2, 1, 3] {
        yard.submit(number, "", 1, |demand| demand.order = 7);
    }
    assert_eq!(yard.worker(9, "", 3), [(2, 9), (1, 9), (3, 9)]);
}

#[test]
fn a_job_that_asks_again_waits_behind_those_of_the_same_order() {
    let mut yard = Yard::default();
    for number in [1, 2, 1] {
        yard.submit(number, "", 1, |demand| demand.order = 7);
    }
    assert_eq!(yard.worker(9, "", 2), [(2, 9), (1, 9)]);
}

#[test]
fn a_job_that_comes_back_keeps_its_place() {
    let mut yard = Yard::default();
    yard.worker(1, "", 1);
    for number in 1..=3 {
        yard.queue(number, "", 1);
    }
    assert_eq!(yard.release(1), [(2, 1)]);
    assert_eq!(yard.queue(1, "", 1), []);
    assert_eq!(yard.release(2), [(1, 1)], "before job 3, which is younger");
}

#[test]
fn a_higher_class_goes_first_however_much_it_has_had() {
    let mut yard = Yard::with(|policy| policy.ageing = None);
    yard.set("urgent", |settings| settings.class = 1);
    yard.worker(9, "", 1);
    yard.queue(1, "", 1);
    for number in 2..10 {
        yard.submit(number, "", 1, |demand| demand.queue = "urgent".into());
    }
    yard.queue(10, "", 1);
    for number in 1..9 {
        assert_eq!(yard.release(number), [(number + 1, 9)]);
    }
    assert_eq!(yard.release(9), [(10, 9)]);
}

#[test]
fn a_queue_that_has_had_less_goes_first() {
    let mut yard = Yard::default();
    yard.worker(9, "", 1);
    for number in 1..=4 {
        let queue = if number < 3 { "a" } else { "b" };
        yard.submit(number, "", 1, |demand| demand.queue = queue.into());
    }
    assert_eq!(yard.release(1), [(3, 9)], "queue a has had one");
    yard.wait(120_000);
    assert_eq!(yard.release(3), [(2, 9)], "job 3 ran longer than job 1");
}
