//! Endings that name a limit, and what is kept of an attempt.

use jobyard_core::{
    Exit, InfraReason, JobState, KilledProcess, LimitKind, Outcome, Residue, Timestamp, Usage,
    WorkerMessage,
};

use crate::cluster::Cluster;
use crate::vocabulary::{attempt, draft, exit, infra, report};

const REFUSED: Outcome = infra(InfraReason::LimitNotEnforceable);

#[test]
fn a_job_that_ends_by_its_limit_has_failed_by_itself() {
    let exit = Exit::Signaled(9);
    for outcome in [
        Outcome::OutOfMemory { exit },
        Outcome::ProcessLimit { exit },
    ] {
        let (mut cluster, session) = Cluster::with_one(1);
        let mut spec = draft("{}");
        (spec.infra_retries, spec.repeatable) = (5, true);
        cluster.submit_spec(1, spec);
        cluster.started(session, attempt(1, 1));
        let step = cluster.finished(session, attempt(1, 1), outcome, 0);
        assert!(
            step.assigned().is_empty(),
            "no budget of the cluster's pays"
        );
        assert_eq!(cluster.job(1).outcome, Some(outcome));
        cluster.restart();
        assert_eq!(cluster.job(1).outcome, Some(outcome), "as it was written");
    }
}

#[test]
fn a_job_that_was_stopped_is_cancelled_whatever_limit_it_hit() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.stop(1);
    let exit = Exit::Signaled(9);
    let outcome = Outcome::OutOfMemory { exit };
    cluster.finished(session, attempt(1, 1), outcome, 0);
    let cancelled = Outcome::Cancelled { exit: Some(exit) };
    assert_eq!(cluster.job(1).outcome, Some(cancelled));
}

#[test]
fn a_limit_that_cannot_be_enforced_costs_the_budget_of_the_infrastructure() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = draft("{}");
    spec.infra_retries = 1;
    cluster.submit_spec(1, spec);
    let step = cluster.finished(session, attempt(1, 1), REFUSED, 0);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
    assert_eq!(cluster.job(1).infra_failures, 1);
    let step = cluster.finished(session, attempt(1, 2), REFUSED, 0);
    assert!(step.assigned().is_empty());
    assert_eq!(cluster.job(1).state, JobState::Finished);
    assert_eq!(cluster.job(1).outcome, Some(REFUSED));
}

#[test]
fn a_job_that_may_run_once_runs_elsewhere_if_its_limit_could_not_be_enforced() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut spec = draft("{}");
    (spec.infra_retries, spec.repeatable) = (1, false);
    cluster.submit_spec(1, spec);
    let step = cluster.finished(session, attempt(1, 1), REFUSED, 0);
    assert_eq!(step.assigned(), [attempt(1, 2)], "nothing of it ran");
    let mut begun = report(attempt(1, 2), REFUSED, 0);
    begun.started_at = Some(Timestamp::from_micros(5));
    let step = cluster.say(session, WorkerMessage::Finished(begun));
    assert!(step.assigned().is_empty(), "it says that something did");
    assert_eq!(cluster.job(1).outcome, Some(REFUSED));
}

#[test]
fn what_an_attempt_used_and_left_behind_is_kept() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let mut usage = Usage::default();
    usage.user_micros = 1_500_000;
    usage.peak_memory_bytes = Some(300 << 20);
    let mut residue = Residue::default();
    residue.killed = 2;
    residue.processes = vec![KilledProcess::new(7, "sleep".to_owned())];
    residue.limit_hit = Some(LimitKind::Processes);
    residue.unenforced = vec![LimitKind::ReadRate];
    residue.usage = Some(usage);
    residue.output_held_open = true;
    let mut report = report(attempt(1, 1), exit(0), 0);
    report.residue = residue.clone();
    cluster.say(session, WorkerMessage::Finished(report));
    assert_eq!(cluster.job(1).attempts[0].residue, Some(residue));
}
