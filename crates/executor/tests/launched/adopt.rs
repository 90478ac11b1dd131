//! What a later life of this program finds.

use std::sync::Arc;
use std::time::Duration;

use jobyard_clock::SystemClock;
use jobyard_core::{Execution, Executor, Exit, Outcome, Output, OutputSink, OutputStream, Residue};
use jobyard_executor::launcher::Launcher;
use jobyard_executor::{Ending, LeftBehind, ProcessExecutor, SupervisorEvent, adopt, supervise};
use tokio::sync::mpsc;

use crate::way;
use crate::workbench::{Sink, Workbench, files_of_attempts};

/// One life of a program with a launcher in the directory of the bench.
pub(crate) async fn life(bench: &Workbench) -> ProcessExecutor {
    let options = way::options(bench.base.path());
    ProcessExecutor::launched(Launcher::open_with(options).await.expect("a launcher"))
}

pub(crate) fn output() -> (Arc<Sink>, Output) {
    let sink = Arc::new(Sink::default());
    let output = Output::new(Arc::clone(&sink) as Arc<dyn OutputSink>);
    (sink, output)
}

pub(crate) async fn start(executor: &ProcessExecutor, bench: &Workbench) -> Box<dyn Execution> {
    let (sink, output) = output();
    let started = executor.start(bench.context.clone(), output).await;
    let execution = started.expect("it starts");
    sink.printed("ready\n").await;
    execution
}

/// A job that prints `ready`, goes on when somebody opens its gate, and ends with the code 7.
pub(crate) fn gated() -> (Workbench, String) {
    let gate = tempfile::tempdir().expect("a directory").keep();
    let path = gate.join("gate").to_str().expect("text").to_owned();
    let script = format!(
        "mkfifo {path}; echo ready; read line <{path}; rm -r {}; echo \"$line\"; exit 7",
        gate.display()
    );
    (Workbench::script(&script), path)
}

pub(crate) async fn open_gate(path: &str, line: &str) {
    let (path, line) = (path.to_owned(), format!("{line}\n"));
    let opened = tokio::task::spawn_blocking(move || std::fs::write(path, line));
    opened.await.expect("no panic").expect("the gate is there");
}

/// How it ends for the next life of the program.
pub(crate) async fn ending_when_adopted(bench: &Workbench, left: LeftBehind) -> Ending {
    let (_, nowhere) = output();
    let (events, mut reports) = mpsc::channel(4);
    let _handle = adopt(
        Arc::new(life(bench).await),
        bench.context.clone(),
        left,
        nowhere,
        Arc::new(SystemClock::new()),
        events,
    );
    let mut last = None;
    while let Some((_, event)) = reports.recv().await {
        last = Some(event);
    }
    let Some(SupervisorEvent::Finished(ending)) = last else {
        panic!("the end comes last");
    };
    ending
}

#[tokio::test]
async fn running_job_is_found_with_all_of_its_later_output_p10() {
    let (bench, gate) = gated();
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    let pid = execution.pid();
    execution.detach().await;
    drop(first);

    let second = life(&bench).await;
    let (sink, output) = output();
    let adopted = second.adopt(bench.context.clone(), None, output).await;
    let execution = adopted.expect("it runs");
    assert_eq!(execution.pid(), pid);
    open_gate(&gate, "hello").await;
    assert_eq!(execution.wait().await, Ok(Exit::Exited(7)));
    assert_eq!(execution.cleanup().await.killed, 0);
    assert_eq!(sink.bytes(OutputStream::Stdout), b"ready\nhello\n");
    assert!(files_of_attempts(bench.base.path()).is_empty());
}

#[tokio::test]
async fn job_that_ended_meanwhile_is_reported_as_it_ended_p10() {
    let (bench, gate) = gated();
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    // Two connections at once do not exist: the second life ends the first one's, and sees the end.
    let watcher = life(&bench).await;
    execution.detach().await;
    let (_, nowhere) = output();
    let adopted = watcher.adopt(bench.context.clone(), None, nowhere).await;
    let execution = adopted.expect("it runs");
    open_gate(&gate, "bye").await;
    assert_eq!(execution.wait().await, Ok(Exit::Exited(7)));
    let ended_at = execution.ended_at().expect("it has ended");
    execution.detach().await;
    drop((first, watcher));

    let third = life(&bench).await;
    let (sink, output) = output();
    let (events, mut reports) = mpsc::channel(4);
    let _handle = adopt(
        Arc::new(third),
        bench.context.clone(),
        LeftBehind::default(),
        output,
        Arc::new(SystemClock::new()),
        events,
    );
    let Some((_, SupervisorEvent::Started { .. })) = reports.recv().await else {
        panic!("it is found");
    };
    let Some((_, SupervisorEvent::Finished(ending))) = reports.recv().await else {
        panic!("it has ended");
    };
    let exit = Exit::Exited(7);
    assert_eq!(ending.outcome, Outcome::Failed { exit });
    assert!(ending.finished_at >= ended_at);
    assert!(String::from_utf8_lossy(&sink.bytes(OutputStream::Stdout)).ends_with("bye\n"));
}

