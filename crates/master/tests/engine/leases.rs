//! Jobs that must not outlive the lease of their worker: two attempts of one never run at the same time.

use std::time::Duration;

use jobyard_core::{
    FEATURE_LEASES, Hello, InfraReason, JobSpec, JobState, OnDisconnect, SessionId, Verdict,
    WaitReason, WaitVerdict, WorkerCommand,
};
use jobyard_master::engine::Timings;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{
    MOMENT, attempt, boot, draft, exit, hello, infra, just_before, lost_from, name, report, running,
};

const OVER: Duration = TIMINGS.lease.saturating_add(TIMINGS.grace);

fn stopping() -> JobSpec {
    let mut spec = draft("{}");
    spec.on_disconnect = OnDisconnect::Stop;
    spec
}

/// Two workers; the first runs job 1, which must not outlive its lease.
fn two() -> (Cluster, SessionId, SessionId) {
    two_with(TIMINGS)
}

fn two_with(timings: Timings) -> (Cluster, SessionId, SessionId) {
    let mut cluster = Cluster::with_timings(timings).and_workers(2);
    let (first, _) = cluster.connect(1, 1);
    cluster.submit_spec(1, stopping());
    cluster.started(first, attempt(1, 1));
    let (second, _) = cluster.connect(2, 1);
    (cluster, first, second)
}

fn without_leases() -> Hello {
    let mut old = hello(1, Vec::new());
    old.protocol.features.remove(FEATURE_LEASES);
    old
}

#[test]
fn i5_after_a_hangup_it_runs_elsewhere_once_lease_and_grace_are_over() {
    let (mut cluster, first, second) = two();
    cluster.disconnect(first);
    let early = cluster.pass_in_touch(second, just_before(OVER));
    assert!(early.assigned().is_empty());
    assert_eq!(cluster.job(1).state, JobState::Running);
    let step = cluster.pass(MOMENT);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
    let lost = &cluster.job(1).attempts[0];
    assert_eq!(lost.outcome, Some(infra(InfraReason::WorkerLost)));
    let left = lost.residue.as_ref().expect("it is told of");
    assert!(left.unconfirmed, "nobody has seen its end");
    assert_eq!(cluster.job(1).infra_failures, 1);
}

#[test]
fn i5_after_silence_it_runs_elsewhere_once_lease_and_grace_are_over() {
    let (mut cluster, first, second) = two();
    let early = cluster.pass_in_touch(second, just_before(OVER));
    assert_eq!(early.closed(), [(first, None)]);
    assert!(early.assigned().is_empty());
    let step = cluster.pass(MOMENT);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
}

#[test]
fn r2_the_lease_counts_from_what_was_heard_last() {
    let (mut cluster, first, second) = two();
    cluster.pass(TIMINGS.heartbeat);
    cluster.say(first, jobyard_core::WorkerMessage::Heartbeat);
    cluster.say(second, jobyard_core::WorkerMessage::Heartbeat);
    cluster.pass(TIMINGS.heartbeat);
    cluster.disconnect(first);
    let left = OVER.saturating_sub(TIMINGS.heartbeat);
    let early = cluster.pass_in_touch(second, just_before(left));
    assert!(early.assigned().is_empty());
    assert_eq!(cluster.pass(MOMENT).assigned(), [attempt(1, 2)]);
}

#[test]
fn i5_an_attempt_that_is_not_known_to_have_begun_is_waited_for_as_long() {
    let mut cluster = Cluster::with_workers(2);
    let (first, _) = cluster.connect(1, 1);
    cluster.submit_spec(1, stopping());
    let (second, _) = cluster.connect(2, 1);
    cluster.disconnect(first);
    cluster.pass_in_touch(second, just_before(OVER));
    assert_eq!(cluster.job(1).state, JobState::Assigned);
    assert_eq!(cluster.pass(MOMENT).assigned(), [attempt(1, 2)]);
}

#[test]
fn each_job_of_a_worker_is_waited_for_as_it_asks() {
    let (mut cluster, session) = Cluster::with_one(2);
    cluster.submit_spec(1, stopping());
    cluster.submit(2);
    cluster.started(session, attempt(1, 1));
    cluster.started(session, attempt(2, 1));
    cluster.disconnect(session);
    cluster.pass(OVER);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    assert_eq!(cluster.job(2).state, JobState::Running);
    cluster.pass(TIMINGS.reconcile_for.saturating_sub(OVER));
    assert_eq!(cluster.job(2).state, JobState::Queued);
}

