//! Attempts that follow others: who pays, how long the job waits, and what is said of it.

use std::collections::BTreeSet;
use std::time::Duration;

use jobyard_core::{
    DeclineReason, Exit, Happening, InfraReason, JobSpec, JobState, Outcome, RetryBudget,
    SessionId, StartFailure, Timestamp, WaitReason, WaitVerdict, WorkerMessage,
};
use jobyard_master::engine::{Answer, Timings};

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{MOMENT, attempt, draft, exit, hello, infra, job, just_before, running};

const FIRST: Duration = Duration::from_secs(8);
const MOST: Duration = Duration::from_secs(20);

const WAITING: Timings = Timings {
    retry_first: FIRST,
    retry_most: MOST,
    ..TIMINGS
};

const FAULT: Outcome = infra(InfraReason::WorkerFault);

fn retried(retries: u32) -> JobSpec {
    let mut spec = draft("{}");
    spec.retries = retries;
    spec
}

/// One worker with one slot, and retries that wait.
fn waiting() -> (Cluster, SessionId) {
    let mut cluster = Cluster::with_timings(WAITING).and_workers(1);
    let (session, _) = cluster.connect(1, 1);
    (cluster, session)
}

/// The same, and job 1 has failed once and waits.
fn in_backoff() -> (Cluster, SessionId) {
    let (mut cluster, session) = waiting();
    cluster.submit_spec(1, retried(9));
    cluster.started(session, attempt(1, 1));
    cluster.finished(session, attempt(1, 1), exit(7), 0);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    (cluster, session)
}

/// What is left of the wait of job 1.
fn left(cluster: &Cluster) -> Duration {
    let why = cluster.explain(1);
    assert_eq!(why.verdict, Some(WaitVerdict::NotNow));
    match &why.reasons[..] {
        [WaitReason::RetryWait { left, .. }] => *left,
        other => panic!("{other:?}"),
    }
}

#[test]
fn j5_a_job_that_fails_by_itself_runs_again_only_as_its_spec_asks() {
    for retries in 0..3 {
        let (mut cluster, session) = Cluster::with_one(1);
        cluster.submit_spec(1, retried(retries));
        for number in 1..=retries {
            let step = cluster.finished(session, attempt(1, number), exit(7), 0);
            assert_eq!(step.assigned(), [attempt(1, number + 1)]);
        }
        let step = cluster.finished(session, attempt(1, retries + 1), exit(7), 0);
        assert!(step.assigned().is_empty());
        let record = cluster.job(1);
        assert_eq!(record.outcome, Some(exit(7)));
        assert_eq!((record.own_failures, record.infra_failures), (retries, 0));
    }
}

#[test]
fn j5_only_failures_that_the_spec_names_are_worth_another_attempt() {
    let signaled = Outcome::of_exit(Exit::Signaled(9));
    let timed_out = Outcome::TimedOut {
        exit: Some(Exit::Signaled(15)),
    };
    let not_found = Outcome::StartFailed {
        cause: StartFailure::NotFound,
    };
    for (code, outcome) in [
        (75, exit(75)),
        (137, signaled),
        (124, timed_out),
        (127, not_found),
    ] {
        for named in [true, false] {
            let (mut cluster, session) = Cluster::with_one(1);
            let mut spec = retried(1);
            spec.retry_on = BTreeSet::from([if named { code } else { 99 }]);
            cluster.submit_spec(1, spec);
            let step = cluster.finished(session, attempt(1, 1), outcome, 0);
            assert_eq!(step.assigned().len(), usize::from(named), "{outcome}");
        }
    }
}

#[test]
fn j5_the_budgets_are_separate() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = retried(1);
    (spec.infra_retries, spec.retry_on) = (1, BTreeSet::from([7]));
    cluster.submit_spec(1, spec);
    let endings = [(FAULT, (1, 0)), (exit(7), (1, 1)), (FAULT, (1, 1))];
    for (number, (outcome, paid)) in (1..).zip(endings) {
        cluster.finished(session, attempt(1, number), outcome, 0);
        let record = cluster.job(1);
        assert_eq!((record.infra_failures, record.own_failures), paid);
    }
    assert_eq!(cluster.job(1).outcome, Some(FAULT), "what happened last");
}

