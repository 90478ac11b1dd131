//! An operator empties a worker: once that is acknowledged, no job starts there.

mod away;

use std::time::Duration;

use jobyard_core::{
    AdminState, ControlError, DeclineReason, Exit, FEATURE_DRAIN, Happening, Hello, InfraReason,
    JobState, MasterMessage, Outcome, SessionId, StopCause, Verdict, WorkerCommand, WorkerMessage,
    WorkerState,
};
use jobyard_master::engine::{Answer, Effect};

use crate::cluster::{Cluster, TIMINGS};
use crate::step::Step;
use crate::vocabulary::{
    GRACE, MOMENT, attempt, complete, draft, exit, hello, infra, just_before, name, running, worker,
};

const DRAIN: WorkerCommand = WorkerCommand::Drain { deadline: None };
const TIME: Duration = Duration::from_mins(10);
const DRAINED: Outcome = infra(InfraReason::WorkerDrained);
const STOP: Verdict = Verdict::Stop {
    cause: StopCause::Drained,
    grace: GRACE,
};

fn drain(cluster: &mut Cluster) -> Step {
    cluster.set_worker(&name(1), DRAIN)
}

fn drain_within(cluster: &mut Cluster, time: Duration) -> Step {
    let deadline = Some(time);
    cluster.set_worker(&name(1), WorkerCommand::Drain { deadline })
}

/// One worker with two slots that was sent job 1.
fn sent() -> (Cluster, SessionId) {
    let (mut cluster, session) = Cluster::with_one(2);
    cluster.submit(1);
    (cluster, session)
}

/// The same, and the job runs.
fn busy() -> (Cluster, SessionId) {
    let (mut cluster, session) = sent();
    cluster.started(session, attempt(1, 1));
    (cluster, session)
}

fn answers(step: &Step) -> Vec<Answer> {
    let replies = step.effects.iter().filter_map(|effect| match effect {
        Effect::Reply { answer, .. } => Some(answer.clone()),
        _ => None,
    });
    replies.collect()
}

/// Whether it was acknowledged, to so many.
fn is_done(step: &Step, callers: usize) -> bool {
    let answers = answers(step);
    let done = |answer: &Answer| matches!(answer, Answer::Worker(worker) if worker.admin == AdminState::Draining);
    answers.len() == callers && callers > 0 && answers.iter().all(done)
}

fn stopped(step: &Step) -> Vec<(StopCause, Duration)> {
    let sent = step.effects.iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => match **message {
            MasterMessage::Stop { cause, grace, .. } => Some((cause, grace)),
            _ => None,
        },
        _ => None,
    });
    sent.collect()
}

fn drained_events(cluster: &Cluster) -> usize {
    let worker_id = worker(1);
    let drained = Happening::WorkerDrained { worker_id };
    let events = cluster.events();
    events.iter().filter(|event| **event == drained).count()
}

fn decline(cluster: &mut Cluster, session: SessionId) -> Step {
    let (attempt, reason) = (attempt(1, 1), DeclineReason::Stopping);
    cluster.say(session, WorkerMessage::Declined { attempt, reason })
}

fn old_hello() -> Hello {
    let mut old = hello(2, Vec::new());
    old.protocol.features.remove(FEATURE_DRAIN);
    old
}

#[test]
fn w3_a_worker_that_drains_finishes_its_jobs_and_gets_none() {
    let (mut cluster, session) = busy();
    let step = drain(&mut cluster);
    assert!(step.is_durable());
    assert!(is_done(&step, 1), "what runs has begun: {step:?}");
    assert_eq!(step.sent(session), [MasterMessage::Draining(true)]);
    assert_eq!(cluster.worker(1).admin, AdminState::Draining);
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.state(), WorkerState::Draining);
    assert!(cluster.submit(2).assigned().is_empty());
    cluster.finishes_and_gets_no_more(session);
}

#[test]
fn i14_the_answer_waits_until_what_was_on_its_way_has_begun() {
    let (mut cluster, session) = sent();
    let step = drain(&mut cluster);
    assert!(answers(&step).is_empty());
    let step = cluster.say(session, WorkerMessage::Heartbeat);
    assert!(answers(&step).is_empty());
    let step = cluster.started(session, attempt(1, 1));
    assert!(is_done(&step, 1), "{step:?}");
    assert_eq!(cluster.job(1).state, JobState::Running, "it goes on");
}

#[test]
fn fw14_what_was_on_its_way_and_is_declined_goes_elsewhere_at_once_at_no_cost() {
    let mut cluster = Cluster::with_workers(2);
    let (session, _) = cluster.connect(1, 1);
    let mut spec = draft("{}");
    (spec.infra_retries, spec.repeatable) = (0, false);
    cluster.submit_spec(1, spec);
    let (second, _) = cluster.connect(2, 1);
    drain(&mut cluster);
    let step = decline(&mut cluster, session);
    assert!(is_done(&step, 1));
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
    assert_eq!(cluster.job(1).infra_failures, 0);
}

