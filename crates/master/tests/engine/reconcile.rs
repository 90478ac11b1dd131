//! A worker comes back and both sides compare their books.

use jobyard_core::{
    ClosingReason, Epoch, InfraReason, JobState, LogState, MAX_INFRA_RETRIES, MasterMessage,
    Outcome, PROTOCOL_VERSION, RefusalReason, SessionId, Verdict, WorkerCommand, WorkerMessage,
};
use jobyard_master::engine::Effect;

use crate::cluster::{Cluster, TIMINGS};
use crate::step::Step;
use crate::vocabulary::{
    accepted, attempt, boot, complete, draft, ended, exit, hello, infra, job, lost_from, name,
    report, running, worker,
};

/// One worker with one slot that has job 1, and has gone away.
fn away(begun: bool) -> Cluster {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    if begun {
        cluster.started(session, attempt(1, 1));
    }
    cluster.disconnect(session);
    cluster
}

#[test]
fn a_worker_keeps_what_it_runs() {
    let mut cluster = away(false);
    let (session, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    assert!(step.assigned().is_empty());
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn an_accepted_attempt_is_kept_and_has_not_begun() {
    let mut cluster = away(false);
    let (_, step) = cluster.connect_as(1, hello(1, vec![accepted(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    assert_eq!(cluster.job(1).state, JobState::Assigned);
}

#[test]
fn an_end_in_the_inventory_counts_and_its_slot_is_taken_at_once() {
    let mut cluster = away(true);
    cluster.submit(2);
    let end = ended(report(attempt(1, 1), exit(0), 0));
    let (session, step) = cluster.connect_as(1, hello(1, vec![end]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(step.finished(), [job(1)]);
    assert_eq!(step.assigned_to(session), [attempt(2, 1)]);
}

#[test]
fn an_ended_attempt_is_kept_until_its_output_is_there() {
    let mut cluster = away(true);
    let end = ended(report(attempt(1, 1), exit(0), 300));
    for _ in 0..2 {
        let (session, step) = cluster.connect_as(1, hello(1, vec![end.clone()]));
        assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
        assert!(step.forgotten().is_empty());
        assert!(step.abandoned().is_empty());
        cluster.disconnect(session);
    }
    let (_, _) = cluster.connect_as(1, hello(1, vec![end]));
    let step = cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    assert_eq!(step.finished(), [job(1)]);
}

#[test]
fn output_that_the_worker_no_longer_has_is_given_up() {
    let mut cluster = away(true);
    let end = ended(report(attempt(1, 1), exit(0), 300));
    let (session, _) = cluster.connect_as(1, hello(1, vec![end]));
    cluster.disconnect(session);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.abandoned(), [attempt(1, 1)]);
    cluster.log_settled(attempt(1, 1), lost_from(100));
    let record = cluster.job(1);
    assert_eq!(record.outcome, Some(Outcome::Succeeded), "it had ended");
    assert_eq!(record.attempts[0].log, LogState::LostFrom(100));
}

/// The machine lost its power after its worker had told of 300 bytes, and before they were safe.
#[test]
fn output_that_a_worker_has_none_of_any_more_is_given_up() {
    let lost = infra(InfraReason::WorkerRestarted);
    for in_hello in [true, false] {
        let (mut cluster, session) = Cluster::with_one(1);
        cluster.submit(1);
        cluster.finished(session, attempt(1, 1), exit(0), 300);
        cluster.disconnect(session);
        let report = report(attempt(1, 1), lost, 0);
        let step = if in_hello {
            let (_, step) = cluster.connect_as(1, hello(1, vec![ended(report)]));
            assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
            step
        } else {
            let before = self::report(attempt(1, 1), exit(0), 300);
            let (session, step) = cluster.connect_as(1, hello(1, vec![ended(before)]));
            assert!(step.abandoned().is_empty(), "it may still come");
            cluster.say(session, WorkerMessage::Finished(report))
        };
        assert_eq!(step.abandoned(), [attempt(1, 1)]);
        let step = cluster.log_settled(attempt(1, 1), lost_from(120));
        assert_eq!(step.forgotten(), [attempt(1, 1)]);
        assert_eq!(cluster.job(1).outcome, Some(exit(0)), "what was told first");
    }
}

#[test]
fn an_assignment_that_never_arrived_is_sent_anew_at_no_cost() {
    let mut cluster = Cluster::with_workers(1);
    let mut spec = draft("{}");
    (spec.infra_retries, spec.repeatable) = (0, false);
    let (session, _) = cluster.connect(1, 1);
    cluster.submit_spec(1, spec);
    cluster.disconnect(session);
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned_to(session), [attempt(1, 2)]);
    assert!(step.abandoned().is_empty(), "nothing ran, nothing was said");
    let record = cluster.job(1);
    assert_eq!(record.infra_failures, 0);
    let never = infra(InfraReason::NeverStarted);
    assert_eq!(record.attempts[0].outcome, Some(never));
    assert_eq!(record.attempts[0].log, LogState::Complete);
}

#[test]
fn a_job_that_comes_back_keeps_its_place_in_the_queue() {
    let mut cluster = away(false);
    cluster.submit(2);
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 2)], "before job 2");
    let step = cluster.finished(session, attempt(1, 2), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

#[test]
fn after_another_boot_nobody_knows_whether_it_had_begun() {
    let mut cluster = away(false);
    let mut anew = hello(1, Vec::new());
    anew.boot = boot(9);
    let (_, step) = cluster.connect_as(1, anew);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
    let record = cluster.job(1);
    assert_eq!(record.infra_failures, 1);
    let restarted = infra(InfraReason::WorkerRestarted);
    assert_eq!(record.attempts[0].outcome, Some(restarted));
}

#[test]
fn what_ran_and_is_not_listed_is_lost() {
    let mut cluster = away(true);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.abandoned(), [attempt(1, 1)], "once");
    assert_eq!(step.assigned(), [attempt(1, 2)]);
    let restarted = infra(InfraReason::WorkerRestarted);
    assert_eq!(cluster.job(1).attempts[0].outcome, Some(restarted));
}

#[test]
fn what_may_not_run_twice_does_not() {
    for begun in [false, true] {
        let (mut cluster, session) = Cluster::with_one(1);
        let mut spec = draft("{}");
        (spec.infra_retries, spec.repeatable) = (MAX_INFRA_RETRIES, false);
        cluster.submit_spec(1, spec);
        if begun {
            cluster.started(session, attempt(1, 1));
        }
        cluster.disconnect(session);
        let mut anew = hello(1, Vec::new());
        anew.boot = boot(9);
        let (_, step) = cluster.connect_as(1, anew);
        assert!(step.assigned().is_empty());
        cluster.log_settled(attempt(1, 1), lost_from(0));
        let restarted = infra(InfraReason::WorkerRestarted);
        assert_eq!(cluster.job(1).outcome, Some(restarted));
    }
}

#[test]
fn attempts_that_do_not_count_are_forgotten() {
    let mut cluster = away(true);
    cluster.pass(TIMINGS.reconcile_for);
    cluster.log_settled(attempt(1, 1), lost_from(0));
    // Attempt 2 is on its way to nobody yet; 1 is over; 7 is of a job that nobody knows.
    let inventory = vec![running(attempt(1, 1)), accepted(attempt(7, 1))];
    let (session, step) = cluster.connect_as(1, hello(1, inventory));
    let forget = Verdict::Forget;
    assert_eq!(
        step.verdicts(),
        [(attempt(1, 1), forget), (attempt(7, 1), forget)]
    );
    assert_eq!(step.assigned_to(session), [attempt(1, 2)]);
    assert_eq!(cluster.job(1).state, JobState::Assigned);
}

#[test]
fn a_given_up_attempt_is_forgotten_before_its_log_is_sealed() {
    let mut cluster = away(true);
    cluster.pass(TIMINGS.reconcile_for);
    let (_, step) = cluster.connect_as(1, hello(2, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Forget)]);
}

#[test]
fn messages_about_attempts_that_do_not_count_are_answered_with_forget() {
    let mut cluster = away(true);
    cluster.pass(TIMINGS.reconcile_for);
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 2)]);
    for stale in [attempt(1, 1), attempt(1, 3), attempt(7, 1)] {
        let step = cluster.started(session, stale);
        assert_eq!(step.forgotten(), [stale]);
        let step = cluster.finished(session, stale, exit(0), 5);
        assert_eq!(step.forgotten(), [stale]);
        assert!(!step.is_durable());
    }
    assert_eq!(cluster.job(1).state, JobState::Assigned);
}