#[test]
fn what_ended_well_or_was_stopped_does_not_run_again() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit_spec(1, retried(9));
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(exit(0)));
    cluster.submit_spec(2, retried(9));
    cluster.started(session, attempt(2, 1));
    cluster.stop(2);
    let step = cluster.finished(session, attempt(2, 1), exit(7), 0);
    assert!(step.assigned().is_empty(), "I8: no attempt after a stop");
    assert_eq!(cluster.job(2).state, JobState::Finished);
}

#[test]
fn j6_a_job_that_may_not_run_twice_does_not_for_any_budget() {
    for outcome in [exit(7), FAULT, Outcome::TimedOut { exit: None }] {
        let (mut cluster, session) = Cluster::with_one(1);
        let mut spec = retried(9);
        (spec.infra_retries, spec.repeatable) = (9, false);
        cluster.submit_spec(1, spec);
        cluster.started(session, attempt(1, 1));
        let step = cluster.finished(session, attempt(1, 1), outcome, 0);
        assert!(step.assigned().is_empty(), "{outcome}");
        assert_eq!(cluster.job(1).outcome, Some(outcome));
    }
}

#[test]
fn j6_a_job_that_may_not_run_twice_is_tried_again_if_it_did_not_start() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = retried(1);
    spec.repeatable = false;
    cluster.submit_spec(1, spec);
    let cause = StartFailure::NotFound;
    let failed = Outcome::StartFailed { cause };
    let step = cluster.finished(session, attempt(1, 1), failed, 0);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
}

#[test]
fn j5_each_attempt_says_which_ending_it_follows_and_who_paid() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit_spec(1, retried(1));
    cluster.finished(session, attempt(1, 1), exit(7), 0);
    cluster.finished(session, attempt(1, 2), FAULT, 0);
    let declined = WorkerMessage::Declined {
        attempt: attempt(1, 3),
        reason: DeclineReason::Full,
    };
    cluster.say(session, declined);
    cluster.restart();
    cluster.connect(1, 1);
    let attempts = cluster.job(1).attempts;
    assert_eq!(attempts[0].retry, None);
    let never = infra(InfraReason::NeverStarted);
    let paid = [
        (exit(7), RetryBudget::User),
        (FAULT, RetryBudget::Infra),
        (never, RetryBudget::Free),
    ];
    for (at, (outcome, budget)) in paid.into_iter().enumerate() {
        let retry = attempts[at + 1].retry.expect("a reason");
        assert_eq!(retry.after, attempts[at].id.number);
        assert_eq!((retry.outcome, retry.budget), (outcome, budget));
    }
    let requeued: Vec<RetryBudget> = cluster
        .events()
        .iter()
        .filter_map(|event| match event {
            Happening::JobRequeued { budget, .. } => Some(*budget),
            _ => None,
        })
        .collect();
    assert_eq!(requeued, paid.map(|(_, budget)| budget));
}

#[test]
fn j5_a_retry_waits_twice_as_long_each_time_up_to_the_most() {
    let (mut cluster, session) = in_backoff();
    for (number, whole) in (2..).zip([FIRST, FIRST * 2, MOST, MOST]) {
        let wait = left(&cluster);
        assert!(whole / 2 <= wait && wait <= whole, "{number}: {wait:?}");
        let early = cluster.pass_in_touch(session, just_before(wait));
        assert!(early.assigned().is_empty());
        let step = cluster.pass(MOMENT);
        assert_eq!(step.assigned(), [attempt(1, number)]);
        cluster.finished(session, attempt(1, number), exit(7), 0);
    }
}

#[test]
fn a_job_that_waits_for_its_retry_is_queued_and_says_when_it_is_due() {
    let (mut cluster, session) = in_backoff();
    let wait = left(&cluster);
    let record = cluster.job(1);
    assert_eq!(record.retry_left, Some(wait));
    let due = cluster.now.wall.as_micros() + i64::try_from(wait.as_micros()).expect("short");
    assert_eq!(record.retry_at.map(Timestamp::as_micros), Some(due));
    assert_eq!(cluster.engine.tally().jobs["queued"], 1);
    cluster.pass_in_touch(session, wait);
    let record = cluster.job(1);
    assert_eq!((record.retry_left, record.retry_at), (None, None));
}

#[test]
fn how_long_it_waits_is_decided_by_job_and_attempt_alone() {
    let ((one, _), (other, _)) = (in_backoff(), in_backoff());
    assert_eq!(left(&one), left(&other));
}

