//! A master that is told to gives up what nobody could ever run, and the deadlines of the policy are kept.

use std::time::Duration;

use jobyard_core::{
    Change, InfraReason, JobSpec, JobState, MAX_BATCH_CHANGES, QueueChange, Resources,
};
use jobyard_master::Policy;
use jobyard_master::engine::{Input, Sealed};
use jobyard_master::records::EVENT;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{MOMENT, attempt, draft, exit, infra, job, just_before, submission};

const PATIENCE: Duration = Duration::from_mins(10);

fn patient() -> Policy {
    let mut policy = Policy::default();
    policy.give_up_after = Some(PATIENCE);
    policy
}

fn impossible() -> JobSpec {
    let mut spec = draft("{}");
    spec.requirements = vec!["gpu".parse().expect("a requirement")];
    spec
}

#[test]
fn a_job_that_nobody_could_run_is_given_up() {
    let mut cluster = Cluster::with_policy(patient()).and_workers(1);
    cluster.submit_spec(1, impossible());
    cluster.pass(TIMINGS.fleet_grace);
    cluster.pass(just_before(PATIENCE));
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let step = cluster.pass(MOMENT);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(infra(InfraReason::NoWorker)));
    assert!(!cluster.is_live(1));
}

#[test]
fn nothing_is_given_up_unless_the_policy_says_so() {
    let mut cluster = Cluster::with_workers(1);
    cluster.submit_spec(1, impossible());
    cluster.pass(Duration::from_hours(24 * 30));
    assert_eq!(cluster.job(1).state, JobState::Queued);
}

#[test]
fn a_job_that_waits_for_a_silent_worker_is_not_given_up() {
    let mut cluster = Cluster::with_policy(patient()).and_workers(1);
    let (session, _) = cluster.connect(1, 1);
    cluster.disconnect(session);
    cluster.submit(1);
    cluster.pass(2 * PATIENCE);
    assert_eq!(cluster.job(1).state, JobState::Queued);
}

#[test]
fn an_old_job_gets_room_kept_for_it() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.connect(1, 2);
    cluster.submit(1);
    let mut big = draft("{}");
    big.resources = Resources::of_slots(2);
    cluster.submit_spec(2, big);
    cluster.submit(3);
    cluster.pass_in_touch(session, Duration::from_mins(2));
    let step = cluster.finished(session, attempt(3, 1), exit(0), 0);
    assert!(step.assigned().is_empty());
    let step = cluster.submit(4);
    assert!(step.assigned().is_empty(), "room is kept for the big one");
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

/// One event may change more jobs than a batch holds: they leave in several, and nobody hears of them before the last.
#[test]
fn more_changes_than_a_batch_holds_leave_in_several() {
    let jobs = MAX_BATCH_CHANGES as u128 + 10;
    let mut cluster = Cluster::with_policy(patient());
    let all: Vec<u128> = (1..=jobs).collect();
    for some in all.chunks(1_000) {
        let some = some.iter().map(|n| submission(*n, impossible()));
        cluster.submit_all(some.collect());
    }
    cluster.pass(TIMINGS.fleet_grace);
    cluster.skip(PATIENCE);
    cluster.engine.handle(cluster.now, Input::DeadlineReached);
    let Sealed::AfterCommit(first, held) = cluster.engine.take_outbox().seal(1) else {
        panic!("there are changes");
    };
    assert_eq!(first.changes.len(), MAX_BATCH_CHANGES);
    let proof = jobyard_master::engine::Committed::batch(1);
    assert!(held.release(&proof).is_empty(), "nobody hears yet");
    assert!(!cluster.engine.is_quiet());
    let Sealed::AfterCommit(second, held) = cluster.engine.take_outbox().seal(2) else {
        panic!("there are changes");
    };
    let told = first
        .changes
        .iter()
        .chain(&second.changes)
        .filter(|change| matches!(change, Change::Put(record) if record.kind == EVENT));
    let told = told.count();
    assert_eq!(
        (first.changes.len() + second.changes.len() - told) as u128,
        jobs,
        "each job once, and what happened"
    );
    let proof = jobyard_master::engine::Committed::batch(2);
    assert_eq!(held.release(&proof).len() as u128, jobs);
    assert!(cluster.engine.is_quiet());
}

#[test]
fn a_queue_that_is_opened_on_a_large_fleet_starts_everything() {
    let mut cluster = Cluster::with_workers(3);
    let mut paused = QueueChange::default();
    paused.max_running = Some(Some(0));
    cluster.set_queue("default", paused);
    for n in 1..=3 {
        cluster.connect(n, 10);
    }
    for n in 1..=40 {
        assert!(cluster.submit(n).assigned().is_empty());
    }
    let mut open = QueueChange::default();
    open.max_running = Some(None);
    assert_eq!(cluster.set_queue("default", open).assigned().len(), 30);
}