#[test]
fn a_worker_has_no_say_about_the_attempts_of_another() {
    let mut cluster = Cluster::with_workers(2);
    let (first, _) = cluster.connect(1, 1);
    cluster.submit(1);
    let (second, step) = cluster.connect_as(2, hello(0, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Forget)]);
    assert_eq!(cluster.job(1).state, JobState::Assigned);
    assert_eq!(
        cluster.started(second, attempt(1, 1)).forgotten(),
        [attempt(1, 1)]
    );
    let step = cluster.finished(second, attempt(1, 1), exit(0), 0);
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    let declined = WorkerMessage::Declined {
        attempt: attempt(1, 1),
        reason: jobyard_core::DeclineReason::Full,
    };
    cluster.say(second, declined);
    assert_eq!(cluster.job(1).state, JobState::Assigned);

    // Nor once it has ended and its output is awaited from the one that had it.
    let end = report(attempt(1, 1), exit(0), 300);
    cluster.say(first, WorkerMessage::Finished(end.clone()));
    let step = cluster.say(second, WorkerMessage::Finished(end.clone()));
    assert_eq!(step.forgotten(), [attempt(1, 1)]);
    let (_, step) = cluster.connect_as(2, hello(0, vec![ended(end)]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Forget)]);
}

#[test]
fn a_newer_session_ends_the_older_one() {
    let (mut cluster, old) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(old, attempt(1, 1));
    let (new, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.closed(), [(old, Some(ClosingReason::Replaced))]);

    let late = cluster.finished(old, attempt(1, 1), exit(9), 0);
    assert_eq!(late, Step::default(), "nobody listens to it any more");
    assert_eq!(cluster.disconnect(old), Step::default());
    assert_eq!(cluster.job(1).state, JobState::Running);

    cluster.finished(new, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(Outcome::Succeeded));
}

