//! What holds after every event of every history.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{JobId, JobState, Now, WorkerId};
use jobyard_scheduler::{Availability, Event, Scheduler};
use proptest::prelude::*;

use crate::history::histories;
use crate::reference::{Reference, slots, will_do};

/// Enough to meet most pairs of rules, and done in seconds without optimisation.
const CASES: u32 = 512;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn decides_as_the_reference_does(history in histories()) {
        walk(&history, |scheduler, reference, assigned, expected| {
            prop_assert_eq!(assigned, expected);
            for (offer, availability) in &reference.workers {
                let known = scheduler.worker(offer.worker).expect("a known worker");
                prop_assert_eq!(known.slots, offer.slots);
                prop_assert_eq!(known.used, reference.used(offer.worker));
                prop_assert_eq!(known.availability, *availability);
            }
            prop_assert_eq!(scheduler.workers().count(), reference.workers.len());
            Ok(())
        })?;
    }

    #[test]
    fn counts_are_true(history in histories()) {
        walk(&history, |scheduler, reference, _, _| {
            let queued: BTreeSet<_> = reference.waiting().map(|demand| demand.job).collect();
            prop_assert_eq!(scheduler.queued(), queued.len());
            prop_assert_eq!(scheduler.queued_jobs().collect::<BTreeSet<_>>(), queued);
            let placed: BTreeMap<_, _> = reference
                .jobs
                .iter()
                .filter_map(|(demand, place)| Some((demand.job, (*place)?)))
                .collect();
            prop_assert_eq!(scheduler.placed(), placed.len());
            prop_assert_eq!(scheduler.placed_jobs().collect::<BTreeMap<_, _>>(), placed);
            let mut queues = BTreeMap::new();
            for (demand, place) in &reference.jobs {
                let (queued, placed) = queues.entry(&*demand.queue).or_insert((0, 0));
                *if place.is_some() { placed } else { queued } += 1;
            }
            let counted = scheduler.queues().map(|(name, counts)| (name, (counts.queued, counts.placed)));
            prop_assert_eq!(counted.collect::<BTreeMap<_, _>>(), queues);
            Ok(())
        })?;
    }

    #[test]
    fn never_oversells_a_worker(history in histories()) {
        walk(&history, |scheduler, _, assigned, _| {
            for (_, worker) in assigned {
                let usage = scheduler.worker(*worker).expect("a known worker");
                prop_assert!(usage.used <= u64::from(usage.slots), "{usage:?}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn leaves_no_job_idle_beside_a_worker_that_could_take_it(history in histories()) {
        walk(&history, |scheduler, reference, _, _| {
            // The demands and tags are the host's; who waits and what is free is what the scheduler made of them.
            let waiting: BTreeSet<_> = scheduler.queued_jobs().collect();
            for (demand, _) in &reference.jobs {
                for (offer, _) in &reference.workers {
                    let usage = scheduler.worker(offer.worker).expect("a known worker");
                    let takes = usage.availability == Availability::Available
                        && usage.free() >= slots(demand)
                        && will_do(offer, demand);
                    prop_assert!(!(takes && waiting.contains(&demand.job)), "{demand:?} {offer:?}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn every_waiting_job_has_reasons_and_all_are_true(history in histories()) {
        walk(&history, |scheduler, reference, _, _| {
            for (demand, place) in &reference.jobs {
                let why = scheduler.explain(demand.job);
                if place.is_some() {
                    prop_assert_eq!(why, None);
                    continue;
                }
                let why = why.expect("a waiting job has an explanation");
                prop_assert_eq!(why.state, JobState::Queued);
                prop_assert_eq!(why.verdict, Some(reference.verdict(demand)));
                prop_assert!(!why.reasons.is_empty());
                for reason in &why.reasons {
                    prop_assert!(reference.is_true(reason, demand), "{reason:?} of {demand:?}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_same_events_give_the_same_assignments(history in histories()) {
        let run = || {
            let (mut scheduler, mut out) = (Scheduler::new(), Vec::new());
            for event in &history {
                scheduler.handle(Now::default(), event.clone(), &mut out);
            }
            out
        };
        prop_assert_eq!(run(), run());
    }
}

type Assigned = [(JobId, WorkerId)];

/// Runs a history through both schedulers and looks at them after each event.
fn walk(
    history: &[Event],
    look: impl Fn(&Scheduler, &Reference, &Assigned, &Assigned) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let (mut scheduler, mut reference) = (Scheduler::new(), Reference::default());
    for event in history {
        let mut out = Vec::new();
        scheduler.handle(Now::default(), event.clone(), &mut out);
        let assigned: Vec<_> = out.iter().map(|to| (to.job, to.worker)).collect();
        let expected = reference.handle(event);
        look(&scheduler, &reference, &assigned, &expected)?;
    }
    Ok(())
}
