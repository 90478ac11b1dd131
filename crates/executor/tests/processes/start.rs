//! What cannot be started is an outcome of its own, never an exit code.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use jobyard_clock::SystemClock;
use jobyard_core::{Clock, InfraReason, Outcome, StartFailure};
use jobyard_executor::{Ending, ProcessConfig};

use crate::workbench::{Running, Workbench};

async fn cause_of(bench: Workbench) -> (StartFailure, Ending, Running) {
    let (ending, running) = bench.run().await;
    assert_eq!(ending.started_at, None, "nothing ran");
    assert!(running.left().is_empty(), "nothing is left");
    match ending.outcome {
        Outcome::StartFailed { cause } => (cause, ending, running),
        other => panic!("{other} {:?}", ending.problem),
    }
}

#[tokio::test]
async fn what_is_too_late_to_begin_never_runs_i14() {
    let mut bench = Workbench::script("echo ran");
    bench.context.start_by = Some(SystemClock::new().now().steady);
    let (ending, running) = bench.run().await;
    let reason = InfraReason::NeverStarted;
    assert_eq!(ending.outcome, Outcome::Infra { reason });
    assert_eq!(ending.started_at, None);
    assert!(
        running.stderr().contains("too late"),
        "{}",
        running.stderr()
    );
}

/// A file in a bench of its own, as the command.
fn file(content: &str, mode: u32) -> Workbench {
    let home = Workbench::script("true");
    let file = home.base.path().join("program");
    fs::write(&file, content).expect("written");
    fs::set_permissions(&file, Permissions::from_mode(mode)).expect("our own");
    let config = ProcessConfig::command([file.to_str().expect("text")]);
    let mut bench = Workbench::new(&config);
    bench.base = home.base;
    bench
}

#[tokio::test]
async fn program_that_does_not_exist_p3() {
    for name in ["no-such-program", "./no-such-program", "/no/such/program"] {
        let (cause, ending, running) =
            cause_of(Workbench::new(&ProcessConfig::command([name]))).await;
        assert_eq!(cause, StartFailure::NotFound);
        assert!(ending.problem.expect("a reason").contains(name));
        assert!(running.stderr().contains(name), "the log says why");
    }
}

#[tokio::test]
async fn program_that_may_not_be_executed_p3() {
    for (content, mode) in [
        ("#!/bin/sh\n", 0o644),
        ("#!/no/such/interpreter\n", 0o755),
        ("no program", 0o755),
        ("", 0o755),
    ] {
        let (cause, ..) = cause_of(file(content, mode)).await;
        assert_eq!(cause, StartFailure::NotExecutable, "{content:?} {mode:o}");
    }
    let (cause, ..) = cause_of(Workbench::new(&ProcessConfig::command(["/tmp"]))).await;
    assert_eq!(cause, StartFailure::NotExecutable);
}

#[tokio::test]
async fn script_with_an_interpreter_runs() {
    assert_eq!(file("#!/bin/sh\necho yes\n", 0o755).prints().await, "yes\n");
}

#[tokio::test]
async fn directory_that_cannot_be_used_p3() {
    for dir in ["/no/such/dir", "/etc/passwd", "/proc/self/fd", "/proc"] {
        let config = ProcessConfig::command(["true"]).with_dir(dir);
        let (cause, ending, _) = cause_of(Workbench::new(&config)).await;
        assert_eq!(cause, StartFailure::BadDirectory);
        assert!(ending.problem.expect("a reason").contains(dir));
    }
}

#[tokio::test]
async fn environment_that_is_too_long_for_the_system() {
    let mut bench = Workbench::new(&ProcessConfig::command(["true"]));
    for number in 0..100 {
        let value = "x".repeat(100_000);
        bench.context.env.insert(format!("V{number}"), value);
    }
    let (cause, ..) = cause_of(bench).await;
    assert_eq!(cause, StartFailure::ArgumentsTooLong);
}

#[tokio::test]
async fn configuration_that_cannot_be_read() {
    let config = ProcessConfig::command(["true"]);
    let bench = Workbench::with_spec(&config, |spec| spec.executor.config = "{".to_owned());
    let (cause, ..) = cause_of(bench).await;
    assert_eq!(cause, StartFailure::BadConfig);
}
