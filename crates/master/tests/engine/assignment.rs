//! The way of a job: sent, begun, over, and its output.

use jobyard_core::{
    DeclineReason, InfraReason, JobState, LogState, Outcome, StartFailure, WorkerMessage,
};
use jobyard_master::engine::Effect;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{attempt, complete, draft, exit, infra, job, lost_from, report, worker};

#[test]
fn an_assignment_leaves_after_its_commit_and_with_the_right_to_upload() {
    let (mut cluster, session) = Cluster::with_one(1);
    let step = cluster.submit(1);
    assert!(step.is_durable());
    assert_eq!(step.assigned_to(session), [attempt(1, 1)]);
    let grant = Effect::Grant {
        attempt: attempt(1, 1),
        worker: worker(1),
    };
    assert!(step.effects.contains(&grant));
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Assigned, "sent is not begun");
    assert_eq!(record.attempts[0].worker, worker(1));
    assert_eq!(record.attempts[0].started_at, None);
}

#[test]
fn a_job_runs_once_its_worker_says_so() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Running);
    assert_eq!(record.attempts[0].pid, Some(4));
    let again = cluster.started(session, attempt(1, 1));
    assert_eq!(
        again,
        crate::step::Step::default(),
        "told twice, noted once"
    );
}

#[test]
fn a_freed_slot_is_taken_in_the_same_step() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    assert!(cluster.submit(2).assigned().is_empty(), "one slot only");
    cluster.started(session, attempt(1, 1));
    let step = cluster.finished(session, attempt(1, 1), exit(7), 300);
    assert_eq!(step.assigned_to(session), [attempt(2, 1)]);
    assert_eq!(cluster.job(2).state, JobState::Assigned);
}

#[test]
fn a_job_that_said_nothing_is_finished_at_once() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(step.revoked(), [attempt(1, 1)]);
    assert_eq!(step.finished(), [job(1)]);
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Finished);
    assert_eq!(record.outcome, Some(Outcome::Succeeded));
    assert_eq!(record.attempts[0].log, LogState::Complete);
    assert!(!cluster.is_live(1));
}

#[test]
fn a_job_waits_for_its_output_and_its_worker_keeps_it() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    let step = cluster.finished(session, attempt(1, 1), exit(7), 300);
    assert!(step.forgotten().is_empty());
    assert!(step.finished().is_empty());
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Running);
    assert_eq!(record.outcome, None);
    assert_eq!(record.attempts[0].outcome, Some(exit(7)));

    let step = cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(step.revoked(), [attempt(1, 1)]);
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(exit(7)));
    assert_eq!(record.attempts[0].log, LogState::Complete);
    assert_eq!(record.attempts[0].log_bytes, 300);
    assert!(!cluster.is_live(1));
}

#[test]
fn a_job_does_not_wait_for_its_output_for_ever() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    cluster.pass_in_touch(session, TIMINGS.log_drain);
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Finished);
    assert_eq!(record.attempts[0].log, LogState::Uploading);
    assert!(cluster.is_live(1), "its output is still to come");

    let step = cluster.log_settled(attempt(1, 1), lost_from(120));
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(exit(0)));
    assert_eq!(record.attempts[0].log, LogState::LostFrom(120));
    assert_eq!(record.attempts[0].log_bytes, 120);
    assert!(!cluster.is_live(1));
}

#[test]
fn output_may_be_complete_before_the_end_is_reported() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    let early = cluster.log_settled(attempt(1, 1), complete(300));
    assert!(early.finished().is_empty());
    let step = cluster.finished(session, attempt(1, 1), exit(0), 300);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(cluster.job(1).attempts[0].log_bytes, 300);
}

#[test]
fn a_report_that_is_repeated_changes_nothing() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    let again = cluster.finished(session, attempt(1, 1), exit(3), 300);
    assert!(!again.is_durable());
    assert!(again.forgotten().is_empty(), "its output is awaited");
    cluster.log_settled(attempt(1, 1), complete(300));
    let late = cluster.finished(session, attempt(1, 1), exit(3), 300);
    assert_eq!(late.forgotten(), [attempt(1, 1)]);
    assert_eq!(cluster.job(1).outcome, Some(exit(0)));
}

#[test]
fn failures_of_the_job_itself_are_final() {
    for outcome in [
        exit(1),
        Outcome::TimedOut { exit: None },
        Outcome::StartFailed {
            cause: StartFailure::NotFound,
        },
    ] {
        let (mut cluster, session) = Cluster::with_one(1);
        cluster.submit(1);
        let step = cluster.finished(session, attempt(1, 1), outcome, 0);
        assert!(step.assigned().is_empty());
        assert_eq!(cluster.job(1).outcome, Some(outcome));
    }
}

