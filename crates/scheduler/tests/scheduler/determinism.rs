//! The same events give the same decisions, whatever the seed of the hash tables.

use jobyard_core::Steady;
use jobyard_scheduler::{Decision, Event, Policy, Scheduler};
use proptest::prelude::*;

use crate::history::{histories, placements, policies};
use crate::walk::{a_part_of_the_cases, recorded};
use crate::yard::at;

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn the_same_events_give_the_same_decisions_and_reasons(
        policy in policies(placements()),
        history in histories(),
        other_seed in any::<u64>(),
    ) {
        let events = recorded(&policy, &history);
        let first = run(&policy, &events);
        prop_assert_eq!(&run(&policy, &events), &first);
        let mut reseeded = policy.clone();
        reseeded.hash_seed = other_seed;
        prop_assert_eq!(&run(&reseeded, &events), &first);
    }
}

/// The decisions, and at the end every explanation.
fn run(policy: &Policy, events: &[(Steady, Event)]) -> (Vec<Decision>, Vec<String>) {
    let (mut scheduler, mut out) = (Scheduler::with_policy(policy.clone()), Vec::new());
    for (now, event) in events {
        scheduler.handle(at(*now), event.clone(), &mut out);
    }
    let explain = |job| format!("{:?}", scheduler.explain(job));
    (out, scheduler.queued_jobs().map(explain).collect())
}