#[test]
fn i14_what_was_stopped_on_its_way_counts_only_once_it_is_over() {
    let (mut cluster, session) = sent();
    drain(&mut cluster);
    let step = cluster.stop(1);
    assert_eq!(answers(&step), [Answer::Stopping(JobState::Stopping)]);
    let cancelled = Outcome::Cancelled { exit: None };
    let step = cluster.finished(session, attempt(1, 1), cancelled, 0);
    assert!(is_done(&step, 1));
}

#[test]
fn every_caller_hears_of_it() {
    let (mut cluster, session) = sent();
    for _ in 0..3 {
        let step = drain(&mut cluster);
        assert!(answers(&step).is_empty());
    }
    let step = cluster.started(session, attempt(1, 1));
    assert!(is_done(&step, 3));
    let step = drain(&mut cluster);
    assert!(is_done(&step, 1), "again is the same");
    assert!(step.sent(session).is_empty());
}

#[test]
fn a_worker_that_does_not_know_of_drains_is_not_told_and_waited_for() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.connect_as(1, old_hello());
    cluster.submit(1);
    let step = drain(&mut cluster);
    assert!(step.sent(session).is_empty() && answers(&step).is_empty());
    let step = cluster.started(session, attempt(1, 1));
    assert!(is_done(&step, 1));
    let step = cluster.set_worker(&name(1), WorkerCommand::Resume);
    assert!(step.sent(session).is_empty());
}

#[test]
fn a_worker_that_does_not_know_of_drains_is_told_to_stop_as_ever() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.connect_as(1, old_hello());
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    drain_within(&mut cluster, TIME);
    let step = cluster.pass_in_touch(session, TIME);
    assert_eq!(stopped(&step), [(StopCause::Cancelled, GRACE)]);
    let exit = Some(Exit::Signaled(15));
    cluster.finished(session, attempt(1, 1), Outcome::Cancelled { exit }, 0);
    let record = cluster.job(1);
    assert_eq!(record.attempts[0].outcome, Some(DRAINED), "nobody asked");
    assert_eq!(record.state, JobState::Queued);
}

#[test]
fn w3_resuming_undoes_it() {
    let (mut cluster, session) = busy();
    drain_within(&mut cluster, TIME);
    cluster.submit(2);
    let step = cluster.set_worker(&name(1), WorkerCommand::Resume);
    assert_eq!(step.sent(session), [MasterMessage::Draining(false)]);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
    assert_eq!(cluster.worker(1).drain, None);
    let later = cluster.pass_in_touch(session, TIME * 2);
    assert!(stopped(&later).is_empty(), "its time does not count");
    let (_, step) = cluster.connect_as(1, hello(2, vec![running(attempt(1, 1))]));
    assert!(!step.welcome().draining);
    assert_eq!(step.verdicts(), [(attempt(1, 1), Verdict::Keep)]);
}

#[test]
fn w3_a_worker_that_declined_for_a_drain_gets_jobs_once_it_is_resumed() {
    for resumed_first in [false, true] {
        let (mut cluster, session) = sent();
        drain(&mut cluster);
        if resumed_first {
            cluster.set_worker(&name(1), WorkerCommand::Resume);
        }
        let step = decline(&mut cluster, session);
        let step = if resumed_first {
            step
        } else {
            assert!(step.assigned().is_empty());
            cluster.set_worker(&name(1), WorkerCommand::Resume)
        };
        assert_eq!(step.assigned(), [attempt(1, 2)]);
    }
}

#[test]
fn whoever_waits_for_a_drain_hears_what_was_done_instead() {
    for (command, done) in [
        (WorkerCommand::Resume, "resumed"),
        (WorkerCommand::Suspend, "suspended"),
        (WorkerCommand::Remove, "removed"),
    ] {
        let (mut cluster, _) = sent();
        drain(&mut cluster);
        drain(&mut cluster);
        let answers = answers(&cluster.set_worker(&name(1), command));
        assert_eq!(answers.len(), 3);
        let problem = format!("the worker was {done} before its drain was done");
        let undone = Answer::Refused(ControlError::Conflict { problem });
        assert_eq!(&answers[..2], &[undone.clone(), undone]);
        assert!(matches!(answers[2], Answer::Worker(_)));
    }
}

#[test]
fn a_suspended_worker_can_be_drained_and_one_that_drains_suspended() {
    let (mut cluster, session) = busy();
    cluster.set_worker(&name(1), WorkerCommand::Suspend);
    assert!(is_done(&drain(&mut cluster), 1));
    let step = cluster.set_worker(&name(1), WorkerCommand::Suspend);
    assert_eq!(step.sent(session), [MasterMessage::Draining(false)]);
    assert_eq!(cluster.worker(1).admin, AdminState::Suspended);
    assert!(cluster.submit(2).assigned().is_empty());
}

