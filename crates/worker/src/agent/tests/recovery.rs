//! A worker that was there before.

use jobyard_core::{
    AttemptReport, DeclineReason, ExecutionTrace, HeldState, InfraReason, LogEnd, Outcome,
    Timestamp, WorkerMessage,
};

use super::rig::{Rig, accepted, attempt, boot, hello, name, names, sent};
use crate::agent::{AttemptEnd, Input, JournalEntry, Output};

const LOST: Outcome = Outcome::Infra {
    reason: InfraReason::WorkerRestarted,
};
const AT: Timestamp = Timestamp::from_micros(5);

#[test]
fn what_ran_under_this_boot_is_looked_for_and_never_started() {
    let (begun, unsure) = (attempt(1, 1), attempt(2, 1));
    let trace = Some(ExecutionTrace::new(42, 1000));
    let mut rig = Rig::new(vec![
        accepted(begun, boot(1)),
        JournalEntry::Started {
            attempt: begun,
            pid: Some(42),
            trace: trace.clone(),
            at: AT,
        },
        accepted(unsure, boot(1)),
    ]);
    let out = rig.start();
    assert_eq!(names(&out), ["adopt", "adopt", "connect"]);
    assert!(
        matches!(&out[0], Output::Adopt { assignment, started_at: Some(AT), trace: found }
            if assignment.attempt == begun && *found == trace),
        "{out:?}"
    );
    assert!(
        matches!(&out[1], Output::Adopt { assignment, started_at: None, trace: None }
            if assignment.attempt == unsure),
        "{out:?}"
    );
    let told: Vec<_> = hello(&out)
        .unwrap()
        .inventory
        .iter()
        .map(|held| name(&held.state))
        .collect();
    assert_eq!(told, ["running", "accepted"]);
    for attempt in [begun, unsure] {
        rig.feed(Input::AttemptEnded(AttemptEnd::new(attempt, LOST, AT)));
    }
    let said: Vec<_> = sent(&rig.welcomed());
    let is_report = |message: &&WorkerMessage| matches!(message, WorkerMessage::Finished(_));
    assert_eq!(said.iter().filter(is_report).count(), 2);
    let reason = DeclineReason::Stale;
    rig.forget(begun);
    let out = sent(&rig.assign(begun));
    assert_eq!(
        out,
        [WorkerMessage::Declined {
            attempt: begun,
            reason
        }]
    );
}

#[test]
fn what_ran_under_another_boot_is_reported_with_output_of_which_nobody_knows_the_end() {
    let a = attempt(1, 1);
    let mut rig = Rig::new(vec![
        accepted(a, boot(2)),
        JournalEntry::Started {
            attempt: a,
            pid: None,
            trace: None,
            at: AT,
        },
    ]);
    let out = rig.start();
    assert_eq!(names(&out), ["connect"]);
    let hello = hello(&out).unwrap();
    let HeldState::Finished(report) = &hello.inventory[0].state else {
        panic!("{hello:?}")
    };
    assert_eq!(
        (report.outcome, report.log, report.started_at),
        (LOST, LogEnd::UNKNOWN, Some(AT))
    );
    assert_eq!(names(&rig.welcomed()), ["opened", "heartbeat", "upload"]);
}

#[test]
fn reports_are_repeated_until_they_are_forgotten() {
    let (a, b) = (attempt(1, 1), attempt(2, 1));
    let report = AttemptReport::new(a, Outcome::Succeeded, AT);
    let mut rig = Rig::new(vec![
        accepted(a, boot(1)),
        accepted(b, boot(1)),
        JournalEntry::Finished(report.clone()),
        JournalEntry::Forgotten { attempt: b },
    ]);
    let mut hello = hello(&rig.start()).unwrap();
    for _ in 0..3 {
        assert_eq!(hello.inventory.len(), 1);
        assert_eq!(
            hello.inventory[0].state,
            HeldState::Finished(report.clone())
        );
        rig.welcomed();
        rig.lose_session();
        hello = rig.hello();
    }
    rig.welcomed();
    rig.forget(a);
    rig.lose_session();
    assert_eq!(rig.hello().inventory, []);
    rig.welcomed();
    let reason = DeclineReason::Stale;
    for attempt in [a, b] {
        let out = sent(&rig.assign(attempt));
        assert_eq!(out, [WorkerMessage::Declined { attempt, reason }]);
    }
}
