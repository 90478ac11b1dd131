//! Jobs that have to start by a time of their own.

use std::time::Duration;

use jobyard_core::{DeclineReason, JobSpec, JobState, Outcome, WorkerMessage};

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{MOMENT, attempt, draft, exit, hello, infra, job, just_before};

const PATIENCE: Duration = Duration::from_hours(1);
const TIMED_OUT: Outcome = Outcome::TimedOut { exit: None };

fn impatient() -> JobSpec {
    let mut spec = draft("{}");
    spec.queue_timeout = Some(PATIENCE);
    spec
}

#[test]
fn a_job_that_was_never_started_ends_at_its_time() {
    let mut cluster = Cluster::new();
    cluster.submit_spec(1, impatient());
    cluster.submit(2);
    cluster.pass(just_before(PATIENCE));
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let step = cluster.pass(MOMENT);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(TIMED_OUT));
    assert!(!cluster.is_live(1));
    assert_eq!(
        cluster.job(2).state,
        JobState::Queued,
        "it has no such time"
    );
}

#[test]
fn a_job_that_began_in_time_goes_on() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit_spec(1, impatient());
    cluster.started(session, attempt(1, 1));
    assert_eq!(cluster.job(1).queue_left, None);
    cluster.pass_in_touch(session, 2 * PATIENCE);
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_job_that_comes_back_after_a_start_may_wait_for_as_long_as_it_takes() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit_spec(1, impatient());
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    cluster.pass(TIMINGS.reconcile_for);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    cluster.pass(2 * PATIENCE);
    assert_eq!(cluster.job(1).state, JobState::Queued);
}

#[test]
fn a_job_that_was_just_sent_may_still_begin() {
    let mut cluster = Cluster::with_workers(1);
    cluster.submit_spec(1, impatient());
    cluster.pass(just_before(PATIENCE));
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 1)]);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).state, JobState::Assigned);
    cluster.started(session, attempt(1, 1));
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_job_that_comes_back_too_late_without_a_start_ends() {
    let mut cluster = Cluster::with_workers(1);
    cluster.submit_spec(1, impatient());
    cluster.pass(just_before(PATIENCE));
    let (session, _) = cluster.connect(1, 1);
    cluster.pass(MOMENT);
    let declined = WorkerMessage::Declined {
        attempt: attempt(1, 1),
        reason: DeclineReason::Full,
    };
    let step = cluster.say(session, declined);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(TIMED_OUT));
}

#[test]
fn a_job_that_comes_back_in_time_without_a_start_waits_on_until_its_time() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit_spec(1, impatient());
    let declined = WorkerMessage::Declined {
        attempt: attempt(1, 1),
        reason: DeclineReason::Full,
    };
    cluster.say(session, declined);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let never_started = infra(jobyard_core::InfraReason::NeverStarted);
    assert_eq!(cluster.job(1).attempts[0].outcome, Some(never_started));
    cluster.pass(PATIENCE);
    assert_eq!(cluster.job(1).outcome, Some(TIMED_OUT));
}

#[test]
fn what_is_left_is_written_now_and_then_and_counts_after_a_restart() {
    let mut cluster = Cluster::new();
    cluster.submit_spec(1, impatient());
    cluster.pass(PATIENCE / 2);
    assert_eq!(cluster.job(1).queue_left, Some(PATIENCE / 2));
    cluster.pass(PATIENCE / 8);
    cluster.restart();
    // A restart gives back what has passed since the last write.
    cluster.pass(just_before(PATIENCE / 2));
    assert_eq!(cluster.job(1).state, JobState::Queued);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).outcome, Some(TIMED_OUT));
}

#[test]
fn a_job_that_was_sent_before_a_restart_still_has_its_time() {
    let time = TIMINGS.reconcile_for / 2;
    let (mut cluster, _) = Cluster::with_one(1);
    let mut spec = impatient();
    spec.queue_timeout = Some(time);
    cluster.submit_spec(1, spec);
    cluster.restart();
    cluster.pass(time);
    assert_eq!(cluster.job(1).state, JobState::Assigned);
    let (_, step) = cluster.connect_as(1, hello(1, Vec::new()));
    assert_eq!(step.finished(), [job(1)], "it never arrived");
    assert_eq!(cluster.job(1).outcome, Some(TIMED_OUT));
}

#[test]
fn a_short_time_is_not_written_more_often_than_needed() {
    let mut cluster = Cluster::new();
    let mut spec = impatient();
    spec.queue_timeout = Some(Duration::from_secs(50));
    cluster.submit_spec(1, spec);
    let step = cluster.pass(just_before(Duration::from_secs(50)));
    assert!(!step.is_durable());
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).outcome, Some(TIMED_OUT));
}

#[test]
fn a_stopped_job_is_cancelled_and_nothing_more_comes_of_its_time() {
    let mut cluster = Cluster::new();
    cluster.submit_spec(1, impatient());
    cluster.stop(1);
    let cancelled = Outcome::Cancelled { exit: None };
    assert_eq!(cluster.job(1).outcome, Some(cancelled));
    let step = cluster.pass(2 * PATIENCE);
    assert!(step.finished().is_empty());
}