#[tokio::test]
async fn end_is_kept_until_it_is_forgotten() {
    let bench = Workbench::script("echo ready; sleep 600 & exit 3");
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    assert_eq!(execution.wait().await, Ok(Exit::Exited(3)));
    let residue = execution.cleanup().await;
    assert_eq!(residue.killed, 1);
    drop(first);

    let second = life(&bench).await;
    let (_, nowhere) = output();
    let adopted = second
        .adopt(bench.context.clone(), None, nowhere.clone())
        .await;
    let execution = adopted.expect("it is known");
    assert_eq!(execution.wait().await, Ok(Exit::Exited(3)));
    assert_eq!(execution.cleanup().await, residue);
    second.forget(bench.context.attempt).await;
    // Requests are heard in their order: once this one is answered, the launcher has forgotten.
    let other = Workbench::script("echo ready");
    start(&second, &other).await.cleanup().await;
    drop(second);

    let third = life(&bench).await;
    let gone = third.adopt(bench.context.clone(), None, nowhere).await;
    assert_eq!(gone.expect_err("forgotten").killed, 0);
}

#[tokio::test]
async fn timeout_goes_on_where_it_was() {
    let bench = Workbench::script("echo ready; sleep 600");
    let first = life(&bench).await;
    start(&first, &bench).await.detach().await;
    drop(first);

    let left = LeftBehind {
        time_left: Some(Duration::ZERO),
        ..LeftBehind::default()
    };
    let ending = ending_when_adopted(&bench, left).await;
    let exit = Some(Exit::Signaled(15));
    assert_eq!(ending.outcome, Outcome::TimedOut { exit });
}

#[tokio::test]
async fn detached_supervisor_leaves_the_job_running() {
    let bench = Workbench::script("echo ready; sleep 600");
    let first = life(&bench).await;
    let (sink, nowhere) = output();
    let (events, mut reports) = mpsc::channel(4);
    let handle = supervise(
        Arc::new(first),
        bench.context.clone(),
        nowhere.clone(),
        Arc::new(SystemClock::new()),
        events,
    );
    sink.printed("ready\n").await;
    handle.detach().await;
    while let Some((_, event)) = reports.recv().await {
        assert!(
            matches!(event, SupervisorEvent::Started { .. }),
            "{event:?}"
        );
    }
    let second = life(&bench).await;
    let adopted = second.adopt(bench.context.clone(), None, nowhere).await;
    let execution = adopted.expect("it runs on");
    execution.kill().await.expect("delivered");
    assert_eq!(execution.wait().await, Ok(Exit::Signaled(9)));
    execution.cleanup().await;
}

#[tokio::test]
async fn dropped_execution_is_killed_and_forgotten() {
    let bench = Workbench::script("echo ready; sleep 600");
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    drop(execution);
    let (_, nowhere) = output();
    let found = first.adopt(bench.context.clone(), None, nowhere).await;
    // Either it is still known, and its end is that of a kill, or it is forgotten.
    if let Ok(execution) = found {
        assert_eq!(execution.wait().await, Ok(Exit::Signaled(9)));
        execution.cleanup().await;
    }
}

#[tokio::test]
async fn unknown_attempt_is_gone() {
    let bench = Workbench::script("true");
    let (_, nowhere) = output();
    let gone = life(&bench)
        .await
        .adopt(bench.context.clone(), None, nowhere)
        .await;
    assert_eq!(gone.expect_err("never started").killed, 0);
}

#[tokio::test]
async fn second_start_of_what_runs_is_refused_and_leaves_it_alone() {
    let (bench, gate) = gated();
    let executor = life(&bench).await;
    let execution = start(&executor, &bench).await;
    let files = files_of_attempts(bench.base.path());
    let (_, nowhere) = output();
    let again = executor.start(bench.context.clone(), nowhere).await;
    assert!(again.is_err());
    assert_eq!(files_of_attempts(bench.base.path()), files);
    open_gate(&gate, "on").await;
    assert_eq!(execution.wait().await, Ok(Exit::Exited(7)));
    execution.cleanup().await;
}

#[tokio::test]
async fn launcher_of_the_same_build_is_used_again() {
    let bench = Workbench::script("echo ready; sleep 600");
    let first = life(&bench).await;
    start(&first, &bench).await.detach().await;
    let pid = first.launcher().and_then(Launcher::pid);
    drop(first);
    let second = life(&bench).await;
    assert_eq!(
        second.launcher().and_then(Launcher::pid),
        pid,
        "the same build is used again"
    );
    let (_, nowhere) = output();
    let adopted = second.adopt(bench.context.clone(), None, nowhere).await;
    let execution = adopted.expect("it runs");
    execution.kill().await.expect("delivered");
    assert_eq!(execution.wait().await, Ok(Exit::Signaled(9)));
    let residue: Residue = execution.cleanup().await;
    assert!(!residue.unconfirmed);
}
