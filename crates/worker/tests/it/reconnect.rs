//! Sessions break; attempts go on.

use std::time::Duration;

use crate::gate::Gate;
use crate::support::{Master, Session, attempt, config, start, within};
use jobyard_core::{
    Exit, HeldState, InfraReason, MasterMessage, Outcome, StopCause, Verdict, WorkerMessage,
};
use jobyard_worker::agent::ExitReason;

#[tokio::test]
async fn a_silent_master_is_left_while_the_attempt_runs_on() {
    let data = tempfile::tempdir().unwrap();
    let gate = Gate::new(data.path());
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::next(&mut sessions).await;
    session
        .welcome_with_lease(Duration::from_secs(2), Vec::new())
        .await;
    let a = attempt(1);
    session.assign(a, &gate.read()).await;
    session.started(a).await;
    // The master says nothing more.
    let mut next = Session::next(&mut sessions).await;
    assert!(matches!(
        next.hello.inventory[0].state,
        HeldState::Running { .. }
    ));
    next.welcome(Vec::new()).await;
    gate.say("").await;
    assert_eq!(next.finished(a).await.outcome, Outcome::Succeeded);
    drop(worker);
}

#[tokio::test]
async fn verdicts_stop_and_forget_what_runs() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let (stopped, forgotten) = (attempt(1), attempt(2));
    for attempt in [stopped, forgotten] {
        session.assign(attempt, "exec sleep 1000").await;
        session.started(attempt).await;
    }
    drop(session);
    let mut session = Session::next(&mut sessions).await;
    let (cause, grace) = (StopCause::Cancelled, Duration::from_secs(30));
    let verdicts = vec![
        (stopped, Verdict::Stop { cause, grace }),
        (forgotten, Verdict::Forget),
    ];
    session.welcome(verdicts).await;
    let report = session.finished(stopped).await;
    assert_eq!(
        report.outcome,
        Outcome::Cancelled {
            exit: Some(Exit::Signaled(15))
        }
    );
    drop(session);
    let session = Session::next(&mut sessions).await;
    assert_eq!(
        session.hello.inventory.len(),
        1,
        "the other one is not reported"
    );
    drop(worker);
}

#[tokio::test]
async fn a_removed_worker_stops_its_jobs_deletes_its_identity_and_ends() {
    let data = tempfile::tempdir().unwrap();
    let identity = data.path().join("identity");
    std::fs::create_dir(&identity).unwrap();
    std::fs::write(identity.join("credentials.pem"), "secret").unwrap();
    let (master, mut sessions) = Master::new();
    let mut config = config(data.path(), &master);
    config.identity = Some(identity.clone());
    let worker = jobyard_worker::Worker::start(config).await.unwrap();
    let mut session = Session::open(&mut sessions).await;
    session.assign(attempt(1), "exec sleep 1000").await;
    session.started(attempt(1)).await;
    session.say(MasterMessage::Removed).await;
    assert_eq!(within(worker.wait()).await, ExitReason::Removed);
    assert!(!identity.exists());
}

#[tokio::test]
async fn a_timeout_is_kept_without_a_master() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    let mut assignment = crate::support::assignment(a, "exec sleep 1000");
    let mut spec = assignment.spec.to_spec();
    spec.timeout = Some(Duration::from_millis(300));
    assignment.spec = spec.validate().unwrap();
    session.say(MasterMessage::Assign(assignment)).await;
    session.started(a).await;
    drop(session);
    let mut session = Session::open(&mut sessions).await;
    let outcome = match session.hello.inventory[0].state.clone() {
        HeldState::Finished(report) => report.outcome,
        _ => session.finished(a).await.outcome,
    };
    assert_eq!(
        outcome,
        Outcome::TimedOut {
            exit: Some(Exit::Signaled(15))
        }
    );
    drop(worker);
}

#[tokio::test]
async fn a_worker_whose_handle_is_dropped_stops_what_runs_and_leaves() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session.assign(a, "exec sleep 1000").await;
    session.started(a).await;
    drop(worker);
    assert_eq!(session.hear().await, WorkerMessage::Accepting(false));
    let report = session.finished(a).await;
    assert_eq!(
        report.outcome,
        Outcome::Infra {
            reason: InfraReason::WorkerRestarted
        }
    );
    session.forget(a).await;
    session.left().await;
}
