//! What can be asked of a scheduler is so.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::history::{histories, placements, policies};
use crate::reference::{Job, Queues, Reference};
use crate::walk::{a_part_of_the_cases, walk};

proptest! {
    #![proptest_config(a_part_of_the_cases(6))]

    #[test]
    fn counts_of_jobs_are_true(policy in policies(placements()), history in histories()) {
        walk(&policy, &history, |twins, _, _| {
            let (scheduler, reference) = (&twins.scheduler, &twins.reference);
            let queued: BTreeSet<_> = reference.waiting().map(Job::id).collect();
            prop_assert_eq!(scheduler.queued(), queued.len());
            prop_assert_eq!(scheduler.queued_jobs().collect::<BTreeSet<_>>(), queued);
            let placed: BTreeMap<_, _> = reference
                .placed()
                .filter_map(|job| Some((job.id(), job.stay.as_ref()?.worker)))
                .collect();
            prop_assert_eq!(scheduler.placed(), placed.len());
            prop_assert_eq!(scheduler.placed_jobs().collect::<BTreeMap<_, _>>(), placed);
            Ok(())
        })?;
    }

    #[test]
    fn use_of_workers_is_true(policy in policies(placements()), history in histories()) {
        walk(&policy, &history, |twins, _, _| {
            let (scheduler, reference) = (&twins.scheduler, &twins.reference);
            for worker in &reference.workers {
                let id = worker.offer.worker;
                let known = scheduler.worker(id).expect("a known worker");
                prop_assert_eq!(&known.used, &reference.used(id));
                prop_assert_eq!(known.availability, worker.availability);
                prop_assert!(known.capacity.covers(&worker.offer.capacity));
                prop_assert!(worker.offer.capacity.covers(&known.capacity));
            }
            prop_assert_eq!(scheduler.workers().count(), reference.workers.len());
            Ok(())
        })?;
    }

    #[test]
    fn what_queues_have_and_owe_is_true(policy in policies(placements()), history in histories()) {
        walk(&policy, &history, |twins, _, _| {
            let shown: Vec<_> = twins
                .scheduler
                .queues()
                .map(|(name, state)| {
                    let counts = (state.queued, state.placed);
                    (name.to_owned(), counts, state.settings, state.ahead_ms)
                })
                .collect();
            let mut expected = queue_states(&twins.reference);
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(shown, expected);
            Ok(())
        })?;
    }
}

type State = (String, (usize, usize), jobyard_core::QueueSettings, u64);

fn queue_states(reference: &Reference) -> Vec<State> {
    let queues: &Queues = &reference.queues;
    let states = queues.entries.iter().map(|queue| {
        let waiting = reference.waiting();
        let waiting = waiting.filter(|job| job.demand.queue == queue.name).count();
        let counts = (waiting, reference.placed_of(&queue.name));
        let ahead = queue
            .charge
            .saturating_sub(queues.level(queue.settings.class));
        let ahead_ms = u64::try_from(ahead >> 52).expect("not so long");
        (queue.name.to_string(), counts, queue.settings, ahead_ms)
    });
    let is_shown = |(_, counts, settings, _): &State| {
        *counts != (0, 0) || *settings != jobyard_core::QueueSettings::default()
    };
    states.filter(is_shown).collect()
}
