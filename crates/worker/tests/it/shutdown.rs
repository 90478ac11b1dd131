//! A worker ends in order.

use std::time::Duration;

use crate::gate::Gate;
use crate::support::{Master, Session, attempt, start, within};
use jobyard_core::{DeclineReason, InfraReason, Outcome, WorkerMessage};
use jobyard_worker::agent::{ExitReason, ShutdownMode};

const DRAIN: ShutdownMode = ShutdownMode::Drain {
    timeout: Duration::from_mins(10),
};

#[tokio::test]
async fn a_drain_waits_for_what_runs_and_takes_nothing_new() {
    let data = tempfile::tempdir().unwrap();
    let gate = Gate::new(data.path());
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let (a, b) = (attempt(1), attempt(2));
    session
        .assign(a, &format!("{}; echo done", gate.read()))
        .await;
    session.started(a).await;
    worker.shutdown(DRAIN).await;
    assert_eq!(session.hear().await, WorkerMessage::Accepting(false));
    session.assign(b, "true").await;
    let reason = DeclineReason::Stopping;
    assert_eq!(
        session.hear().await,
        WorkerMessage::Declined { attempt: b, reason }
    );
    gate.say("").await;
    assert_eq!(session.finished(a).await.outcome, Outcome::Succeeded);
    master.log(a, |log| log.end.is_some()).await;
    session.forget(a).await;
    assert_eq!(within(worker.wait()).await, ExitReason::Finished);
}

#[tokio::test]
async fn a_second_order_kills_what_ignores_the_first() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session
        .assign(a, "trap '' TERM; echo ready; while :; do sleep 1000; done")
        .await;
    session.started(a).await;
    master.log(a, |log| !log.bytes.is_empty()).await;
    worker.shutdown(DRAIN).await;
    worker.shutdown(ShutdownMode::Stop).await;
    assert_eq!(session.hear().await, WorkerMessage::Accepting(false));
    let report = session.finished(a).await;
    assert_eq!(
        report.outcome,
        Outcome::Infra {
            reason: InfraReason::WorkerRestarted
        }
    );
    session.forget(a).await;
    assert_eq!(within(worker.wait()).await, ExitReason::Finished);
}
