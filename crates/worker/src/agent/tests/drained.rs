//! A worker that its master drains.

use std::time::Duration;

use jobyard_core::{
    DeclineReason, InfraReason, MasterMessage, Outcome, StopCause, Verdict, WorkerMessage,
};

use super::rig::{Rig, attempt, names, sent, starts, welcome};
use crate::agent::{Input, Output, ShutdownMode};

fn declined(out: &[Output]) -> Vec<DeclineReason> {
    let reason = |message| match message {
        WorkerMessage::Declined { reason, .. } => Some(reason),
        _ => None,
    };
    sent(out).into_iter().filter_map(reason).collect()
}

#[test]
fn assignment_in_flight_is_declined_and_what_began_goes_on_fw14() {
    let mut rig = Rig::open();
    let [runs, begins, unwritten] = [1, 2, 3].map(|job| attempt(job, 1));
    rig.run(runs);
    rig.begin(begins);
    rig.assign(unwritten);
    let out = rig.hear(MasterMessage::Draining(true));
    assert_eq!(
        sent(&out),
        [WorkerMessage::Declined {
            attempt: unwritten,
            reason: DeclineReason::Stopping
        }]
    );
    let out = rig.feed(Input::Journaled { attempt: unwritten });
    assert_eq!(names(&out), ["discard"], "nothing of it runs");
    assert_eq!(rig.states(), [(runs, "running"), (begins, "accepted")]);
    assert_eq!(names(&rig.started(begins)), ["say started"]);
    assert_eq!(
        declined(&rig.assign(unwritten)),
        [DeclineReason::Stale],
        "it stays declined"
    );
}

#[test]
fn later_assignments_are_declined_until_the_drain_is_over_i14() {
    let mut rig = Rig::open();
    rig.hear(MasterMessage::Draining(true));
    let (a, b) = (attempt(1, 1), attempt(2, 1));
    assert_eq!(declined(&rig.assign(a)), [DeclineReason::Stopping]);
    assert_eq!(rig.hear(MasterMessage::Draining(false)), []);
    assert_eq!(declined(&rig.assign(a)), [DeclineReason::Stale]);
    assert_eq!(starts(&rig.begin(b)), 1);
}

#[test]
fn welcome_that_drains_declines_what_the_hello_had_listed_i14() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    rig.lose_session();
    assert_eq!(rig.hello().inventory.len(), 1);
    rig.feed(Input::Connected);
    let mut drains = welcome(1);
    drains.draining = true;
    drains.verdicts = vec![(a, Verdict::Keep)];
    let out = rig.hear(MasterMessage::Welcome(drains));
    assert_eq!(declined(&out), [DeclineReason::Stopping]);
    assert_eq!(starts(&rig.feed(Input::Journaled { attempt: a })), 0);
    // Each welcome says it anew.
    rig.lose_session();
    rig.hello();
    rig.welcomed();
    assert_eq!(starts(&rig.begin(attempt(2, 1))), 1);
}

#[test]
fn what_was_stopped_before_it_began_is_reported_and_not_declined() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    let (cause, grace) = (StopCause::Cancelled, Duration::ZERO);
    let attempt = a;
    rig.hear(MasterMessage::Stop {
        attempt,
        cause,
        grace,
    });
    assert_eq!(rig.hear(MasterMessage::Draining(true)), []);
    let out = rig.feed(Input::Journaled { attempt: a });
    assert_eq!(names(&out), ["say finished"]);
}

#[test]
fn drain_of_the_master_leaves_the_workers_own_end_alone() {
    let mut rig = Rig::open();
    rig.run(attempt(1, 1));
    assert_eq!(rig.hear(MasterMessage::Draining(true)), [], "it knows");
    assert!(rig.agent.is_accepting());
    let timeout = Duration::from_secs(5);
    rig.feed(Input::Shutdown(ShutdownMode::Drain { timeout }));
    rig.hear(MasterMessage::Draining(false));
    let out = rig.assign(attempt(2, 1));
    assert_eq!(declined(&out), [DeclineReason::Stopping], "it ends");
}

#[test]
fn what_a_drain_stops_before_it_began_costs_nothing() {
    for cause in [StopCause::Drained, StopCause::LeaseExpired] {
        let mut rig = Rig::open();
        let attempt = attempt(1, 1);
        rig.assign(attempt);
        let grace = Duration::ZERO;
        rig.hear(MasterMessage::Stop {
            attempt,
            cause,
            grace,
        });
        let out = rig.feed(Input::Journaled { attempt });
        let [WorkerMessage::Finished(report)] = &sent(&out)[..] else {
            panic!("{out:?}")
        };
        let reason = InfraReason::NeverStarted;
        assert_eq!(report.outcome, Outcome::Infra { reason });
    }
}

#[test]
fn cancel_displaces_the_cause_of_the_cluster_and_not_the_other_way_round() {
    let cluster = [
        StopCause::WorkerStopping,
        StopCause::Drained,
        StopCause::LeaseExpired,
    ];
    for other in cluster {
        for causes in [[other, StopCause::Cancelled], [StopCause::Cancelled, other]] {
            let mut rig = Rig::open();
            let attempt = attempt(1, 1);
            rig.assign(attempt);
            for cause in causes {
                let grace = Duration::ZERO;
                rig.hear(MasterMessage::Stop {
                    attempt,
                    cause,
                    grace,
                });
            }
            let out = rig.feed(Input::Journaled { attempt });
            let [WorkerMessage::Finished(report)] = &sent(&out)[..] else {
                panic!("{out:?}")
            };
            assert_eq!(report.outcome, Outcome::Cancelled { exit: None });
        }
    }
}