#[test]
fn w3_what_still_runs_when_its_time_is_over_is_stopped_and_runs_elsewhere() {
    let mut cluster = Cluster::with_workers(2);
    let (session, _) = cluster.connect(1, 2);
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    drain_within(&mut cluster, TIME);
    let step = cluster.pass_in_touch(session, just_before(TIME));
    assert!(stopped(&step).is_empty());
    let step = cluster.pass(MOMENT);
    assert_eq!(stopped(&step), [(StopCause::Drained, GRACE)]);
    let (second, _) = cluster.connect(2, 1);
    let step = cluster.finished(session, attempt(1, 1), DRAINED, 0);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
    assert_eq!(cluster.job(1).infra_failures, 1);
    assert_eq!(drained_events(&cluster), 1);
}

#[test]
fn what_ends_by_itself_before_it_is_stopped_counts_as_it_ended() {
    let (mut cluster, session) = busy();
    drain_within(&mut cluster, TIME);
    cluster.pass_in_touch(session, TIME);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(exit(0)));
}

#[test]
fn a_worker_that_is_away_when_its_time_is_over_is_told_when_it_is_back() {
    let (mut cluster, session) = busy();
    drain_within(&mut cluster, TIMINGS.lease);
    cluster.disconnect(session);
    cluster.pass(TIMINGS.lease);
    for _ in 0..2 {
        let (_, step) = cluster.connect_as(1, hello(2, vec![running(attempt(1, 1))]));
        assert_eq!(step.verdicts(), [(attempt(1, 1), STOP)]);
        cluster.restart();
    }
}

#[test]
fn a_second_drain_can_only_bring_the_end_nearer() {
    let (mut cluster, session) = busy();
    drain_within(&mut cluster, TIME);
    for longer in [
        DRAIN,
        WorkerCommand::Drain {
            deadline: Some(TIME * 2),
        },
    ] {
        cluster.set_worker(&name(1), longer);
        assert_eq!(
            cluster.worker(1).drain.and_then(|drain| drain.left),
            Some(TIME)
        );
    }
    drain_within(&mut cluster, TIME / 2);
    let step = cluster.pass_in_touch(session, TIME / 2);
    assert_eq!(stopped(&step).len(), 1);
}

#[test]
fn r2_a_restart_keeps_the_drain_and_what_is_left_of_its_time() {
    let (mut cluster, session) = busy();
    drain_within(&mut cluster, TIME);
    cluster.pass_in_touch(session, TIME / 2);
    cluster.restart();
    let (session, step) = cluster.connect_as(1, hello(2, vec![running(attempt(1, 1))]));
    assert!(step.welcome().draining);
    assert!(cluster.submit(2).assigned().is_empty());
    let early = cluster.pass_in_touch(session, just_before(TIME / 2));
    assert!(stopped(&early).is_empty(), "not sooner");
    let step = cluster.pass_in_touch(session, TIME / 4);
    assert_eq!(stopped(&step).len(), 1, "nor as if it began anew");
    cluster.finished(session, attempt(1, 1), DRAINED, 0);
    assert_eq!(drained_events(&cluster), 1);
}

#[test]
fn r2_whoever_waited_for_a_drain_when_the_master_ended_may_ask_again() {
    let (mut cluster, _) = sent();
    drain(&mut cluster);
    cluster.restart();
    assert!(answers(&drain(&mut cluster)).is_empty());
    let (session, _) = cluster.greet(1, hello(2, vec![running(attempt(1, 1))]));
    assert!(is_done(&cluster.confirm(session), 1));
}

#[test]
fn that_nothing_is_left_is_said_once_and_after_its_output() {
    let (mut cluster, session) = busy();
    drain(&mut cluster);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    assert_eq!(drained_events(&cluster), 0, "its output is still there");
    cluster.log_settled(attempt(1, 1), complete(300));
    assert_eq!(drained_events(&cluster), 1);
    drain(&mut cluster);
    cluster.restart();
    cluster.connect(1, 1);
    assert_eq!(drained_events(&cluster), 1);
    cluster.set_worker(&name(1), WorkerCommand::Resume);
    drain(&mut cluster);
    assert_eq!(drained_events(&cluster), 2, "another drain");
}

#[test]
fn drains_are_told_of_and_in_the_audit_trail() {
    let (mut cluster, _) = busy();
    let step = drain(&mut cluster);
    let entry = &step.audit()[0];
    assert_eq!((&*entry.who, &*entry.action), ("olga", "worker.drain"));
    let draining = Happening::WorkerDraining {
        worker_id: worker(1),
        by: "olga".to_owned(),
    };
    assert!(cluster.events().contains(&draining));
}

#[test]
fn a_time_beyond_every_limit_is_refused() {
    let (mut cluster, _) = busy();
    let step = drain_within(&mut cluster, Duration::MAX);
    assert!(matches!(
        step.answer(),
        Answer::Refused(ControlError::Invalid { .. })
    ));
    assert_eq!(cluster.worker(1).admin, AdminState::Active);
}
