//! Every waiting job is told why, and everything that it is told is so.

use jobyard_core::{Help, JobState, WaitReason, WaitVerdict, WorkerId};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::history::{histories, placements, policies};
use crate::reference::{Job, Reference};
use crate::walk::{a_part_of_the_cases, walk};

proptest! {
    #![proptest_config(a_part_of_the_cases(4))]

    #[test]
    fn every_waiting_job_has_a_verdict_and_reasons_and_all_are_true(
        policy in policies(placements()),
        history in histories(),
    ) {
        walk(&policy, &history, |twins, _, _| {
            let reference = &twins.reference;
            for job in &reference.jobs {
                let why = twins.scheduler.explain(job.id());
                if !job.waits() {
                    prop_assert_eq!(why, None);
                    continue;
                }
                let why = why.expect("a waiting job has an explanation");
                prop_assert_eq!(why.state, JobState::Queued);
                prop_assert_eq!(why.verdict, Some(reference.verdict(job)));
                prop_assert!(!why.reasons.is_empty(), "of {job:?}");
                for reason in &why.reasons {
                    prop_assert!(reference.is_true(reason, job), "{reason:?} of {job:?}");
                }
                is_complete(reference, job, &why.reasons)?;
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_said_to_help_helps(policy in policies(placements()), history in histories()) {
        walk(&policy, &history, |twins, _, _| {
            let reference = &twins.reference;
            for job in reference.waiting() {
                let why = twins.scheduler.explain(job.id()).expect("it waits");
                for help in &why.help {
                    prop_assert!(reference.does_help(help, job), "{help:?} to {job:?}");
                }
                starts_with_a_new_worker(reference, job, &why.help)?;
                if why.verdict == Some(WaitVerdict::Never) {
                    prop_assert!(!why.help.is_empty());
                }
            }
            Ok(())
        })?;
    }
}

/// Nothing that holds a job up is left out.
fn is_complete(
    reference: &Reference,
    job: &Job,
    reasons: &[WaitReason],
) -> Result<(), TestCaseError> {
    let says = |is: fn(&WaitReason) -> bool| reasons.iter().any(is);
    let is_possible = reference.able(job).next().is_some();
    if is_possible {
        prop_assert_eq!(
            says(|reason| matches!(reason, WaitReason::QueueFull { .. })),
            !reference.is_queue_open(&job.demand.queue)
        );
        prop_assert_eq!(
            says(|reason| matches!(reason, WaitReason::GroupFull { .. })),
            !reference.is_group_open(job)
        );
        let mut able = reference.able(job).filter(|worker| worker.is_available());
        prop_assert_eq!(
            says(|reason| matches!(reason, WaitReason::Busy { .. })),
            able.any(|worker| !reference.has_bare_room(worker, job))
        );
    } else if reference.named(job).next().is_some() {
        let requirements = &job.demand.wants.draft().requirements;
        let failed = requirements.iter().filter(|requirement| {
            let mut named = reference.named(job);
            named.any(|worker| !requirement.is_met_by(&worker.offer.tags))
        });
        let told = reasons
            .iter()
            .filter(|reason| matches!(reason, WaitReason::RequirementUnmet { .. }));
        prop_assert_eq!(told.count(), failed.count(), "{:?} of {:?}", reasons, job);
        let names_one = says(|reason| matches!(reason, WaitReason::Nearest { .. }));
        prop_assert!(names_one);
    }
    Ok(())
}

/// A worker as it is described, where nothing else waits, starts the job.
fn starts_with_a_new_worker(
    reference: &Reference,
    job: &Job,
    help: &[Help],
) -> Result<(), TestCaseError> {
    let Some(Help::Worker { requirements, .. }) =
        help.iter().find(|help| matches!(help, Help::Worker { .. }))
    else {
        return Ok(());
    };
    let asks_for_nothing_absent = requirements.iter().all(|requirement| {
        // A worker can be made after these; what must not be there may contradict them.
        matches!(
            requirement.test(),
            jobyard_core::Test::Present
                | jobyard_core::Test::AnyOf(_)
                | jobyard_core::Test::Compare(..)
        )
    });
    // A worker that goes by its id is there already, and may be full.
    let goes_by_id = job.demand.wants.draft().worker.as_ref();
    if goes_by_id.is_some_and(|text| text.parse::<WorkerId>().is_ok()) {
        return Ok(());
    }
    let waits_for_others = help
        .iter()
        .any(|help| matches!(help, Help::FreeGroup { .. }))
        || reference.holds_out(job)
        || (reference.able(job).next().is_none()
            && !(reference.is_queue_open(&job.demand.queue) && reference.is_group_open(job)));
    if asks_for_nothing_absent && !waits_for_others {
        prop_assert!(reference.starts_after(help, job), "{help:?} for {job:?}");
    }
    Ok(())
}
