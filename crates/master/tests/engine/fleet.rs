//! Administrators and workers decide who gets jobs.

use jobyard_core::{
    AdminState, ClosingReason, ControlError, InfraReason, JobState, MasterMessage, Worker,
    WorkerCommand, WorkerMessage, WorkerState,
};
use jobyard_master::engine::{Answer, Effect, Input};

use crate::cluster::{Cluster, TIMINGS};
use crate::step::Step;
use crate::vocabulary::{attempt, exit, hello, infra, lost_from, name, running, worker};

fn shown(step: &Step) -> Worker {
    match step.answer() {
        Answer::Worker(worker) => *worker,
        other => panic!("a worker: {other:?}"),
    }
}

#[test]
fn a_suspended_worker_keeps_its_jobs_and_gets_none() {
    let (mut cluster, session) = Cluster::with_one(2);
    cluster.submit(1);
    let step = cluster.set_worker(&name(1), WorkerCommand::Suspend);
    assert!(step.is_durable());
    assert_eq!(shown(&step).state(), WorkerState::Suspended);
    assert_eq!(shown(&step).attempts, [attempt(1, 1)]);
    assert!(cluster.submit(2).assigned().is_empty());
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(cluster.job(1).outcome, Some(exit(0)));
    assert_eq!(cluster.job(2).state, JobState::Queued);
}

#[test]
fn a_suspended_worker_stays_suspended_when_it_comes_back() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.set_worker(&name(1), WorkerCommand::Suspend);
    cluster.disconnect(session);
    cluster.submit(1);
    let (session, step) = cluster.connect(1, 1);
    assert!(step.assigned().is_empty());
    let step = cluster.say(session, WorkerMessage::Accepting(true));
    assert!(step.assigned().is_empty(), "it has no say in this");
}

#[test]
fn a_resumed_worker_gets_what_waits() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.set_worker(&name(1), WorkerCommand::Suspend);
    cluster.submit(1);
    let step = cluster.set_worker(&name(1), WorkerCommand::Resume);
    assert_eq!(step.assigned_to(session), [attempt(1, 1)]);
    assert_eq!(shown(&step).admin, AdminState::Active);
}

#[test]
fn a_worker_that_takes_no_more_gets_none_and_is_shown_as_draining() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.say(session, WorkerMessage::Accepting(false));
    assert!(cluster.submit(1).assigned().is_empty());
    let worker = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(worker.state(), WorkerState::Draining);
    let step = cluster.say(session, WorkerMessage::Accepting(true));
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}

#[test]
fn a_worker_may_say_with_its_first_word_that_it_takes_none() {
    let mut cluster = Cluster::with_workers(1);
    cluster.submit(1);
    let mut ending = hello(1, Vec::new());
    ending.accepting = false;
    let (_, step) = cluster.connect_as(1, ending);
    assert!(step.assigned().is_empty());
}

#[test]
fn a_removed_worker_is_told_closed_and_no_member_any_more() {
    let (mut cluster, session) = Cluster::with_one(1);
    let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
    assert!(step.is_durable());
    assert_eq!(step.sent(session), [MasterMessage::Removed]);
    assert_eq!(
        step.closed(),
        [(session, Some(ClosingReason::Replaced))],
        "after the word"
    );
    let gone = Effect::Membership {
        worker: worker(1),
        member: false,
    };
    assert!(step.effects.contains(&gone));
    assert_eq!(shown(&step).state(), WorkerState::Removed);
    assert!(!cluster.is_member(1));
    assert!(cluster.submit(1).assigned().is_empty());
    let late = cluster.say(session, WorkerMessage::Heartbeat);
    assert_eq!(late, Step::default());
}

#[test]
fn jobs_of_a_removed_worker_run_elsewhere() {
    let (mut cluster, session) = {
        let mut cluster = Cluster::with_workers(2);
        let (session, _) = cluster.connect(1, 1);
        (cluster, session)
    };
    cluster.submit(1);
    cluster.started(session, attempt(1, 1));
    let (second, _) = cluster.connect(2, 1);
    let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
    assert_eq!(step.assigned_to(second), [attempt(1, 2)]);
    assert_eq!(step.abandoned(), [attempt(1, 1)], "once");
    let removed = infra(InfraReason::WorkerRemoved);
    assert_eq!(cluster.job(1).attempts[0].outcome, Some(removed));
    let step = cluster.log_settled(attempt(1, 1), lost_from(0));
    assert_eq!(step.revoked(), [attempt(1, 1)]);
}

