//! What becomes of an assignment.

use std::time::Duration;

use jobyard_core::{
    DeclineReason, InfraReason, MAX_INVENTORY, MasterMessage, Outcome, StopCause, WorkerMessage,
};

use super::rig::{Rig, attempt, boot, names, sent, starts};
use crate::agent::{Input, JournalEntry, Output};

fn declined(out: &[Output]) -> Option<DeclineReason> {
    sent(out).into_iter().find_map(|message| match message {
        WorkerMessage::Declined { reason, .. } => Some(reason),
        _ => None,
    })
}

fn stop(attempt: jobyard_core::AttemptId, cause: StopCause) -> MasterMessage {
    MasterMessage::Stop {
        attempt,
        cause,
        grace: Duration::from_secs(3),
    }
}

#[test]
fn start_only_what_is_in_the_journal() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    let out = rig.assign(a);
    assert!(
        matches!(&out[..], [Output::Journal(JournalEntry::Accepted { attempt, boot: b, .. })]
            if *attempt == a && *b == boot(1)),
        "{out:?}"
    );
    assert_eq!(
        names(&rig.feed(Input::Journaled { attempt: a })),
        ["start", "upload"]
    );
    assert_eq!(names(&rig.started(a)), ["say started"]);
    let out = rig.ended(a, Outcome::Succeeded);
    assert!(
        matches!(&out[0], Output::Journal(JournalEntry::Finished(_))),
        "{out:?}"
    );
    assert_eq!(names(&out), ["say finished"]);
    assert_eq!(rig.states(), [(a, "finished")]);
    let out = rig.forget(a);
    assert_eq!(
        out[0],
        Output::Journal(JournalEntry::Forgotten { attempt: a })
    );
    assert_eq!(names(&out), ["discard"]);
    assert_eq!(rig.states(), []);
}

#[test]
fn the_same_assignment_runs_once_and_is_answered_by_state() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    let mut started = starts(&rig.assign(a));
    assert_eq!(rig.assign(a), []);
    started += starts(&rig.feed(Input::Journaled { attempt: a }));
    assert_eq!(rig.feed(Input::Journaled { attempt: a }), []);
    assert_eq!(rig.assign(a), []);
    rig.started(a);
    assert_eq!(names(&rig.assign(a)), ["say started"]);
    rig.ended(a, Outcome::Succeeded);
    assert_eq!(names(&rig.assign(a)), ["say finished"]);
    rig.forget(a);
    let out = rig.assign(a);
    assert_eq!(
        (started + starts(&out), declined(&out)),
        (1, Some(DeclineReason::Stale))
    );
}

#[test]
fn decline_older_attempts_of_a_job_and_take_newer_ones() {
    let mut rig = Rig::open();
    rig.run(attempt(1, 3));
    assert_eq!(
        declined(&rig.assign(attempt(1, 2))),
        Some(DeclineReason::Stale)
    );
    rig.ended(attempt(1, 3), Outcome::Succeeded);
    rig.forget(attempt(1, 3));
    assert_eq!(
        declined(&rig.assign(attempt(1, 1))),
        Some(DeclineReason::Stale)
    );
    assert_eq!(starts(&rig.begin(attempt(1, 4))), 1);
}

#[test]
fn an_attempt_that_the_journal_does_not_take_is_declined_for_good() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    let out = rig.feed(Input::JournalFailed { attempt: a });
    assert_eq!(declined(&out), Some(DeclineReason::JournalFailed));
    assert_eq!(rig.states(), []);
    assert_eq!(declined(&rig.assign(a)), Some(DeclineReason::Stale));
}

#[test]
fn decline_what_a_hello_has_promised_and_the_journal_did_not_take() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    rig.lose_session();
    assert_eq!(rig.hello().inventory.len(), 1);
    assert_eq!(
        declined(&rig.feed(Input::JournalFailed { attempt: a })),
        None
    );
    assert_eq!(
        declined(&rig.welcomed()),
        Some(DeclineReason::JournalFailed)
    );
    assert_eq!(rig.states(), []);
}

#[test]
fn say_nothing_of_what_the_hello_does_not_list() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    rig.lose_session();
    rig.feed(Input::JournalFailed { attempt: a });
    assert_eq!(rig.hello().inventory.len(), 0);
    assert_eq!(declined(&rig.welcomed()), None);
}

#[test]
fn decline_what_exceeds_the_inventory() {
    let mut rig = Rig::open();
    for job in 0..MAX_INVENTORY {
        assert_eq!(starts(&rig.begin(attempt(job as u128, 1))), 1);
    }
    let last = attempt(MAX_INVENTORY as u128, 1);
    assert_eq!(declined(&rig.assign(last)), Some(DeclineReason::Full));
    rig.ended(attempt(0, 1), Outcome::Succeeded);
    rig.forget(attempt(0, 1));
    assert_eq!(starts(&rig.begin(attempt(MAX_INVENTORY as u128, 2))), 1);
}

#[test]
fn a_stop_goes_to_what_runs_and_keeps_the_rest_from_starting() {
    let cases = [
        (StopCause::Cancelled, Outcome::Cancelled { exit: None }),
        (StopCause::TimedOut, Outcome::TimedOut { exit: None }),
    ];
    for (cause, outcome) in cases {
        let mut rig = Rig::open();
        let (a, b) = (attempt(1, 1), attempt(2, 1));
        rig.run(a);
        let grace = Duration::from_secs(3);
        assert_eq!(
            rig.hear(stop(a, cause)),
            [Output::Stop {
                attempt: a,
                cause,
                grace
            }]
        );
        rig.assign(b);
        assert_eq!(rig.hear(stop(b, cause)), []);
        let out = rig.feed(Input::Journaled { attempt: b });
        assert_eq!(names(&out), ["say finished"]);
        let [WorkerMessage::Finished(report)] = &sent(&out)[..] else {
            panic!("{out:?}")
        };
        assert_eq!((report.attempt, report.outcome), (b, outcome));
        assert_eq!(rig.hear(stop(b, cause)), [], "it is over");
        assert_eq!(rig.hear(stop(attempt(9, 1), cause)), [], "unknown");
    }
}

#[test]
fn an_attempt_that_is_forgotten_while_it_runs_is_killed_and_not_reported() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    assert_eq!(rig.forget(a), [Output::Kill { attempt: a }]);
    assert_eq!(rig.forget(a), []);
    assert_eq!(rig.states(), []);
    assert_eq!(declined(&rig.assign(a)), Some(DeclineReason::Stale));
    let outcome = Outcome::Infra {
        reason: InfraReason::WorkerFault,
    };
    assert_eq!(names(&rig.ended(a, outcome)), ["discard"]);
    assert_eq!(rig.ended(a, outcome), []);
}

#[test]
fn an_attempt_that_is_forgotten_before_it_is_journaled_never_starts() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    assert_eq!(rig.forget(a), []);
    assert_eq!(
        names(&rig.feed(Input::Journaled { attempt: a })),
        ["discard"]
    );
}
