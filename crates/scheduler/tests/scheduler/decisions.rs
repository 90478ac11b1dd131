//! Both schedulers decide the same after every event, whatever the policy.

use std::sync::Arc;

use jobyard_scheduler::Placement;
use proptest::prelude::*;

use crate::history::{histories, placements, policies, warm};
use crate::points::Points;
use crate::reference::Job;
use crate::walk::{a_part_of_the_cases, walk};

proptest! {
    #[test]
    fn spread_decides_as_the_reference_does(
        policy in policies(Just(Placement::Spread)),
        history in histories(),
    ) {
        walk(&policy, &history, |_, _, _| Ok(()))?;
    }

    #[test]
    fn pack_decides_as_the_reference_does(
        policy in policies(Just(Placement::Pack)),
        history in histories(),
    ) {
        walk(&policy, &history, |_, _, _| Ok(()))?;
    }

    #[test]
    fn warm_decides_as_the_reference_does(policy in policies(warm()), history in histories()) {
        walk(&policy, &history, |_, _, _| Ok(()))?;
    }

    #[test]
    fn a_host_s_own_placement_decides_as_the_reference_does(
        policy in policies(Just(Placement::Scored(Arc::new(Points)))),
        history in histories(),
    ) {
        walk(&policy, &history, |_, _, _| Ok(()))?;
    }
}

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn the_same_room_is_kept_for_the_same_jobs(
        policy in policies(placements()),
        history in histories(),
    ) {
        walk(&policy, &history, |twins, _, _| {
            let reference = &twins.reference;
            for worker in &reference.workers {
                let line = worker.kept_for.as_ref();
                let jobs = reference.waiting().filter(|job| Some(&job.line()) == line);
                let head = jobs.min_by_key(|job| job.key());
                let kept = twins.scheduler.reserved_for(worker.offer.worker);
                prop_assert_eq!(kept, head.map(Job::id));
            }
            Ok(())
        })?;
    }
}