#[test]
fn i4_an_attempt_that_was_given_up_is_revoked_and_its_report_refused() {
    let (mut cluster, first, _) = two();
    cluster.disconnect(first);
    cluster.pass(OVER);
    let (session, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Forget)]);
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    let lost = infra(InfraReason::WorkerLost);
    assert_eq!(cluster.job(1).attempts[0].outcome, Some(lost));
    assert_ne!(cluster.job(1).state, JobState::Finished);
}

#[test]
fn what_its_worker_ended_in_time_is_paid_by_the_infrastructure() {
    let (mut cluster, first, second) = two();
    cluster.disconnect(first);
    cluster.pass_in_touch(second, TIMINGS.lease);
    let expired = infra(InfraReason::LeaseExpired);
    let ended = crate::vocabulary::ended(report(attempt(1, 1), expired, 0));
    let (_, step) = cluster.connect_as(1, hello(0, vec![ended]));
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
    let record = cluster.job(1);
    assert_eq!((record.infra_failures, record.own_failures), (1, 0));
    assert_eq!(record.attempts[0].outcome, Some(expired));
    let paid = record.attempts[1].retry.map(|retry| retry.outcome);
    assert_eq!(paid, Some(expired));
}

#[test]
fn a_worker_that_is_back_before_its_lease_is_over_keeps_its_job() {
    let (mut cluster, first, second) = two();
    cluster.disconnect(first);
    cluster.pass_in_touch(second, TIMINGS.lease);
    let (back, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    cluster.pass_in_touch(back, OVER * 2);
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.disconnect(back);
    cluster.pass(just_before(OVER));
    assert_eq!(cluster.job(1).state, JobState::Running, "a new lease");
}

#[test]
fn i5_a_master_that_starts_takes_every_lease_for_renewed() {
    let (mut cluster, first, _) = two();
    cluster.disconnect(first);
    cluster.pass(just_before(OVER));
    cluster.restart();
    cluster.pass(just_before(TIMINGS.failover_grace));
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).state, JobState::Queued);
}

#[test]
fn i5_the_longest_lease_that_was_promised_counts_after_a_start() {
    let long = Duration::from_mins(2);
    let promised = Timings {
        lease: long,
        ..TIMINGS
    };
    let (mut cluster, _, _) = two_with(promised);
    assert_eq!(cluster.worker(1).lease, Some(long));
    cluster.timings = TIMINGS;
    cluster.restart();
    // A hello that its worker has not followed up says nothing of the lease that it goes by.
    let (session, _) = cluster.greet(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(cluster.worker(1).lease, Some(long));
    cluster.disconnect(session);
    let over = long + TIMINGS.grace;
    cluster.pass(just_before(over));
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).state, JobState::Queued);
}

#[test]
fn i5_a_shorter_lease_counts_once_the_machine_has_booted() {
    let long = Duration::from_mins(2);
    let promised = Timings {
        lease: long,
        ..TIMINGS
    };
    let (mut cluster, _, _) = two_with(promised);
    cluster.timings = TIMINGS;
    cluster.restart();
    // The worker goes by the new one at once, and what holds its attempts to their time still by the older one.
    let held = vec![running(attempt(1, 1))];
    let (session, _) = cluster.connect_as(1, hello(1, held));
    assert_eq!(cluster.worker(1).lease, Some(long));
    cluster.disconnect(session);
    cluster.pass(just_before(long + TIMINGS.grace));
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let mut anew = hello(1, Vec::new());
    anew.boot = boot(9);
    let (_, step) = cluster.connect_as(1, anew);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
    assert_eq!(cluster.worker(1).lease, Some(TIMINGS.lease));
}

#[test]
fn a_longer_lease_is_remembered_before_it_is_promised() {
    let (mut cluster, _, _) = two();
    cluster.timings.lease = Duration::from_mins(2);
    cluster.restart();
    let (_, step) = cluster.greet(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.welcome().lease, Duration::from_mins(2));
    assert!(step.is_durable());
    assert_eq!(cluster.worker(1).lease, Some(Duration::from_mins(2)));
}

