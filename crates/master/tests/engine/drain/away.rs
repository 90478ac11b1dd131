//! A drain of a worker that is away, or may not have heard: what it may still begin.

use jobyard_core::{DeclineReason, JobState, StopOptions, Timestamp, Verdict, WorkerMessage};

use super::{DRAINED, STOP, answers, busy, drain, is_done, sent};
use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{MOMENT, accepted, attempt, exit, hello, just_before, running};

/// The word that it is forgotten may not have arrived.
#[test]
fn i14_a_job_that_ends_by_force_may_begin_until_its_worker_trusts_no_lease() {
    let (mut cluster, session) = sent();
    drain(&mut cluster);
    let step = cluster.stop_with(1, StopOptions::new(None, true));
    assert_eq!(answers(&step).len(), 1, "the stop");
    let due = cluster.now.steady + TIMINGS.lease + TIMINGS.grace;
    while cluster.now.steady + TIMINGS.heartbeat < due {
        cluster.pass(TIMINGS.heartbeat);
        let step = cluster.say(session, WorkerMessage::Heartbeat);
        assert!(
            answers(&step).is_empty(),
            "what it hears now comes after that"
        );
    }
    assert!(is_done(&cluster.pass(TIMINGS.heartbeat), 1));
}

#[test]
fn i14_a_job_that_ends_by_force_is_no_longer_on_its_way_once_its_worker_says_where_it_is() {
    let declined = |attempt| WorkerMessage::Declined {
        attempt,
        reason: DeclineReason::Stopping,
    };
    let begun = |attempt| WorkerMessage::Started {
        attempt,
        pid: Some(1),
        at: Timestamp::default(),
    };
    for says in [&declined as &dyn Fn(_) -> _, &begun] {
        let (mut cluster, session) = sent();
        cluster.stop_with(1, StopOptions::new(None, true));
        assert!(answers(&drain(&mut cluster)).is_empty());
        let step = cluster.say(session, says(attempt(1, 1)));
        assert!(is_done(&step, 1), "{step:?}");
    }
}

/// A worker that is cut off may still hear what was sent before, and starts it as long as it trusts its lease.
#[test]
fn i14_when_the_session_ends_the_drain_is_done_once_the_lease_is_over() {
    for silent in [false, true] {
        let (mut cluster, session) = sent();
        drain(&mut cluster);
        let left = if silent {
            let step = cluster.pass(TIMINGS.lease);
            assert!(answers(&step).is_empty(), "{step:?}");
            TIMINGS.grace
        } else {
            let step = cluster.disconnect(session);
            assert!(answers(&step).is_empty(), "{step:?}");
            TIMINGS.lease + TIMINGS.grace
        };
        let step = cluster.pass(just_before(left));
        assert!(answers(&step).is_empty(), "{step:?}");
        assert!(is_done(&cluster.pass(MOMENT), 1));
    }
}

#[test]
fn i14_when_the_session_ends_and_nothing_was_on_its_way_the_drain_is_done() {
    let (mut cluster, session) = busy();
    cluster.disconnect(session);
    assert!(is_done(&drain(&mut cluster), 1));
}

#[test]
fn i14_a_newer_session_does_not_end_the_wait_before_what_was_on_its_way_has_begun_or_ended() {
    for begins in [false, true] {
        let (mut cluster, _) = sent();
        drain(&mut cluster);
        let (session, step) = cluster.greet(1, hello(2, vec![accepted(attempt(1, 1))]));
        assert!(answers(&step).is_empty());
        assert_eq!(step.verdicts(), [(attempt(1, 1), STOP)]);
        assert!(answers(&cluster.confirm(session)).is_empty());
        let step = if begins {
            cluster.started(session, attempt(1, 1))
        } else {
            cluster.finished(session, attempt(1, 1), DRAINED, 0)
        };
        assert!(is_done(&step, 1));
    }
}

#[test]
fn i14_what_a_worker_that_is_back_never_got_ends_the_wait() {
    let (mut cluster, session) = sent();
    drain(&mut cluster);
    cluster.disconnect(session);
    let (session, step) = cluster.greet(1, hello(2, Vec::new()));
    assert!(answers(&step).is_empty(), "the hello may be a late one");
    assert!(is_done(&cluster.confirm(session), 1));
}

