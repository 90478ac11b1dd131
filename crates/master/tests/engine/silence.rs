//! A worker is not heard: its session ends, and its attempts are waited for.

use jobyard_core::{
    Contact, InfraReason, JobState, MasterMessage, Verdict, WorkerMessage, WorkerState,
};

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{
    MOMENT, attempt, complete, draft, exit, hello, infra, job, just_before, lost_from, report,
    running, worker,
};

#[test]
fn a_worker_without_a_session_gets_nothing() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.disconnect(session);
    assert!(cluster.submit(1).assigned().is_empty());
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.contact, Contact::Silent);
    assert_eq!(shown.state(), WorkerState::Inactive);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}

#[test]
fn a_worker_that_is_back_in_time_keeps_its_job() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    let step = cluster.pass(just_before(TIMINGS.reconcile_for));
    assert!(!step.is_durable());
    let (_, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    cluster.pass_in_touch(step.welcome().session, TIMINGS.reconcile_for);
    assert_eq!(cluster.job(1).state, JobState::Running);
}

#[test]
fn a_lost_worker_costs_a_retry_and_the_job_runs_elsewhere() {
    let mut cluster = Cluster::with_workers(2);
    let (first, _) = cluster.connect(1, 1);
    cluster.submit(1);
    cluster.started(first, attempt(1, 1));
    cluster.disconnect(first);
    let step = cluster.pass(TIMINGS.reconcile_for);
    assert_eq!(step.abandoned(), [attempt(1, 1)], "once");
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Queued);
    assert_eq!(record.infra_failures, 1);
    let lost = infra(InfraReason::WorkerLost);
    assert_eq!(record.attempts[0].outcome, Some(lost));
    assert!(
        record.attempts[0]
            .residue
            .as_ref()
            .is_some_and(|left| left.unconfirmed)
    );
    let (second, step) = cluster.connect(2, 1);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
}

#[test]
fn lost_workers_use_the_budget_up() {
    let mut cluster = Cluster::with_workers(1);
    let mut spec = draft("{}");
    spec.infra_retries = 1;
    cluster.submit_spec(1, spec);
    for number in 1..=2 {
        let (session, step) = cluster.connect(1, 1);
        assert_eq!(step.assigned(), [attempt(1, number)]);
        cluster.started(session, attempt(1, number));
        cluster.disconnect(session);
        cluster.pass(TIMINGS.reconcile_for);
        cluster.log_settled(attempt(1, number), lost_from(0));
    }
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Finished);
    assert_eq!(record.outcome, Some(infra(InfraReason::WorkerLost)));
    assert!(!cluster.is_live(1));
}

#[test]
fn a_session_that_says_nothing_for_a_lease_is_closed() {
    let (mut cluster, session) = Cluster::with_one(1);
    let step = cluster.pass(just_before(TIMINGS.lease));
    assert!(step.closed().is_empty());
    let step = cluster.pass(MOMENT);
    assert_eq!(step.closed(), [(session, None)]);
    assert!(cluster.submit(1).assigned().is_empty());
    let late = cluster.say(session, WorkerMessage::Heartbeat);
    assert!(late.sent(session).is_empty());
}

#[test]
fn any_message_extends_the_lease_and_a_heartbeat_is_answered() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.pass(just_before(TIMINGS.lease));
    let step = cluster.say(session, WorkerMessage::Heartbeat);
    assert_eq!(step.sent(session), [MasterMessage::Heartbeat]);
    assert!(!step.is_durable(), "heartbeats are not worth a commit");
    let step = cluster.pass(just_before(TIMINGS.lease));
    assert!(step.closed().is_empty());
    cluster.say(session, WorkerMessage::Accepting(true));
    let step = cluster.pass(just_before(TIMINGS.lease));
    assert!(step.closed().is_empty());
    assert_eq!(cluster.pass(MOMENT).closed(), [(session, None)]);
}

#[test]
fn the_wait_counts_from_the_last_message_and_not_from_the_end_of_the_lease() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    let step = cluster.pass(just_before(TIMINGS.reconcile_for));
    assert_eq!(step.closed(), [(session, None)]);
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).state, JobState::Queued);
}

#[test]
fn output_of_a_worker_that_stays_away_is_given_up() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    cluster.disconnect(session);
    let step = cluster.pass(TIMINGS.reconcile_for);
    assert_eq!(step.finished(), [job(1)], "after the drain");
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    assert!(cluster.is_live(1));
    cluster.log_settled(attempt(1, 1), lost_from(7));
    assert!(!cluster.is_live(1));
    assert_eq!(cluster.job(1).outcome, Some(exit(0)));
}

#[test]
fn output_that_came_in_time_is_not_given_up() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let end = WorkerMessage::Finished(report(attempt(1, 1), exit(0), 300));
    cluster.say(session, end);
    cluster.disconnect(session);
    cluster.log_settled(attempt(1, 1), complete(300));
    let step = cluster.pass(TIMINGS.reconcile_for * 2);
    assert!(step.abandoned().is_empty());
}

#[test]
fn the_last_contact_survives_the_end_of_the_session() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.say(session, WorkerMessage::Heartbeat);
    let heard = cluster.now.wall;
    cluster.pass(TIMINGS.lease);
    assert_eq!(cluster.worker(1).last_contact, Some(heard));
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.last_contact, Some(heard));
}