#[test]
fn the_welcome_says_when_to_begin_to_stop() {
    let mut cluster = Cluster::with_workers(1);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.welcome().margin, TIMINGS.margin);
    cluster.timings.margin = TIMINGS.lease * 2;
    cluster.restart();
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.welcome().margin, TIMINGS.lease / 2, "never all of it");
}

#[test]
fn it_goes_only_to_workers_that_end_it_in_time_and_says_so() {
    let mut cluster = Cluster::with_workers(2);
    let mut old = without_leases();
    old.tags
        .insert("on-disconnect=stop".parse().expect("a tag"))
        .expect("room");
    let (_, _) = cluster.connect_as(1, old);
    assert!(cluster.submit_spec(1, stopping()).assigned().is_empty());
    cluster.pass(TIMINGS.fleet_grace);
    let why = cluster.explain(1);
    let unmet = |reason: &WaitReason| {
        matches!(reason, WaitReason::RequirementUnmet { requirement, .. }
            if requirement.to_string() == "on-disconnect=stop")
    };
    assert!(why.reasons.iter().any(unmet), "{why:?}");
    let (second, step) = cluster.connect(2, 1);
    assert_eq!(step.assigned_to(second), [attempt(1, 1)]);
}

#[test]
fn a_worker_that_learns_it_gets_what_waits() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.connect_as(1, without_leases());
    cluster.submit_spec(1, stopping());
    cluster.disconnect(session);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}

#[test]
fn what_a_worker_can_do_is_remembered_while_it_is_away() {
    let (mut cluster, _) = Cluster::with_one(1);
    cluster.restart();
    cluster.submit_spec(1, stopping());
    assert_eq!(cluster.explain(1).verdict, Some(WaitVerdict::NotNow));
}

#[test]
fn i5_what_a_removed_worker_had_runs_elsewhere_only_after_its_lease() {
    for in_touch in [true, false] {
        let (mut cluster, first, second) = two();
        if !in_touch {
            cluster.disconnect(first);
        }
        let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
        assert!(step.assigned().is_empty());
        let removed = infra(InfraReason::WorkerRemoved);
        assert_eq!(cluster.job(1).attempts[0].outcome, Some(removed));
        let early = cluster.pass_in_touch(second, just_before(OVER));
        assert!(early.assigned().is_empty());
        assert_eq!(cluster.pass(MOMENT).assigned(), [attempt(1, 2)]);
    }
}

#[test]
fn i5_what_a_removed_worker_had_waits_over_a_restart_as_well() {
    let (mut cluster, _, _) = two();
    cluster.set_worker(&name(1), WorkerCommand::Remove);
    cluster.restart();
    let (second, step) = cluster.connect(2, 1);
    assert!(step.assigned().is_empty());
    let early = cluster.pass_in_touch(second, just_before(OVER));
    assert!(early.assigned().is_empty());
    assert_eq!(cluster.pass(MOMENT).assigned(), [attempt(1, 2)]);
}

#[test]
fn i5_what_a_worker_has_lost_may_still_run_until_its_lease_is_over() {
    let (mut cluster, first, second) = two();
    cluster.disconnect(first);
    // It runs, and does not know of it: its journal is gone.
    let (_, step) = cluster.connect(1, 0);
    assert!(step.assigned().is_empty());
    cluster.log_settled(attempt(1, 1), lost_from(0));
    let early = cluster.pass_in_touch(second, just_before(OVER));
    assert!(early.assigned().is_empty());
    assert_eq!(cluster.pass(MOMENT).assigned(), [attempt(1, 2)]);
}

#[test]
fn what_another_boot_has_ended_need_not_be_waited_for() {
    let (mut cluster, first, second) = two();
    cluster.disconnect(first);
    let mut anew = hello(0, Vec::new());
    anew.boot = boot(9);
    let (_, step) = cluster.connect_as(1, anew);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
}

#[test]
fn a_job_that_may_not_run_twice_ends_with_its_lease() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.connect(1, 1);
    let mut spec = stopping();
    spec.repeatable = false;
    cluster.submit_spec(1, spec);
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    cluster.pass(OVER);
    cluster.log_settled(attempt(1, 1), lost_from(0));
    let lost = infra(InfraReason::WorkerLost);
    assert_eq!(cluster.job(1).outcome, Some(lost));
}
