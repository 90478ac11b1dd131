//! Somebody stops a job.

use std::time::Duration;

use jobyard_core::{
    ControlError, Exit, InfraReason, JobState, Outcome, StopCause, StopOptions, Verdict,
};
use jobyard_master::engine::Answer;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{
    GRACE, accepted, attempt, complete, ended, exit, hello, infra, job, lost_from, report, running,
};

const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_mins(1);
const FORCE: StopOptions = StopOptions::new(None, true);

const fn cancelled(exit: Option<Exit>) -> Outcome {
    Outcome::Cancelled { exit }
}

fn told(grace: Duration) -> Verdict {
    Verdict::Stop {
        cause: StopCause::Cancelled,
        grace,
    }
}

#[test]
fn a_stopped_job_that_waits_never_starts() {
    let mut cluster = Cluster::with_workers(1);
    cluster.submit(1);
    let step = cluster.stop(1);
    assert_eq!(step.answer(), Answer::Stopping(JobState::Finished));
    assert!(step.is_durable());
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(cancelled(None)));
    let (_, step) = cluster.connect(1, 1);
    assert!(step.assigned().is_empty());
}

#[test]
fn a_job_that_was_sent_is_told() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let step = cluster.stop(1);
    assert_eq!(step.answer(), Answer::Stopping(JobState::Stopping));
    assert_eq!(step.stops(), [(attempt(1, 1), GRACE)]);
    cluster.started(session, attempt(1, 1));
    assert_eq!(cluster.job(1).state, JobState::Stopping);
    assert!(cluster.job(1).attempts[0].started_at.is_some());
}

#[test]
fn a_job_that_runs_is_told_how_long_it_may_take() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    let step = cluster.stop_with(1, StopOptions::new(Some(LONG), false));
    assert_eq!(step.stops(), [(attempt(1, 1), LONG)]);
    let signaled = Exit::Signaled(15);
    let outcome = Outcome::Failed { exit: signaled };
    let step = cluster.finished(session, attempt(1, 1), outcome, 0);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(cancelled(Some(signaled))));
}

#[test]
fn once_a_stop_is_accepted_success_comes_too_late() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.stop(1);
    cluster.finished(session, attempt(1, 1), Outcome::Succeeded, 0);
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(cancelled(Some(Exit::Exited(0)))));
    assert_eq!(record.attempts[0].outcome, record.outcome);
}

#[test]
fn a_stop_that_comes_after_the_end_does_not_change_it() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    for options in [StopOptions::default(), FORCE] {
        let step = cluster.stop_with(1, options);
        let too_late = Answer::Stopping(JobState::Finished);
        assert_eq!(step.answer(), too_late, "its output is still to come");
        assert!(step.stops().is_empty());
        assert!(step.audit().is_empty());
        assert!(!step.is_durable());
    }
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn stopping_a_finished_job_is_no_error() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    cluster.pass_in_touch(session, TIMINGS.log_drain);
    for options in [StopOptions::default(), FORCE] {
        let step = cluster.stop_with(1, options);
        assert_eq!(step.answer(), Answer::Stopping(JobState::Finished));
        assert!(!step.is_durable());
    }
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_job_that_the_engine_does_not_hold_is_the_shells_affair() {
    let mut cluster = Cluster::new();
    let step = cluster.stop(1);
    let error = ControlError::no_job(job(1));
    assert_eq!(step.answer(), Answer::Refused(error));
}

#[test]
fn a_second_stop_can_only_shorten_the_grace() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.stop(1);
    let shorter = cluster.stop_with(1, StopOptions::new(Some(SHORT), false));
    assert_eq!(shorter.stops(), [(attempt(1, 1), SHORT)]);
    let longer = cluster.stop_with(1, StopOptions::new(Some(LONG), false));
    assert_eq!(longer.stops(), [(attempt(1, 1), SHORT)]);
    assert_eq!(cluster.job(1).stop_grace, Some(SHORT));
}

