//! The death of the launcher.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    Executor, Exit, InfraReason, Outcome, Output, OutputSink, OutputStream, StopSignal,
};
use jobyard_executor::ProcessExecutor;
use jobyard_executor::launcher::Launcher;
use rustix::process::{Pid, Signal, kill_process};

use crate::adopt::{life, output, start};
use crate::way;
use crate::workbench::{Sink, Workbench, is_alive};

/// Takes note of output of which nobody has seen the end.
#[derive(Default)]
struct Books {
    sink: Sink,
    is_cut_short: AtomicBool,
}

#[async_trait]
impl OutputSink for Books {
    async fn write(&self, stream: OutputStream, bytes: Bytes) {
        self.sink.write(stream, bytes).await;
    }

    fn cut_short(&self) {
        self.is_cut_short.store(true, Ordering::Relaxed);
    }
}

impl Books {
    fn are_open(&self) -> bool {
        self.is_cut_short.load(Ordering::Relaxed)
    }
}

fn books() -> (Arc<Books>, Output) {
    let books = Arc::new(Books::default());
    let output = Output::new(Arc::clone(&books) as Arc<dyn OutputSink>);
    (books, output)
}

#[tokio::test]
async fn of_output_whose_launcher_died_nobody_knows_the_end() {
    let bench = Workbench::script("trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    let executor = life(&bench).await;
    for (is_killed, exit) in [(false, Some(Exit::Exited(3))), (true, None)] {
        let mut context = bench.context.clone();
        context.attempt.job = jobyard_core::JobId::from_uuid(uuid::Uuid::now_v7());
        let (books, output) = books();
        let started = executor.start(context, output).await;
        let execution = started.expect("it starts");
        books.sink.printed("ready\n").await;
        if is_killed {
            kill_launcher(&executor);
        } else {
            let asked = execution.signal(StopSignal::Terminate).await;
            asked.expect("delivered");
        }
        assert_eq!(execution.wait().await.ok(), exit);
        execution.cleanup().await;
        assert_eq!(books.are_open(), is_killed);
    }
}

fn kill_launcher(executor: &ProcessExecutor) -> u32 {
    let pid = executor.launcher().and_then(Launcher::pid).expect("alive");
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(id.expect("a process"), Signal::KILL).expect("ours");
    pid
}

/// The control groups of version 2 that are named after a launcher, at the top, where the machine has any.
fn control_groups_of(launcher: &str) -> Vec<std::path::PathBuf> {
    let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    tops.iter()
        .map(|top| std::path::Path::new(top).join(format!("jobyard-{launcher}")))
        .filter(|group| group.exists())
        .collect()
}

#[tokio::test]
async fn its_jobs_are_ended_and_lost_and_the_next_start_finds_another() {
    let bench = Workbench::script("setsid sleep 600 & echo ready; wait");
    let executor = life(&bench).await;
    let execution = start(&executor, &bench).await;
    let job = execution.pid().expect("a process").to_string();
    let first = kill_launcher(&executor);
    let lost = execution.wait().await.expect_err("nobody knows its exit");
    assert_eq!(lost.reason, InfraReason::WorkerFault);
    let residue = execution.cleanup().await;
    assert!(residue.killed > 0 || !is_alive(&job), "{residue:?}");
    assert!(!residue.unconfirmed, "{residue:?}");
    assert!(!is_alive(&job));
    executor.forget(bench.context.attempt).await;

    let (_, nowhere) = output();
    let mut again = bench.context.clone();
    again.attempt.job = jobyard_core::JobId::from_uuid(uuid::Uuid::now_v7());
    let started = executor.start(again, nowhere).await;
    let execution = started.expect("a new launcher starts it");
    let second = executor.launcher().and_then(Launcher::pid);
    assert!(second.is_some_and(|second| second != first));
    execution.kill().await.expect("delivered");
    assert_eq!(execution.wait().await, Ok(Exit::Signaled(9)));
    execution.cleanup().await;
}

#[tokio::test]
async fn supervisor_calls_it_a_failure_of_the_infrastructure() {
    let mut bench = Workbench::script("echo ready; sleep 600");
    let options = way::options(bench.base.path());
    bench.executor = ProcessExecutor::launched(way::open(options));
    let executor = bench.executor.clone();
    let mut running = bench.begin();
    running.printed("ready\n").await;
    kill_launcher(&executor);
    let ending = running.finished().await;
    let reason = InfraReason::WorkerFault;
    assert_eq!(ending.outcome, Outcome::Infra { reason });
    assert!(ending.problem.expect("a reason").contains("launcher"));
}

#[tokio::test]
async fn launcher_that_died_between_two_lives_left_nothing_running() {
    let bench = Workbench::script("setsid sleep 600 & echo ready; wait");
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    let job = execution.pid().expect("a process").to_string();
    execution.detach().await;
    let above = bench.base.path().join("launcher");
    let mut names = std::fs::read_dir(above).expect("there").flatten();
    let dead = names.next().expect("one launcher").file_name();
    let dead = dead.into_string().expect("text");
    kill_launcher(&first);
    drop(first);

    let second = life(&bench).await;
    assert!(!is_alive(&job), "ended when the launchers were opened");
    let (books, output) = books();
    let gone = second.adopt(bench.context.clone(), None, output).await;
    gone.expect_err("nothing is left of it");
    assert!(books.are_open());
    second.forget(bench.context.attempt).await;
    drop(second);
    let directories = std::fs::read_dir(bench.base.path().join("launcher")).expect("there");
    assert_eq!(directories.count(), 1, "that of the dead one is gone");
    assert!(control_groups_of(&dead).is_empty());
}

#[tokio::test]
async fn what_a_dead_launcher_knew_as_ended_is_reported_as_it_ended() {
    let bench = Workbench::script("echo ready; exit 5");
    let first = life(&bench).await;
    let execution = start(&first, &bench).await;
    assert_eq!(execution.wait().await, Ok(Exit::Exited(5)));
    let residue = execution.cleanup().await;
    kill_launcher(&first);
    drop(first);

    let second = life(&bench).await;
    let (books, output) = books();
    let adopted = second.adopt(bench.context.clone(), None, output).await;
    let execution = adopted.expect("its journal tells");
    assert_eq!(execution.wait().await, Ok(Exit::Exited(5)));
    assert_eq!(execution.cleanup().await, residue);
    assert!(!books.are_open(), "its launcher has seen the end");
}