#[test]
fn i14_what_has_not_begun_when_the_worker_is_back_is_stopped() {
    let held = accepted(attempt(1, 1));
    let (mut cluster, session) = sent();
    drain(&mut cluster);
    cluster.disconnect(session);
    // More than once: the worker may not have heard it.
    for _ in 0..2 {
        let (_, step) = cluster.connect_as(1, hello(2, vec![held.clone()]));
        assert!(step.welcome().draining);
        assert_eq!(step.verdicts(), [(attempt(1, 1), STOP)]);
        cluster.restart();
    }
    let (session, _) = cluster.connect_as(1, hello(2, vec![held]));
    let step = cluster.finished(session, attempt(1, 1), DRAINED, 0);
    assert!(step.assigned().is_empty(), "not there");
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Queued);
    assert_eq!(record.infra_failures, 1);
    assert_eq!(record.attempts[0].outcome, Some(DRAINED));
    assert!(!record.drained, "said of an attempt, not of the job");
}

#[test]
fn what_began_while_nobody_heard_it_goes_on() {
    let (mut cluster, session) = sent();
    drain(&mut cluster);
    cluster.disconnect(session);
    let (_, step) = cluster.greet(1, hello(2, vec![running(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    assert!(is_done(&step, 1));
}

#[test]
fn what_had_begun_before_the_session_ended_goes_on() {
    let (mut cluster, session) = busy();
    drain(&mut cluster);
    cluster.disconnect(session);
    let (session, step) = cluster.connect_as(1, hello(2, vec![running(attempt(1, 1))]));
    assert!(step.welcome().draining);
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(exit(0)));
}

#[test]
fn a_silent_worker_whose_lease_is_over_is_drained_at_once() {
    let (mut cluster, session) = sent();
    cluster.disconnect(session);
    cluster.pass(TIMINGS.lease + TIMINGS.grace);
    assert!(is_done(&drain(&mut cluster), 1));
    let (_, step) = cluster.connect_as(1, hello(2, vec![accepted(attempt(1, 1))]));
    assert_eq!(step.verdicts(), [(attempt(1, 1), STOP)]);
}

/// An earlier term may have ended it by force, and its worker has not heard that.
#[test]
fn i14_after_a_restart_the_answer_waits_for_the_worker_or_its_lease() {
    let (mut cluster, _) = sent();
    cluster.stop_with(1, StopOptions::new(None, true));
    cluster.restart();
    assert!(answers(&drain(&mut cluster)).is_empty());
    let patience = TIMINGS.failover_grace.max(TIMINGS.lease + TIMINGS.grace);
    assert!(is_done(&cluster.pass(patience), 1));

    let (mut cluster, _) = sent();
    cluster.stop_with(1, StopOptions::new(None, true));
    cluster.restart();
    drain(&mut cluster);
    let (session, _) = cluster.greet(1, hello(2, Vec::new()));
    assert!(is_done(&cluster.confirm(session), 1), "it has nothing");
}

/// The welcome says that it is to be forgotten, and its executor may be starting it.
#[test]
fn i14_what_a_worker_that_is_back_is_to_forget_may_begin_until_the_lease_is_over() {
    let (mut cluster, _) = sent();
    cluster.stop_with(1, StopOptions::new(None, true));
    cluster.restart();
    drain(&mut cluster);
    let (session, _) = cluster.greet(1, hello(2, vec![accepted(attempt(1, 1))]));
    assert!(answers(&cluster.confirm(session)).is_empty());
    cluster.disconnect(session);
    assert!(is_done(&cluster.pass(TIMINGS.lease + TIMINGS.grace), 1));
}

/// A silent worker is given up before it trusts its lease no more, if somebody wants that.
#[test]
fn i14_what_is_given_up_early_may_begin_until_the_lease_is_over() {
    let mut impatient = TIMINGS;
    impatient.reconcile_for = TIMINGS.lease / 2;
    let mut cluster = Cluster::with_timings(impatient).and_workers(1);
    let (session, _) = cluster.connect(1, 2);
    cluster.submit(1);
    drain(&mut cluster);
    cluster.disconnect(session);
    let step = cluster.pass(impatient.reconcile_for);
    assert!(answers(&step).is_empty());
    assert_ne!(cluster.job(1).state, JobState::Assigned, "it is given up");
    assert!(is_done(&cluster.pass(TIMINGS.lease + TIMINGS.grace), 1));
}

/// Heartbeats are answered while nothing can be committed, and so before the word that an attempt is forgotten.
#[test]
fn i14_answers_that_need_no_commit_move_the_time_in_which_what_was_given_up_may_begin() {
    let (mut cluster, session) = sent();
    cluster.stop_with(1, StopOptions::new(None, true));
    cluster.skip(TIMINGS.lease / 2);
    assert!(cluster.engine.renew(cluster.now, session));
    drain(&mut cluster);
    let nearly = just_before(TIMINGS.lease + TIMINGS.grace);
    assert!(answers(&cluster.pass_in_touch(session, nearly)).is_empty());
    assert!(is_done(&cluster.pass(MOMENT), 1));
}
