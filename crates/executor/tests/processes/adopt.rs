//! What an earlier life of the agent left.

use std::sync::Arc;

use jobyard_clock::SystemClock;
use jobyard_core::{
    Execution, ExecutionTrace, Executor, Exit, InfraReason, Outcome, Output, OutputSink, Timestamp,
};
use jobyard_executor::{LeftBehind, SupervisorEvent, adopt};
use tokio::sync::mpsc;

use crate::workbench::{Sink, Workbench, files_of_attempts};

/// Three processes in one group.
const TREE: &str = "sleep 600 & sleep 600 & echo ready; wait";

async fn start(bench: &Workbench) -> Box<dyn Execution> {
    let sink = Arc::new(Sink::default());
    let output = Output::new(Arc::clone(&sink) as Arc<dyn OutputSink>);
    let started = bench.executor.start(bench.context.clone(), output).await;
    let execution = started.expect("it starts");
    sink.printed("ready\n").await;
    execution
}

fn nowhere() -> Output {
    Output::new(Arc::new(Sink::default()))
}

#[tokio::test]
async fn left_over_group_is_killed_and_counted() {
    let bench = Workbench::script(TREE);
    let execution = start(&bench).await;
    let (events, mut reports) = mpsc::channel(1);
    let left = LeftBehind {
        trace: execution.trace(),
        started_at: Some(Timestamp::from_micros(17)),
        time_left: None,
    };
    let _handle = adopt(
        Arc::new(bench.executor.clone()),
        bench.context.clone(),
        left,
        nowhere(),
        Arc::new(SystemClock::new()),
        events,
    );
    let Some((_, SupervisorEvent::Finished(ending))) = reports.recv().await else {
        panic!("it is not found, so that the end is all there is");
    };
    let reason = InfraReason::WorkerRestarted;
    assert_eq!(ending.outcome, Outcome::Infra { reason });
    assert_eq!(ending.started_at, Some(Timestamp::from_micros(17)));
    assert_eq!(ending.residue.killed, 3);
    assert!(files_of_attempts(bench.base.path()).is_empty());
    assert_eq!(execution.wait().await, Ok(Exit::Signaled(9)));
}

#[tokio::test]
async fn process_with_the_same_number_is_left_alone() {
    let bench = Workbench::script(TREE);
    let execution = start(&bench).await;
    let trace = execution.trace().expect("Linux has start times");
    let other = ExecutionTrace::new(trace.pid, trace.start_time + 1);
    let gone = bench
        .executor
        .adopt(bench.context.clone(), Some(other), nowhere())
        .await
        .expect_err("never found");
    assert_eq!(gone.killed, 0);
    execution.kill().await.expect("still there");
    assert_eq!(execution.wait().await, Ok(Exit::Signaled(9)));
}
