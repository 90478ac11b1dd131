//! Attempts that have a time by which they are over.

use std::time::Duration;

use jobyard_clock::SystemClock;
use jobyard_core::{Clock, Executor, Exit, InfraReason, Outcome, StartError, Steady};
use jobyard_executor::LeftBehind;

use crate::adopt::{ending_when_adopted, life, output, start};
use crate::upgrade::{disguise_only, only_launcher};
use crate::workbench::{LONG, SHORT, Workbench, is_alive};

/// Soon, and not before a start is answered.
const SOON: Duration = Duration::from_secs(1);
const EXPIRED: Outcome = Outcome::Infra {
    reason: InfraReason::LeaseExpired,
};

fn now() -> Steady {
    SystemClock::new().now().steady
}

fn bound(until: Steady) -> Workbench {
    let mut bench = Workbench::script("trap '' TERM; setsid sleep 600 & echo ready; sleep 600");
    bench.context.until = Some(until);
    bench
}

/// Returns once it is later than this: something else was ended for that reason.
async fn wait_until(until: Steady) {
    let (ending, _running) = bound(until.max(now() + SOON)).run().await;
    assert_eq!(ending.outcome, EXPIRED);
    assert!(now() >= until);
}

#[tokio::test]
async fn attempt_whose_time_is_over_is_no_failure_of_the_job_i5() {
    let until = now() + SOON;
    let (ending, _running) = bound(until).run().await;
    assert!(now() >= until);
    assert_eq!(ending.outcome, EXPIRED);
    assert!(!ending.residue.unconfirmed, "{:?}", ending.residue);
    assert!(ending.residue.killed >= 1, "{:?}", ending.residue);
    assert!(
        ending
            .problem
            .is_some_and(|problem| problem.contains("launcher"))
    );
}

#[tokio::test]
async fn time_that_is_moved_on_ends_nothing() {
    let until = now() + SOON;
    let mut running = bound(until).begin();
    let handle = running.handle.as_ref().expect("not dropped");
    // Also before there is anything to extend.
    handle.extend(now() + LONG).await;
    running.printed("ready\n").await;
    wait_until(until).await;
    running.stop(SHORT).await;
    let exit = Some(Exit::Signaled(9));
    assert_eq!(
        running.finished().await.outcome,
        Outcome::Cancelled { exit }
    );
}

#[tokio::test]
async fn attempt_dies_while_its_agent_is_gone_and_the_next_one_is_told_why_i5_fw1() {
    let until = now() + SOON * 2;
    let bench = bound(until);
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    let pid = execution.pid().expect("a process").to_string();
    execution.detach().await;
    drop(first);
    wait_until(until + SOON).await;
    assert!(!is_alive(&pid), "nobody was there to end it");

    let ending = ending_when_adopted(&bench, LeftBehind::default()).await;
    assert_eq!(ending.outcome, EXPIRED);
    assert!(!ending.residue.unconfirmed);
}

#[tokio::test]
async fn attempt_whose_time_is_over_is_not_started() {
    let mut unbound = bound(now());
    unbound.context.start_by = unbound.context.until.take();
    for bench in [bound(now()), unbound] {
        let executor = life(&bench).await;
        let (_, nowhere) = output();
        let error = executor.start(bench.context.clone(), nowhere).await;
        let reason = InfraReason::NeverStarted;
        assert!(
            matches!(error, Err(StartError::Worker { reason: why, .. }) if why == reason),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn launcher_from_before_such_times_is_not_asked_and_gets_no_new_starts() {
    let until = now() + SOON * 3;
    let bench = bound(until);
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    let old = first
        .launcher()
        .and_then(jobyard_executor::launcher::Launcher::pid);
    execution.detach().await;
    drop(first);
    disguise_only(&only_launcher(&bench), |welcome| welcome.leases = false);

    let second = life(&bench).await;
    let new = second
        .launcher()
        .and_then(jobyard_executor::launcher::Launcher::pid);
    assert_ne!(new, old, "starts go to one that knows");
    let (_, nowhere) = output();
    let adopted = second.adopt(bench.context.clone(), None, nowhere).await;
    let execution = adopted.expect("the older launcher has it");
    execution.extend(now() + LONG).await;
    // It was not asked: it is another one in disguise, and would have done it.
    let lost = execution.wait().await.expect_err("its time is over");
    assert_eq!(lost.reason, InfraReason::LeaseExpired);
    execution.cleanup().await;
    second.forget(bench.context.attempt).await;
}