#[test]
fn failures_of_the_infrastructure_run_again_until_the_budget_is_used_up() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = draft("{}");
    spec.infra_retries = 2;
    cluster.submit_spec(1, spec);
    let fault = infra(InfraReason::WorkerFault);
    for number in 1..=2 {
        let step = cluster.finished(session, attempt(1, number), fault, 0);
        assert_eq!(step.assigned(), [attempt(1, number + 1)]);
    }
    let step = cluster.finished(session, attempt(1, 3), fault, 0);
    assert!(step.assigned().is_empty());
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(fault));
    assert_eq!(record.attempts.len(), 3);
}

#[test]
fn the_output_of_an_earlier_attempt_arrives_while_the_next_one_runs() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let fault = infra(InfraReason::WorkerFault);
    let step = cluster.finished(session, attempt(1, 1), fault, 300);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
    let step = cluster.finished(session, attempt(1, 2), exit(0), 0);
    assert_eq!(step.finished(), [job(1)]);
    assert!(cluster.is_live(1), "the first output is still to come");
    let step = cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(cluster.job(1).attempts[0].log_bytes, 300);
    assert!(!cluster.is_live(1));
}

#[test]
fn a_declined_attempt_costs_nothing_and_is_not_given_straight_back() {
    let mut cluster = Cluster::with_workers(2);
    let (first, _) = cluster.connect(1, 1);
    let mut spec = draft("{}");
    (spec.infra_retries, spec.repeatable) = (0, false);
    cluster.submit_spec(1, spec);
    let declined = |reason| WorkerMessage::Declined {
        attempt: attempt(1, 1),
        reason,
    };
    let step = cluster.say(first, declined(DeclineReason::Full));
    assert!(step.assigned().is_empty(), "it has said that it is full");
    assert_eq!(cluster.job(1).state, JobState::Queued);
    assert_eq!(cluster.job(1).infra_failures, 0);
    let (second, step) = cluster.connect(2, 1);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
}

#[test]
fn a_worker_that_takes_jobs_again_gets_what_waits() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.say(
        session,
        WorkerMessage::Declined {
            attempt: attempt(1, 1),
            reason: DeclineReason::Full,
        },
    );
    let step = cluster.say(session, WorkerMessage::Accepting(true));
    assert_eq!(step.assigned(), [attempt(1, 2)]);
}

#[test]
fn a_worker_without_a_journal_costs_the_budget() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = draft("{}");
    spec.infra_retries = 0;
    cluster.submit_spec(1, spec);
    cluster.say(
        session,
        WorkerMessage::Declined {
            attempt: attempt(1, 1),
            reason: DeclineReason::JournalFailed,
        },
    );
    let no_resources = infra(InfraReason::NoResources);
    assert_eq!(cluster.job(1).outcome, Some(no_resources));
}

#[test]
fn a_job_that_may_run_once_runs_elsewhere_if_its_worker_had_no_journal() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = draft("{}");
    spec.repeatable = false;
    cluster.submit_spec(1, spec);
    let step = cluster.say(
        session,
        WorkerMessage::Declined {
            attempt: attempt(1, 1),
            reason: DeclineReason::JournalFailed,
        },
    );
    assert_eq!(step.assigned(), [attempt(1, 2)]);
}

#[test]
fn a_worker_that_declines_for_ever_ends_the_job() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let mut number = 1;
    while cluster.job(1).state != JobState::Finished {
        assert!(number < 1_000, "it has to end");
        cluster.say(
            session,
            WorkerMessage::Declined {
                attempt: attempt(1, number),
                reason: DeclineReason::Stopping,
            },
        );
        cluster.say(session, WorkerMessage::Accepting(true));
        number += 1;
    }
    let never = infra(InfraReason::NeverStarted);
    assert_eq!(cluster.job(1).outcome, Some(never));
}

#[test]
fn what_the_worker_measured_is_kept() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let mut report = report(attempt(1, 1), exit(0), 0);
    report.residue.unconfirmed = false;
    report.log.dropped = 9;
    report.started_at = Some(report.finished_at);
    let (at, message) = (report.finished_at, WorkerMessage::Finished(report));
    cluster.say(session, message);
    let known = &cluster.job(1).attempts[0];
    assert_eq!(known.finished_at, Some(at));
    assert_eq!(known.started_at, Some(at));
    assert_eq!(known.log_dropped, 9);
    assert!(known.residue.is_some());
}
