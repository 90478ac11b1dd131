//! Limits.

use jobyard_core::{Executor, InfraReason, JobSpec, LimitKind, Outcome, StartError};
use jobyard_executor::{ProcessConfig, ProcessExecutor, Unenforceable};

use crate::adopt::output;
use crate::workbench::Workbench;

/// What is killed for it comes last: the script does not succeed before the rest is killed, however late that is.
const EATS_MEMORY: &str = "head -c 200M /dev/zero | tail -c 200M > /dev/null";
const WANTS_PROCESSES: &str =
    "i=0; while [ $i -lt 50 ]; do sleep 600 & i=$((i+1)); done; echo all of them";

fn limited(script: &str, change: impl FnOnce(&mut JobSpec)) -> Workbench {
    Workbench::with_spec(&ProcessConfig::script(script), change)
}

fn enforces(bench: &Workbench, kind: LimitKind) -> bool {
    bench.executor.facts().limits.contains(&kind)
}

#[tokio::test]
async fn job_that_exceeds_its_memory_is_named_as_such_p8() {
    let bench = limited(EATS_MEMORY, |spec| spec.limits.memory = Some(32 << 20));
    let is_enforced = enforces(&bench, LimitKind::Memory);
    let (ending, _) = bench.run().await;
    if is_enforced {
        assert!(
            matches!(ending.outcome, Outcome::OutOfMemory { .. }),
            "{} {:?}",
            ending.outcome,
            ending.residue
        );
    } else {
        assert_eq!(ending.residue.unenforced, [LimitKind::Memory]);
    }
}

#[tokio::test]
async fn job_that_wants_too_many_processes_is_named_as_such_p8() {
    let bench = limited(WANTS_PROCESSES, |spec| spec.limits.processes = Some(8));
    let is_enforced = enforces(&bench, LimitKind::Processes);
    let (ending, _) = bench.run().await;
    if is_enforced {
        assert!(
            matches!(ending.outcome, Outcome::ProcessLimit { .. }),
            "{} {:?}",
            ending.outcome,
            ending.residue
        );
    } else {
        assert_eq!(ending.residue.unenforced, [LimitKind::Processes]);
    }
}

#[tokio::test]
async fn limits_of_each_process_are_set_p8() {
    let mut bench = limited("ulimit -n; ulimit -f", |spec| {
        spec.limits.open_files = Some(77);
        spec.limits.file_size = Some(512 * 1024);
    });
    bench.executor = bench.executor.with_unenforceable(Unenforceable::Refuse);
    assert_eq!(bench.prints().await, "77\n1024\n");
}

#[tokio::test]
async fn usage_is_measured() {
    let (ending, _) = limited("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done", |_| {})
        .run()
        .await;
    assert_eq!(ending.outcome, Outcome::Succeeded);
    let usage = ending.residue.usage.expect("measured");
    assert!(usage.cpu_micros() > 1000, "{usage:?}");
}

#[tokio::test]
async fn limit_that_nothing_enforces_is_listed_or_refused() {
    let mut bench = limited("true", |spec| spec.limits.memory = Some(64 << 20));
    bench.executor = ProcessExecutor::new();
    let (ending, _) = bench.run().await;
    assert_eq!(ending.outcome, Outcome::Succeeded);
    assert_eq!(ending.residue.unenforced, [LimitKind::Memory]);

    let bench = limited("true", |spec| spec.limits.memory = Some(64 << 20));
    let refuses = ProcessExecutor::new().with_unenforceable(Unenforceable::Refuse);
    let (_, nowhere) = output();
    let refused = refuses.start(bench.context.clone(), nowhere).await;
    let Err(StartError::Worker { reason, problem }) = refused else {
        panic!("refused");
    };
    assert_eq!(reason, InfraReason::LimitNotEnforceable);
    assert!(problem.contains("memory"), "{problem}");
}
