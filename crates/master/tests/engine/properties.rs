//! Whatever happens, in whatever order: nothing is lost, nothing is left over, and the same happens again.

use std::time::Duration;

use jobyard_core::{DeclineReason, Exit, InfraReason, Outcome, WorkerCommand};
use proptest::prelude::*;

use crate::cluster::TIMINGS;
use crate::vocabulary::{exit, infra};
use crate::world::{Happening, JOBS, MACHINES, World};

const MOST: usize = 120;

fn happening() -> impl Strategy<Value = Happening> {
    let machine = || 0..usize::from(MACHINES);
    let job = || 1..=JOBS;
    let outcome = prop_oneof![
        3 => Just(Outcome::Succeeded),
        1 => Just(exit(7)),
        1 => Just(infra(InfraReason::WorkerFault)),
        1 => Just(Outcome::OutOfMemory { exit: Exit::Signaled(9) }),
    ];
    let end = (machine(), outcome, prop_oneof![Just(0), Just(300)]);
    let end = end.prop_map(|(machine, outcome, bytes)| Happening::End {
        machine,
        outcome,
        bytes,
    });
    let reason = prop::option::of(prop_oneof![
        Just(DeclineReason::Full),
        Just(DeclineReason::Stopping),
        Just(DeclineReason::Stale),
        Just(DeclineReason::JournalFailed),
    ]);
    let decline =
        (machine(), reason).prop_map(|(machine, reason)| Happening::Decline { machine, reason });
    let command = prop_oneof![
        3 => Just(WorkerCommand::Suspend),
        3 => Just(WorkerCommand::Resume),
        1 => Just(WorkerCommand::Remove),
        4 => Just(WorkerCommand::Drain { deadline: None }),
        2 => Just(WorkerCommand::Drain { deadline: Some(TIMINGS.lease) }),
    ];
    let time = prop_oneof![
        Just(Duration::from_secs(1)),
        Just(TIMINGS.lease),
        Just(TIMINGS.lease + TIMINGS.grace),
        Just(TIMINGS.log_drain),
        Just(TIMINGS.reconcile_for),
    ];
    prop_oneof![
        8 => job().prop_map(|job| Happening::Submit { job }),
        3 => (job(), prop::bool::weighted(0.3))
            .prop_map(|(job, force)| Happening::Stop { job, force }),
        8 => machine().prop_map(Happening::Connect),
        3 => machine().prop_map(Happening::Disconnect),
        10 => machine().prop_map(Happening::Read),
        10 => machine().prop_map(Happening::Start),
        10 => end,
        6 => machine().prop_map(Happening::Upload),
        4 => Just(Happening::Seal),
        1 => decline,
        2 => (machine(), any::<bool>())
            .prop_map(|(machine, accepting)| Happening::Accept { machine, accepting }),
        3 => (machine(), 0..2_usize)
            .prop_map(|(machine, complaints)| Happening::Complain { machine, complaints }),
        2 => machine().prop_map(Happening::Reboot),
        4 => (machine(), command).prop_map(|(machine, to)| Happening::Command(machine, to)),
        4 => (time, any::<bool>()).prop_map(|(time, in_touch)| Happening::Pass { time, in_touch }),
        2 => Just(Happening::Restart),
        2 => Just(Happening::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A failure prints its inputs, shrunk: enough to make a test of it.
        failure_persistence: None,
        // Each runs a whole life of a cluster: a quarter as many as usual (or as `PROPTEST_CASES` says) will do.
        cases: ProptestConfig::default().cases.div_ceil(4),
        ..ProptestConfig::default()
    })]

    /// The invariants are in [`World`]; what is left over shows once everything has calmed down.
    #[test]
    fn nothing_is_lost_and_nothing_is_left_over(
        happenings in prop::collection::vec(happening(), 1..MOST)
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        world.calm_down();
    }

    #[test]
    fn the_same_inputs_give_the_same_changes_and_effects(
        happenings in prop::collection::vec(happening(), 1..MOST)
    ) {
        let (mut one, mut other) = (World::new(), World::new());
        for happening in happenings {
            one.happen(happening);
            other.happen(happening);
        }
        prop_assert_eq!(one.history, other.history);
    }
}