#[test]
fn output_of_a_removed_worker_is_given_up_once() {
    let (mut cluster, session) = Cluster::with_one(2);
    cluster.submit(1);
    cluster.submit(2);
    cluster.finished(session, attempt(1, 1), exit(0), 300);
    let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
    let mut abandoned = step.abandoned();
    abandoned.sort();
    assert_eq!(abandoned, [attempt(1, 1), attempt(2, 1)]);
    let step = cluster.pass(TIMINGS.reconcile_for);
    assert!(step.abandoned().is_empty());
}

#[test]
fn a_silent_worker_can_be_removed() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.disconnect(session);
    let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
    assert!(step.closed().is_empty());
    assert_eq!(cluster.job(1).state, JobState::Queued);
    let (session, step) = cluster.connect_as(1, hello(1, vec![running(attempt(1, 1))]));
    assert_eq!(step.refusals().len(), 1);
    assert!(step.sent(session).is_empty());
}

#[test]
fn a_name_is_free_again_once_its_worker_is_removed() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_worker(&name(1), WorkerCommand::Remove);
    let answer = cluster.join(200, 9, &name(1)).answer();
    assert!(matches!(answer, Answer::Enrolled { worker: id, .. } if id == worker(9)));
    let found = cluster.engine.find_worker(&name(1)).expect("the new one");
    assert_eq!(found.id, worker(9));
    let id = worker(1).to_string();
    assert_eq!(cluster.engine.find_worker(&id), None, "the old one is gone");
    let all = cluster.engine.workers(true);
    assert_eq!(all.len(), 2);
    assert_eq!(cluster.engine.workers(false).len(), 1);
}

#[test]
fn a_worker_is_found_by_its_id() {
    let mut cluster = Cluster::with_workers(2);
    let id = worker(2).to_string();
    let step = cluster.set_worker(&id, WorkerCommand::Suspend);
    assert_eq!(shown(&step).name, name(2));
    assert_eq!(cluster.worker(1).admin, AdminState::Active);
    assert_eq!(cluster.worker(2).admin, AdminState::Suspended);
}

#[test]
fn an_unknown_or_removed_worker_is_not_found() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_worker(&name(1), WorkerCommand::Remove);
    for unknown in [name(1), name(7), worker(1).to_string(), String::new()] {
        let step = cluster.set_worker(&unknown, WorkerCommand::Resume);
        let error = ControlError::NotFound {
            what: "worker",
            id: unknown,
        };
        assert_eq!(step.answer(), Answer::Refused(error));
        assert!(step.audit().is_empty());
    }
}

#[test]
fn what_administrators_do_is_in_the_audit_trail() {
    let mut cluster = Cluster::with_workers(1);
    for (command, action) in [
        (WorkerCommand::Suspend, "worker.suspend"),
        (WorkerCommand::Resume, "worker.resume"),
        (WorkerCommand::Remove, "worker.remove"),
    ] {
        let entries = cluster.set_worker(&name(1), command).audit();
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!((&*entry.who, &*entry.action), ("olga", action));
        assert_eq!(entry.subject, worker(1).to_string());
        assert_eq!(entry.result, "ok");
        assert_eq!(entry.at, cluster.now.wall);
    }
}

#[test]
fn what_was_refused_outside_is_in_the_audit_trail() {
    let mut cluster = Cluster::new();
    let text = |text: &str| text.to_owned();
    let step = cluster.tell(Input::Refused {
        who: text("eve"),
        action: text("job.stop"),
        subject: text("x"),
        cause: text("not allowed"),
    });
    let entry = &step.audit()[0];
    assert_eq!(entry.seq, 1);
    assert_eq!((&*entry.who, &*entry.result), ("eve", "not allowed"));
}

#[test]
fn a_worker_that_comes_back_with_another_capacity_is_used_by_it() {
    let (mut cluster, session) = Cluster::with_one(1);
    for n in 1..=3 {
        cluster.submit(n);
    }
    cluster.disconnect(session);
    let (session, step) = cluster.connect_as(1, hello(3, vec![running(attempt(1, 1))]));
    assert_eq!(step.assigned_to(session), [attempt(2, 1), attempt(3, 1)]);
    cluster.disconnect(session);
    cluster.submit(4);
    let held = (1..=3).map(|n| running(attempt(n, 1))).collect();
    let (session, step) = cluster.connect_as(1, hello(1, held));
    assert!(step.assigned().is_empty(), "more is taken than there is");
    for n in 1..=2 {
        let step = cluster.finished(session, attempt(n, 1), exit(0), 0);
        assert!(step.assigned().is_empty());
    }
    let step = cluster.finished(session, attempt(3, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(4, 1)]);
}