#[test]
fn a_replaced_session_gives_its_assignment_to_the_newer_one_once() {
    let (mut cluster, old) = Cluster::with_one(1);
    cluster.submit(1);
    let (new, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned_to(new), [attempt(1, 2)]);
    assert!(step.assigned_to(old).is_empty());
    assert_eq!(cluster.pass(TIMINGS.lease).closed(), [(new, None)]);
}

#[test]
fn the_welcome_says_who_is_whom() {
    let mut cluster = Cluster::with_workers(1);
    let (session, step) = cluster.connect(1, 1);
    let welcome = step.welcome();
    assert_eq!(welcome.session, session);
    assert_eq!(welcome.worker, worker(1));
    assert_eq!(welcome.name, name(1));
    assert_eq!(welcome.epoch, cluster.epoch());
    assert_eq!(welcome.lease, TIMINGS.lease);
    assert_eq!(welcome.heartbeat, TIMINGS.heartbeat);
}

#[test]
fn the_welcome_is_the_first_message_of_a_session() {
    let mut cluster = Cluster::with_workers(1);
    cluster.submit(1);
    let (session, step) = cluster.connect(1, 1);
    let first = &step.sent(session)[0];
    assert!(matches!(first, MasterMessage::Welcome(_)), "{first:?}");
    let place = |wanted: fn(&Effect) -> bool| step.effects.iter().position(wanted).expect("there");
    let welcome = place(|effect| matches!(effect, Effect::Send { .. }));
    let assign = place(|effect| matches!(effect, Effect::Assign { .. }));
    assert!(welcome < assign);
}

fn refusal(cluster: &mut Cluster, n: u128, hello: jobyard_core::Hello) -> RefusalReason {
    let (session, step) = cluster.connect_as(n, hello);
    assert!(step.sent(session).is_empty());
    assert!(step.assigned().is_empty());
    let refusals = step.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(
        cluster.say(session, WorkerMessage::Heartbeat),
        Step::default()
    );
    refusals[0].reason
}

