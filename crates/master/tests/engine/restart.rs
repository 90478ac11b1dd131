//! A master starts anew from what was committed.

use jobyard_core::{
    Epoch, InfraReason, JobState, LogState, Outcome, RefusalReason, StopCause, Verdict,
    WaitVerdict, WorkerCommand,
};
use jobyard_master::engine::{Answer, Effect, Input};
use jobyard_master::records::AUDIT;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{
    GRACE, MOMENT, attempt, complete, draft, ended, exit, hello, infra, job, just_before,
    lost_from, name, report, running, submission, token, worker,
};

#[test]
fn waiting_jobs_keep_their_order() {
    let mut cluster = Cluster::with_workers(1);
    for n in [9, 2, 5] {
        cluster.submit(n);
    }
    let step = cluster.restart();
    assert!(step.only_tells(), "that a term began");
    let (session, step) = cluster.connect(1, 2);
    assert_eq!(step.assigned_to(session), [attempt(9, 1), attempt(2, 1)]);
    cluster.submit(1);
    assert_eq!(cluster.job(1).sequence, 4, "numbers go on");
}

#[test]
fn placed_jobs_are_not_given_away_twice() {
    let mut cluster = Cluster::with_workers(2);
    let (session, _) = cluster.connect(1, 2);
    cluster.submit(1);
    cluster.submit(2);
    cluster.started(session, attempt(1, 1));
    let step = cluster.restart();
    assert_eq!(step.granted(), [attempt(1, 1), attempt(2, 1)]);
    let (_, step) = cluster.connect(2, 9);
    assert!(step.assigned().is_empty());
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.used.slots, 2);
    assert_eq!(shown.attempts, [attempt(1, 1), attempt(2, 1)]);
}

#[test]
fn what_runs_is_adopted() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.restart();
    let (session, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(Outcome::Succeeded));
    assert_eq!(record.attempts.len(), 1);
}

#[test]
fn what_ended_meanwhile_counts() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.restart();
    let end = ended(report(attempt(1, 1), exit(3), 0));
    let (_, step) = cluster.connect_as(1, hello(1, vec![end]));
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(cluster.job(1).outcome, Some(exit(3)));
}

#[test]
fn an_assignment_that_was_committed_and_never_sent_is_sent_anew() {
    let (mut cluster, _) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.restart();
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned_to(session), [attempt(1, 2)]);
    assert_eq!(cluster.job(1).infra_failures, 0);
}

#[test]
fn a_stop_is_remembered() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.stop(1);
    cluster.restart();
    let (session, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    let stop = Verdict::Stop {
        cause: StopCause::Cancelled,
        grace: GRACE,
    };
    assert_eq!(step.verdicts(), [(attempt(1, 1), stop)]);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert!(matches!(
        cluster.job(1).outcome,
        Some(Outcome::Cancelled { .. })
    ));
}

#[test]
fn workers_are_waited_for_anew() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    cluster.pass(TIMINGS.reconcile_for / 2);
    cluster.restart();
    cluster.pass(just_before(TIMINGS.reconcile_for));
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.pass(MOMENT);
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let lost = infra(InfraReason::WorkerLost);
    assert_eq!(cluster.job(1).attempts[0].outcome, Some(lost));
}

#[test]
fn a_job_that_waits_for_its_output_goes_on_waiting() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    let step = cluster.restart();
    assert_eq!(step.granted(), [attempt(1, 1)], "it may still upload");
    assert!(step.abandoned().is_empty());
    let end = ended(report(attempt(1, 1), exit(0), 300));
    let (_, step) = cluster.connect_as(1, hello(1, vec![end]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    let step = cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
}

#[test]
fn the_wait_for_output_ends_after_a_restart_too() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    cluster.restart();
    let step = cluster.pass(TIMINGS.log_drain);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn output_of_a_finished_job_may_come_after_a_restart() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    cluster.pass_in_touch(session, TIMINGS.log_drain);
    assert_eq!(cluster.job(1).state, JobState::Finished);
    let step = cluster.restart();
    assert_eq!(step.granted(), [attempt(1, 1)]);
    cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(cluster.job(1).attempts[0].log, LogState::Complete);
    assert!(!cluster.is_live(1));
}

#[test]
fn a_log_that_was_given_up_is_given_up_again() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    cluster.disconnect(session);
    cluster.pass(TIMINGS.reconcile_for);
    // The master dies before it has sealed the log.
    let step = cluster.restart();
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    cluster.log_settled(attempt(1, 1), lost_from(0));
    assert_eq!(cluster.job(1).attempts[0].log, LogState::LostFrom(0));
}

#[test]
fn the_log_of_a_removed_worker_is_given_up_again() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    // The master dies before it has sealed the log.
    let step = cluster.restart();
    assert!(
        step.granted().is_empty(),
        "a removed worker uploads nothing"
    );
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    cluster.log_settled(attempt(1, 1), lost_from(9));
    assert!(!cluster.is_live(1));
}

