//! Time alone changes something exactly when the deadline says so.

use std::time::Duration;

use jobyard_core::{Now, Steady};
use jobyard_scheduler::{Event, Placement, Policy};
use proptest::prelude::*;

use crate::history::{histories, placements, policies};
use crate::reference::Reference;
use crate::walk::{Twins, a_part_of_the_cases, recorded, walk};
use crate::yard::{Yard, at};

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn a_deadline_never_lies_behind_the_decision_that_time_alone_brings(
        policy in policies(placements()),
        history in histories(),
    ) {
        walk(&policy, &history, |twins, _, _| {
            let deadline = twins.scheduler.next_deadline();
            if let Some(due) = first_decision_of_time(&twins.reference) {
                let in_time = deadline.is_some_and(|deadline| deadline <= due);
                prop_assert!(in_time, "{deadline:?} and time decides at {due:?}");
            }
            let now = twins.reference.now;
            prop_assert!(deadline.is_none_or(|deadline| deadline > now), "it is past");
            Ok(())
        })?;
    }

    #[test]
    fn nothing_is_decided_before_the_deadline_and_each_is_met_once(
        policy in policies(placements()),
        history in histories(),
    ) {
        let mut twins = Twins::new(&policy);
        for (then, event) in recorded(&policy, &history) {
            while let Some(due) = twins.scheduler.next_deadline().filter(|due| *due <= then) {
                let before = Steady::from_micros(due.as_micros() - 1);
                if before > twins.now {
                    twins.now = before;
                    prop_assert_eq!(twins.tell(&Event::TimePassed)?, []);
                }
                prop_assert_eq!(twins.scheduler.next_deadline(), Some(due));
                twins.now = due;
                twins.tell(&Event::TimePassed)?;
                let next = twins.scheduler.next_deadline();
                prop_assert!(next.is_none_or(|next| next > due), "{next:?} after {due:?}");
            }
            twins.now = then;
            twins.tell(&event)?;
        }
    }
}

/// The first moment at which time alone decides something, as the reference sees it.
fn first_decision_of_time(reference: &Reference) -> Option<Steady> {
    let patience = match reference.policy.placement {
        Placement::Warm { patience } => Some(patience),
        _ => None,
    };
    let give_up_after = reference.policy.give_up_after;
    let yields = reference
        .waiting()
        .filter_map(|job| Some(job.queued_at + patience?));
    let given_up = reference
        .waiting()
        .filter_map(|job| Some(job.impossible_since? + give_up_after?));
    let mut moments: Vec<_> = yields
        .chain(given_up)
        .filter(|moment| *moment > reference.now)
        .collect();
    moments.sort();
    moments.into_iter().find(|moment| {
        let mut later = reference.clone();
        !later.handle(*moment, &Event::TimePassed).is_empty()
    })
}

#[test]
fn without_a_reason_there_is_no_deadline() {
    let mut yard = Yard::default();
    yard.tell(Event::FleetKnown);
    yard.worker(1, "", 1);
    yard.queue(1, "", 1);
    yard.queue(2, "", 1);
    yard.queue(3, "gpu", 1);
    assert_eq!(yard.scheduler.next_deadline(), None);
}

#[test]
fn an_impossible_job_is_given_up_at_its_deadline_and_not_before() {
    let mut yard = Yard::with(|policy| policy.give_up_after = Some(Duration::from_secs(5)));
    yard.queue(1, "gpu", 1);
    yard.wait(1_000);
    assert_eq!(
        yard.scheduler.next_deadline(),
        None,
        "the fleet is not known"
    );
    yard.tell(Event::FleetKnown);
    let due = yard.now + Duration::from_secs(5);
    assert_eq!(yard.scheduler.next_deadline(), Some(due));
    yard.wait(4_999);
    assert_eq!(yard.given_up, []);
    yard.wait(1);
    assert_eq!(yard.given_up, [1]);
    assert_eq!(yard.scheduler.queued(), 0);
    assert_eq!(yard.scheduler.next_deadline(), None);
}

#[test]
fn a_break_in_being_impossible_starts_the_count_anew() {
    let mut yard = Yard::with(|policy| policy.give_up_after = Some(Duration::from_secs(5)));
    yard.tell(Event::FleetKnown);
    yard.queue(1, "gpu", 1);
    yard.wait(4_000);
    yard.tell(Event::FleetMayGrow(true));
    assert_eq!(yard.scheduler.next_deadline(), None);
    yard.tell(Event::FleetMayGrow(false));
    yard.wait(4_000);
    assert_eq!(yard.given_up, []);
    yard.wait(1_000);
    assert_eq!(yard.given_up, [1]);
}

#[test]
fn jobs_are_given_up_in_the_order_in_which_they_were_queued() {
    let mut yard = Yard::with(|policy| policy.give_up_after = Some(Duration::ZERO));
    for (number, priority) in [(3, 0), (1, 0), (2, 9)] {
        yard.submit(number, "gpu", 1, |demand| demand.priority = priority);
    }
    assert_eq!(yard.given_up, []);
    yard.tell(Event::FleetKnown);
    assert_eq!(yard.given_up, [3, 1, 2]);
}

#[test]
fn a_clock_that_goes_back_counts_as_one_that_stands() {
    let mut yard = Yard::with(|policy: &mut Policy| {
        policy.give_up_after = Some(Duration::from_secs(5));
    });
    yard.tell(Event::FleetKnown);
    yard.wait(10_000);
    let mut out = Vec::new();
    let early: Now = at(Steady::from_micros(1));
    let demand = crate::yard::demand(1, "gpu", 1);
    yard.scheduler
        .handle(early, Event::JobQueued(demand), &mut out);
    assert_eq!(out, [], "queued at the latest time that was told");
    let due = yard.now + Duration::from_secs(5);
    assert_eq!(yard.scheduler.next_deadline(), Some(due));
}