#[test]
fn a_stranger_is_refused() {
    let mut cluster = Cluster::with_workers(1);
    let reason = refusal(&mut cluster, 5, hello(1, Vec::new()));
    assert_eq!(reason, RefusalReason::Unauthenticated);
}

#[test]
fn a_removed_worker_is_refused() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_worker(&name(1), WorkerCommand::Remove);
    let reason = refusal(&mut cluster, 1, hello(1, Vec::new()));
    assert_eq!(reason, RefusalReason::Removed);
}

#[test]
fn a_protocol_two_versions_away_is_refused() {
    let mut cluster = Cluster::with_workers(1);
    let mut next = hello(1, Vec::new());
    next.protocol.version = PROTOCOL_VERSION + 2;
    let reason = refusal(&mut cluster, 1, next.clone());
    assert_eq!(reason, RefusalReason::Incompatible);
    next.protocol.version = PROTOCOL_VERSION + 1;
    let (_, step) = cluster.connect_as(1, next);
    assert!(step.refusals().is_empty());
}

#[test]
fn a_worker_that_has_served_a_later_term_refuses_older_data() {
    let mut cluster = Cluster::with_workers(1);
    let mut ahead = hello(1, Vec::new());
    ahead.max_epoch = Epoch(cluster.epoch().0 + 1);
    let reason = refusal(&mut cluster, 1, ahead.clone());
    assert_eq!(reason, RefusalReason::Stale);
    ahead.max_epoch = cluster.epoch();
    let (_, step) = cluster.connect_as(1, ahead);
    assert!(step.refusals().is_empty());
}

#[test]
fn a_refused_session_does_not_disturb_the_one_that_lives() {
    let (mut cluster, session) = Cluster::with_one(1);
    let mut wrong = hello(1, Vec::new());
    wrong.protocol.version = PROTOCOL_VERSION + 2;
    let reason = refusal(&mut cluster, 1, wrong);
    assert_eq!(reason, RefusalReason::Incompatible);
    assert_eq!(cluster.submit(1).assigned_to(session), [attempt(1, 1)]);
}

#[test]
fn messages_of_an_unknown_session_are_nobodys() {
    let (mut cluster, _) = Cluster::with_one(1);
    cluster.submit(1);
    let unknown = SessionId::from_uuid(uuid::Uuid::from_u128(99));
    let step = cluster.finished(unknown, attempt(1, 1), exit(0), 0);
    assert_eq!(step, Step::default());
}

#[test]
fn what_a_hello_does_not_list_counts_only_once_its_worker_has_answered() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    // A hello from before the assignment arrives late, of a connection that the worker has given up.
    let (late, step) = cluster.greet(1, hello(1, Vec::new()));
    assert!(step.assigned().is_empty());
    assert_eq!(cluster.job(1).state, JobState::Running);
    cluster.disconnect(late);
    // The worker itself comes back with the attempt.
    let (session, _) = cluster.connect_as(1, hello(1, vec![accepted(attempt(1, 1))]));
    cluster.finished(session, attempt(1, 1), Outcome::Succeeded, 0);
    assert_eq!(cluster.job(1).attempts.len(), 1);
    assert_eq!(cluster.job(1).state, JobState::Finished);
}

#[test]
fn a_worker_gets_jobs_only_once_it_has_answered_the_welcome() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.greet(1, hello(1, Vec::new()));
    assert!(cluster.submit(1).assigned().is_empty());
    assert_eq!(cluster.confirm(session).assigned(), [attempt(1, 1)]);
}

#[test]
fn a_worker_that_served_a_later_term_is_not_sent_away_by_older_data() {
    let mut cluster = Cluster::new();
    let mut stranger = hello(1, Vec::new());
    stranger.max_epoch = Epoch(9);
    let (_, step) = cluster.connect_as(7, stranger);
    let refused: Vec<_> = step
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Refuse { refusal, .. } => Some(refusal.reason),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [RefusalReason::Stale]);
}