#[test]
fn a_job_whose_outcome_nobody_has_heard_runs_as_if_nothing_had_happened() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    // The report reached the master, its commit did not reach the store.
    let end = report(attempt(1, 1), exit(0), 0);
    let messages = vec![jobyard_core::WorkerMessage::Finished(end.clone())];
    cluster.tell_and_crash(Input::Said { session, messages });
    assert_eq!(cluster.job(1).state, JobState::Running);
    let (_, step) = cluster.connect_as(1, hello(1, vec![ended(end)]));
    assert_eq!(step.finished(), [job(1)]);
}

#[test]
fn an_unanswered_submit_has_left_nothing() {
    let mut cluster = Cluster::new();
    let reply = cluster.reply_to();
    let jobs = vec![submission(1, draft("{}"))];
    let by = "ann".to_owned();
    cluster.tell_and_crash(Input::Submit { reply, by, jobs });
    assert!(cluster.jobs().is_empty());
    cluster.submit(1);
    assert_eq!(cluster.job(1).sequence, 1);
}

#[test]
fn removed_workers_stay_refused_and_members_stay_members() {
    let mut cluster = Cluster::with_workers(2);
    cluster.set_worker(&name(1), WorkerCommand::Remove);
    let step = cluster.restart();
    let membership = |n, member| Effect::Membership {
        worker: worker(n),
        member,
    };
    assert_eq!(step.effects, [membership(1, false), membership(2, true)]);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.refusals()[0].reason, RefusalReason::Removed);
}

#[test]
fn what_administrators_decided_is_remembered() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_worker(&name(1), WorkerCommand::Suspend);
    cluster.restart();
    cluster.submit(1);
    let (_, step) = cluster.connect(1, 1);
    assert!(step.assigned().is_empty());
}

#[test]
fn a_known_name_and_a_known_key_stay_taken() {
    let mut cluster = Cluster::with_workers(1);
    cluster.restart();
    let taken = cluster.join(200, 50, &name(1)).answer();
    assert!(
        matches!(taken, Answer::Denied(refusal) if refusal.reason == RefusalReason::AlreadyExists)
    );
    cluster.create_token(7, 1);
    let known = cluster.join(7, 1, "other").answer();
    assert!(matches!(known, Answer::Denied(refusal) if refusal.reason == RefusalReason::Forbidden));
}

#[test]
fn tokens_and_what_is_left_of_them_are_remembered() {
    let mut cluster = Cluster::new();
    cluster.create_token(1, 2);
    cluster.create_token(2, 1);
    cluster.join(1, 1, "a");
    cluster.revoke_token(token(2).id().as_str());
    cluster.restart();
    let tokens = cluster.engine.tokens();
    let of = |seed| {
        let id = token(seed).id().as_str().to_owned();
        tokens.iter().find(move |token| token.id == id)
    };
    assert_eq!(of(1).map(|token| token.uses_left), Some(1));
    assert_eq!(of(2).map(|token| token.revoked), Some(true));
    let again = cluster.join(1, 1, "a").answer();
    assert!(matches!(again, Answer::Enrolled { worker: id, .. } if id == worker(1)));
}

#[test]
fn the_audit_trail_goes_on() {
    let mut cluster = Cluster::with_workers(1);
    let before = cluster.engine.counters().audit_seq;
    cluster.restart();
    let entries = cluster.set_worker(&name(1), WorkerCommand::Suspend).audit();
    assert_eq!(entries[0].seq, before + 1);
    let kept = cluster.records.keys().filter(|(kind, _)| *kind == AUDIT);
    assert_eq!(kept.count() as u64, before + 1);
}

#[test]
fn a_new_term_says_so() {
    let mut cluster = Cluster::with_workers(1);
    cluster.restart();
    let mut seen = hello(1, Vec::new());
    seen.max_epoch = Epoch(1);
    let (_, step) = cluster.connect_as(1, seen);
    assert_eq!(step.welcome().epoch, Epoch(2));
}

#[test]
fn a_worker_of_before_the_restart_has_no_session() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.restart();
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step, crate::step::Step::default());
}

#[test]
fn verdicts_about_the_fleet_are_not_definite_at_once() {
    let mut cluster = Cluster::with_workers(1);
    let mut spec = draft("{}");
    spec.requirements = vec!["gpu".parse().expect("a requirement")];
    cluster.submit_spec(1, spec);
    cluster.restart();
    let verdict = |cluster: &Cluster| {
        cluster
            .engine
            .explain(cluster.now, job(1))
            .and_then(|why| why.verdict)
    };
    assert_eq!(verdict(&cluster), Some(WaitVerdict::NotKnownYet));
    cluster.pass(TIMINGS.fleet_grace);
    assert_eq!(verdict(&cluster), Some(WaitVerdict::Never));
}
