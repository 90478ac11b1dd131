//! Caps of queues and limits of groups.

use std::collections::BTreeMap;

use jobyard_core::{Group, JobId};
use jobyard_scheduler::Decision;
use proptest::prelude::*;

use crate::history::{histories, placements, policies};
use crate::reference::Job;
use crate::walk::{a_part_of_the_cases, walk};
use crate::yard::Yard;

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn no_assignment_exceeds_the_cap_of_its_queue_or_the_limit_of_its_group(
        policy in policies(placements()),
        history in histories(),
    ) {
        walk(&policy, &history, |twins, _, decisions| {
            let reference = &twins.reference;
            let mut placed: BTreeMap<JobId, &Job> =
                reference.placed().map(|job| (job.id(), job)).collect();
            // Backwards, so that each decision sees those that were placed when it was made.
            for decision in decisions.iter().rev() {
                let Decision::Assigned { job, .. } = decision else {
                    continue;
                };
                let assigned = &placed[job].demand;
                let settings = reference.queues.queue(&assigned.queue).settings;
                let of_queue = placed.values().filter(|job| job.demand.queue == assigned.queue);
                let of_queue = of_queue.count() as u64;
                prop_assert!(settings.max_running.is_none_or(|limit| of_queue <= limit));
                if let Some(group) = &assigned.group {
                    let key = |job: &&&Job| {
                        job.demand.group.as_ref().is_some_and(|other| other.key == group.key)
                    };
                    let of_group = placed.values().filter(key).count();
                    prop_assert!(of_group <= group.limit.max(1) as usize);
                }
                placed.remove(job);
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_queue_runs_no_more_than_it_may_and_others_go_on() {
    let mut yard = Yard::default();
    yard.set("a", |settings| settings.max_running = Some(2));
    yard.worker(9, "", 4);
    for number in 1..=3 {
        yard.submit(number, "", 1, |demand| demand.queue = "a".into());
    }
    assert_eq!(yard.used(9), 2);
    assert_eq!(yard.queue(4, "", 1), [(4, 9)]);
    assert_eq!(yard.release(1), [(3, 9)]);
}

#[test]
fn a_raised_cap_starts_the_next_job_in_the_same_call() {
    let mut yard = Yard::default();
    yard.set("a", |settings| settings.max_running = Some(0));
    yard.worker(9, "", 4);
    for number in 1..=4 {
        yard.submit(number, "", 1, |demand| demand.queue = "a".into());
    }
    assert_eq!(yard.used(9), 0);
    let raised = yard.set("a", |settings| settings.max_running = Some(3));
    assert_eq!(raised, [(1, 9), (2, 9), (3, 9)]);
    assert_eq!(yard.set("a", |_| {}), [(4, 9)]);
}

#[test]
fn a_lowered_cap_ends_nothing() {
    let mut yard = Yard::default();
    yard.worker(9, "", 3);
    for number in 1..=4 {
        yard.queue(number, "", 1);
    }
    yard.set("default", |settings| settings.max_running = Some(1));
    assert_eq!(yard.used(9), 3);
    assert_eq!(yard.release(1), []);
    assert_eq!(yard.release(2), []);
    assert_eq!(yard.release(3), [(4, 9)]);
}

#[test]
fn a_group_runs_as_many_as_each_job_allows_for_itself() {
    let mut yard = Yard::default();
    yard.worker(9, "", 9);
    assert_eq!(submit(&mut yard, 1, 1), [(1, 9)]);
    assert_eq!(submit(&mut yard, 2, 1), []);
    assert_eq!(submit(&mut yard, 3, 2), [(3, 9)], "it allows two");
    assert_eq!(
        yard.release(1),
        [],
        "one still runs, and job 2 wants to be alone"
    );
    assert_eq!(yard.release(3), [(2, 9)]);
}

#[test]
fn a_limit_of_nothing_counts_as_one() {
    let mut yard = Yard::default();
    yard.worker(9, "", 9);
    assert_eq!(submit(&mut yard, 1, 0), [(1, 9)]);
    assert_eq!(submit(&mut yard, 2, 0), []);
}

#[test]
fn a_group_reaches_over_queues() {
    let mut yard = Yard::default();
    yard.worker(9, "", 9);
    for (number, queue) in [(1, "a"), (2, "b")] {
        yard.submit(number, "", 1, |demand| {
            demand.queue = queue.into();
            demand.group = Some(Group::new("deploy", 1));
        });
    }
    assert_eq!(yard.release(1), [(2, 9)]);
}

fn submit(yard: &mut Yard, number: u64, limit: u32) -> Vec<(u128, u128)> {
    yard.submit(number, "", 1, |demand| {
        demand.group = Some(Group::new("deploy", limit));
    })
}