#[test]
fn others_are_not_held_up_and_it_comes_back_in_its_old_place() {
    let (mut cluster, session) = in_backoff();
    for n in 2..=3 {
        cluster.submit(n);
    }
    assert_eq!(cluster.job(2).state, JobState::Assigned, "its slot is free");
    cluster.pass_in_touch(session, FIRST);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let step = cluster.finished(session, attempt(2, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(1, 2)], "before job 3");
}

#[test]
fn what_never_began_goes_elsewhere_at_once() {
    let (mut cluster, session) = waiting();
    cluster.submit(1);
    cluster.disconnect(session);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
}

#[test]
fn r2_a_restart_neither_skips_the_wait_nor_begins_it_anew() {
    let (mut cluster, session) = in_backoff();
    cluster.pass_in_touch(session, FIRST);
    cluster.finished(session, attempt(1, 2), exit(7), 0);
    let wait = left(&cluster);
    let passed = wait * 3 / 4;
    cluster.pass_in_touch(session, passed);
    cluster.restart();
    let (session, step) = cluster.connect(1, 1);
    assert!(step.assigned().is_empty());
    let after = left(&cluster);
    let before = wait.saturating_sub(passed);
    assert!(before <= after, "not skipped: {before:?}, {after:?}");
    let given_back = after.saturating_sub(before);
    assert!(given_back <= Duration::from_secs(3), "{given_back:?}");
    let due = cluster.now.wall.as_micros() + i64::try_from(after.as_micros()).expect("short");
    let shown = cluster.job(1).retry_at.expect("it waits").as_micros();
    assert_eq!(shown, due, "what is shown counts from the restart too");
    cluster.pass_in_touch(session, just_before(after));
    assert_eq!(cluster.job(1).state, JobState::Queued);
    assert_eq!(cluster.pass(MOMENT).assigned(), [attempt(1, 3)]);
}

#[test]
fn r2_a_budget_that_was_used_stays_used_after_a_restart() {
    let (mut cluster, session) = waiting();
    cluster.submit_spec(1, retried(1));
    cluster.finished(session, attempt(1, 1), exit(7), 0);
    cluster.restart();
    let (session, _) = cluster.connect(1, 1);
    cluster.pass_in_touch(session, FIRST);
    cluster.finished(session, attempt(1, 2), exit(7), 0);
    assert_eq!(cluster.job(1).outcome, Some(exit(7)));
}

#[test]
fn j8_a_job_that_waits_for_its_retry_is_cancelled_at_once() {
    let (mut cluster, session) = in_backoff();
    let step = cluster.stop(1);
    assert_eq!(step.answer(), Answer::Stopping(JobState::Finished));
    assert_eq!(step.finished(), [job(1)]);
    let cancelled = Outcome::Cancelled { exit: None };
    assert_eq!(cluster.job(1).outcome, Some(cancelled));
    let later = cluster.pass_in_touch(session, MOST);
    assert!(later.assigned().is_empty(), "I8: nothing more comes of it");
    cluster.restart();
    let (_, step) = cluster.connect(1, 1);
    assert!(step.assigned().is_empty());
}

#[test]
fn a_time_to_begin_passes_while_a_job_that_has_not_begun_waits_for_its_retry() {
    let (mut cluster, session) = waiting();
    let mut spec = draft("{}");
    spec.queue_timeout = Some(FIRST / 4);
    cluster.submit_spec(1, spec);
    let declined = WorkerMessage::Declined {
        attempt: attempt(1, 1),
        reason: DeclineReason::JournalFailed,
    };
    cluster.say(session, declined);
    assert!(left(&cluster) >= FIRST / 2);
    let step = cluster.pass(FIRST / 4);
    assert_eq!(step.finished(), [job(1)]);
    let timed_out = Outcome::TimedOut { exit: None };
    assert_eq!(cluster.job(1).outcome, Some(timed_out));
    assert!(cluster.pass_in_touch(session, MOST).assigned().is_empty());
}

#[test]
fn a_stale_report_does_not_shorten_the_wait() {
    let (mut cluster, session) = in_backoff();
    let before = left(&cluster);
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    let step = cluster.started(session, attempt(1, 1));
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(left(&cluster), before);
}
