//! How a process that ends by itself is reported.

use jobyard_core::{Exit, Outcome};
use jobyard_executor::{ProcessConfig, SupervisorEvent};

use crate::workbench::Workbench;

#[tokio::test]
async fn exit_code_is_reported_p4() {
    let (ending, _) = Workbench::script("exit 7").run().await;
    let exit = Exit::Exited(7);
    assert_eq!(ending.outcome, Outcome::Failed { exit });
    assert_eq!(ending.problem, None);
}

#[tokio::test]
async fn signal_is_no_exit_code_p4() {
    let (ending, _) = Workbench::script("kill -SEGV $$").run().await;
    let exit = Exit::Signaled(11);
    assert_eq!(ending.outcome, Outcome::Failed { exit });
    let (ending, _) = Workbench::script("exit 139").run().await;
    let exit = Exit::Exited(139);
    assert_eq!(ending.outcome, Outcome::Failed { exit });
}

#[tokio::test]
async fn pid_and_times_are_reported_p1() {
    let mut running = Workbench::new(&ProcessConfig::command(["sh", "-c", "echo $$"])).begin();
    let SupervisorEvent::Started { pid, trace, at } = running.event().await else {
        panic!("the start comes first");
    };
    let ending = running.finished().await;
    let printed = running.printed("\n").await;
    assert_eq!(pid.expect("a process").to_string(), printed.trim());
    assert_eq!(trace.map(|trace| trace.pid), pid);
    assert_eq!(ending.started_at, Some(at));
    assert!(ending.finished_at >= at);
    assert!(running.left().is_empty());
}