#[test]
fn a_worker_that_is_away_is_told_when_it_is_back() {
    for held in [accepted(attempt(1, 1)), running(attempt(1, 1))] {
        let (mut cluster, session) = Cluster::with_one(1);
        cluster.submit(1);
        cluster.started(session, attempt(1, 1));
        cluster.disconnect(session);
        let step = cluster.stop(1);
        assert_eq!(step.answer(), Answer::Stopping(JobState::Stopping));
        let (_, step) = cluster.connect_as(1, hello(1, vec![held]));
        assert_eq!(step.verdicts(), [(attempt(1, 1), told(GRACE))]);
        assert_eq!(cluster.job(1).state, JobState::Stopping);
    }
}

#[test]
fn a_stop_while_the_worker_is_away_does_not_stop_what_has_ended() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.disconnect(session);
    cluster.stop(1);
    let end = ended(report(attempt(1, 1), exit(4), 0));
    let (_, step) = cluster.connect_as(1, hello(1, vec![end]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    let outcome = cancelled(Some(Exit::Exited(4)));
    assert_eq!(cluster.job(1).outcome, Some(outcome));
}

#[test]
fn a_stopped_job_whose_worker_does_not_come_back_is_cancelled_and_not_run_again() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.stop(1);
    cluster.disconnect(session);
    let step = cluster.pass(TIMINGS.reconcile_for);
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    let step = cluster.log_settled(attempt(1, 1), lost_from(0));
    assert_eq!(step.finished(), [job(1)]);
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(cancelled(None)));
    assert!(
        record.attempts[0]
            .residue
            .as_ref()
            .is_some_and(|left| left.unconfirmed)
    );
}

#[test]
fn a_stopped_job_that_never_arrived_is_cancelled() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.disconnect(session);
    cluster.stop(1);
    let (_, step) = cluster.connect(1, 1);
    assert!(step.assigned().is_empty());
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(cancelled(None)));
}

#[test]
fn a_job_that_waits_for_another_attempt_is_stopped_like_one_that_waits() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    cluster.pass(TIMINGS.reconcile_for);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let step = cluster.stop(1);
    assert_eq!(step.finished(), [job(1)]);
    assert!(cluster.is_live(1), "the log of its attempt is still open");
    cluster.log_settled(attempt(1, 1), lost_from(0));
    assert!(!cluster.is_live(1));
    assert_eq!(cluster.job(1).outcome, Some(cancelled(None)));
}

#[test]
fn force_ends_an_attempt_in_the_books_at_once() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.submit(2);
    let step = cluster.stop_with(1, FORCE);
    assert!(step.stops().is_empty());
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    assert_eq!(step.assigned(), [attempt(2, 1)], "its slot is free");
    let record = cluster.job(1);
    let forced = infra(InfraReason::Forced);
    assert_eq!(record.attempts[0].outcome, Some(forced));
    assert!(
        record.attempts[0]
            .residue
            .as_ref()
            .is_some_and(|left| left.unconfirmed)
    );
    cluster.log_settled(attempt(1, 1), lost_from(20));
    assert_eq!(cluster.job(1).outcome, Some(forced));
    let late = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(late.forgotten(), [attempt(1, 1)]);
    assert_eq!(cluster.job(1).outcome, Some(forced));
}

#[test]
fn force_ends_what_a_stop_did_not() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.stop(1);
    cluster.stop_with(1, FORCE);
    let forced = infra(InfraReason::Forced);
    assert_eq!(cluster.job(1).attempts[0].outcome, Some(forced));
}

#[test]
fn a_forced_attempt_is_forgotten_by_a_worker_that_comes_back() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    cluster.stop_with(1, FORCE);
    // Even before its log is sealed at what is there.
    let (_, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Forget)]);
}

#[test]
fn stops_are_in_the_audit_trail() {
    let (mut cluster, _) = Cluster::with_one(1);
    cluster.submit(1);
    let entries = cluster.stop(1).audit();
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!((&*entry.who, &*entry.action), ("ann", "job.stop"));
    assert_eq!(entry.subject, job(1).to_string());
    assert_eq!(entry.result, "ok");
    assert_eq!(cluster.stop_with(1, FORCE).audit()[0].result, "forced");
}
