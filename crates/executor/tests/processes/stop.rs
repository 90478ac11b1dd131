//! Stop, grace, kill and timeout.

use jobyard_core::{Exit, InfraReason, Outcome, StopCause};
use jobyard_executor::{ProcessConfig, SupervisorEvent};

use crate::workbench::{LONG, SHORT, Workbench, is_alive};

const IGNORES_TERM: &str = "trap '' TERM; echo ready; exec sleep 600";

fn cancelled(exit: Exit) -> Outcome {
    Outcome::Cancelled { exit: Some(exit) }
}

#[tokio::test]
async fn handled_signal_leaves_the_exit_code_visible_p5() {
    let mut running =
        Workbench::script("trap 'echo bye; exit 3' TERM; echo ready; sleep 600 & wait").begin();
    running.printed("ready\n").await;
    running.stop(LONG).await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Exited(3)));
    assert_eq!(running.printed("bye").await, "ready\nbye\n");
}

#[tokio::test]
async fn ignored_signal_is_followed_by_the_kill_xj6() {
    let mut running = Workbench::script(IGNORES_TERM).begin();
    let SupervisorEvent::Started { at, .. } = running.event().await else {
        panic!("the start comes first");
    };
    running.printed("ready\n").await;
    running.stop(SHORT).await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Signaled(9)));
    let ran = ending.finished_at.as_micros() - at.as_micros();
    assert!(ran >= 90_000, "killed before its grace was over: {ran} us");
}

#[tokio::test]
async fn stopped_process_dies_xj6() {
    let mut running = Workbench::script("echo ready; kill -STOP $$; sleep 600").begin();
    running.printed("ready\n").await;
    running.stop(LONG).await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Signaled(15)));

    let mut running =
        Workbench::script("trap '' TERM; echo ready; while :; do kill -STOP $$; done").begin();
    running.printed("ready\n").await;
    running.stop(SHORT).await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Signaled(9)));
}

#[tokio::test]
async fn second_stop_shortens_the_grace() {
    let mut running = Workbench::script(IGNORES_TERM).begin();
    running.printed("ready\n").await;
    running.stop(LONG).await;
    running.stop(SHORT).await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Signaled(9)));
}

#[tokio::test]
async fn kill_needs_no_grace() {
    let mut running = Workbench::script(IGNORES_TERM).begin();
    running.printed("ready\n").await;
    running.handle.as_ref().expect("held").kill().await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Signaled(9)));
}

#[tokio::test]
async fn stop_before_the_start_is_answered_is_carried_out() {
    let mut running = Workbench::script("sleep 600").begin();
    running.stop(LONG).await;
    let ending = running.finished().await;
    assert_eq!(ending.outcome, cancelled(Exit::Signaled(15)));
}

#[tokio::test]
async fn timeout_is_its_own_outcome_p7() {
    let config = ProcessConfig::script("sleep 600");
    let mut running = Workbench::with_spec(&config, |spec| spec.timeout = Some(SHORT)).begin();
    let ending = running.finished().await;
    let exit = Some(Exit::Signaled(15));
    assert_eq!(ending.outcome, Outcome::TimedOut { exit });
}

#[tokio::test]
async fn ignored_timeout_is_followed_by_the_kill_p7() {
    let config = ProcessConfig::script(IGNORES_TERM);
    let bench = Workbench::with_spec(&config, |spec| {
        spec.timeout = Some(SHORT);
        spec.grace = SHORT;
    });
    let (ending, _) = bench.run().await;
    let exit = ending.outcome.exit();
    assert_eq!(ending.outcome, Outcome::TimedOut { exit });
}

#[tokio::test]
async fn stop_of_the_worker_is_no_ending_of_the_job() {
    let mut running = Workbench::script("echo ready; sleep 600").begin();
    running.printed("ready\n").await;
    let handle = running.handle.as_ref().expect("held");
    handle.stop(StopCause::WorkerStopping, LONG).await;
    let reason = InfraReason::WorkerRestarted;
    assert_eq!(running.finished().await.outcome, Outcome::Infra { reason });
}

#[tokio::test]
async fn dropped_handle_kills() {
    let mut running = Workbench::script("trap '' TERM; echo $$; exec sleep 600").begin();
    let pid = running.printed("\n").await;
    running.handle = None;
    let reason = InfraReason::WorkerRestarted;
    assert_eq!(running.finished().await.outcome, Outcome::Infra { reason });
    assert!(!is_alive(pid.trim()));
    assert!(running.left().is_empty());
}

#[tokio::test]
async fn handle_tells_when_all_is_over() {
    let mut running = Workbench::script("true").begin();
    let handle = running.handle.take().expect("held");
    running.finished().await;
    handle.ended().await;
    handle.stop(StopCause::Cancelled, LONG).await;
}
