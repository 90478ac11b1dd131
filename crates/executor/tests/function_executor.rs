//! An executor that runs functions of this program keeps the contract as well, and is supervised like any other.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Capabilities, ConfigError, Containment, Execution,
    ExecutionTrace, Executor, ExecutorFacts, ExecutorSpec, Exit, Gone, JobId, JobSpec, Lost,
    Outcome, Output, OutputStream, Residue, SignalError, StartError, StartFailure, StopCause,
    StopSignal,
};
use jobyard_executor::{SupervisorEvent, supervise};
use jobyard_testkit::executor::ExecutorFactory;
use tokio::sync::{mpsc, watch};

/// Runs `print TEXT`, `fail CODE` and `hang` in tasks of the runtime. It has no processes and no signals.
#[derive(Debug)]
struct FunctionExecutor;

#[derive(Clone, Debug)]
enum Function {
    Print(String),
    Fail(i32),
    Hang,
    Panic,
}

impl Function {
    fn parse(config: &str) -> Result<Self, ConfigError> {
        match config.split_once(' ').unwrap_or((config, "")) {
            ("print", text) => Ok(Self::Print(text.to_owned())),
            ("fail", code) => code
                .parse()
                .map(Self::Fail)
                .map_err(|_| ConfigError::new("fail", "the code is no number")),
            ("hang", "") => Ok(Self::Hang),
            ("panic", "") => Ok(Self::Panic),
            _ => Err(ConfigError::new("function", "there is no such function")),
        }
    }

    async fn run(self, output: Output) -> Exit {
        match self {
            Self::Print(text) => {
                output.write(OutputStream::Stdout, Bytes::from(text)).await;
                Exit::Exited(0)
            }
            Self::Fail(code) => Exit::Exited(code),
            Self::Hang => {
                output
                    .write(OutputStream::Stdout, Bytes::from_static(b"ready\n"))
                    .await;
                std::future::pending().await
            }
            Self::Panic => panic!("the executor has a fault"),
        }
    }
}

#[async_trait]
impl Executor for FunctionExecutor {
    fn facts(&self) -> ExecutorFacts {
        ExecutorFacts::new("function", Containment::None, Capabilities::NONE)
    }

    fn check(&self, config: &str) -> Result<(), ConfigError> {
        Function::parse(config).map(drop)
    }

    async fn start(
        &self,
        context: AttemptContext,
        output: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        let function =
            Function::parse(&context.spec.executor.config).map_err(|error| StartError::Job {
                cause: StartFailure::BadConfig,
                problem: error.to_string(),
            })?;
        if matches!(function, Function::Panic) {
            function.run(output).await;
            unreachable!("it panics");
        }
        let (kill, mut killed) = watch::channel(false);
        let (exit, exited) = watch::channel(None);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = function.run(output) => ended,
                _ = killed.wait_for(|killed| *killed) => Exit::Signaled(9),
            };
            exit.send_replace(Some(ended));
        });
        Ok(Box::new(Running { kill, exited }))
    }

    async fn adopt(
        &self,
        _context: AttemptContext,
        _trace: Option<ExecutionTrace>,
        _output: Output,
    ) -> Result<Box<dyn Execution>, Gone> {
        Err(Gone::new(0))
    }
}

/// Dropping it drops the sender, which ends the task as a kill does.
#[derive(Debug)]
struct Running {
    kill: watch::Sender<bool>,
    exited: watch::Receiver<Option<Exit>>,
}

#[async_trait]
impl Execution for Running {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn trace(&self) -> Option<ExecutionTrace> {
        None
    }

    async fn signal(&self, _signal: StopSignal) -> Result<(), SignalError> {
        Err(SignalError::Unsupported)
    }

    async fn kill(&self) -> Result<(), SignalError> {
        self.kill.send_replace(true);
        Ok(())
    }

    async fn wait(&self) -> Result<Exit, Lost> {
        let mut exited = self.exited.clone();
        let exit = exited.wait_for(Option::is_some).await;
        let exit = exit.ok().and_then(|exit| *exit);
        Ok(exit.unwrap_or(Exit::Signaled(9)))
    }

    async fn cleanup(self: Box<Self>) -> Residue {
        Residue::default()
    }
}

struct Functions;

impl ExecutorFactory for Functions {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(FunctionExecutor)
    }

    fn scratch(&self) -> PathBuf {
        PathBuf::from("/nonexistent")
    }

    fn prints(&self, text: &str) -> String {
        format!("print {text}")
    }

    fn prints_both(&self, _out: &str, _err: &str) -> String {
        unreachable!("there is one stream")
    }

    fn fails(&self, code: i32) -> Option<String> {
        Some(format!("fail {code}"))
    }

    fn runs_until_stopped(&self) -> String {
        "hang".to_owned()
    }

    fn cannot_start(&self) -> Option<(String, StartFailure)> {
        None
    }

    fn unreadable(&self) -> String {
        "dance".to_owned()
    }
}

jobyard_testkit::executor_suite!(#[tokio::test], Functions);

/// Supervises one function; stops it as soon as it runs, if asked to. Answers how it ended.
async fn outcome_of(config: &str, stop: bool) -> Outcome {
    struct Nowhere;
    #[async_trait]
    impl jobyard_core::OutputSink for Nowhere {
        async fn write(&self, _stream: OutputStream, _bytes: Bytes) {}
    }
    let spec = JobSpec::new(ExecutorSpec::new("function", config))
        .validate()
        .expect("a valid spec");
    let id = AttemptId::new(JobId::from_uuid(uuid::Uuid::now_v7()), AttemptNumber::FIRST);
    let (events, mut reports) = mpsc::channel(1);
    let handle = supervise(
        Arc::new(FunctionExecutor),
        AttemptContext::new(id, spec, PathBuf::from("/nonexistent")),
        Output::new(Arc::new(Nowhere)),
        Arc::new(SystemClock::new()),
        events,
    );
    loop {
        match reports.recv().await {
            Some((_, SupervisorEvent::Started { pid, .. })) => {
                assert_eq!(pid, None);
                if stop {
                    let grace = jobyard_core::DEFAULT_GRACE;
                    handle.stop(StopCause::Cancelled, grace).await;
                }
            }
            Some((_, SupervisorEvent::Finished(ending))) => return ending.outcome,
            other => panic!("the end comes last: {other:?}"),
        }
    }
}

#[tokio::test]
async fn stop_without_signals_kills_at_once() {
    let exit = Some(Exit::Signaled(9));
    assert_eq!(outcome_of("hang", true).await, Outcome::Cancelled { exit });
}

#[tokio::test]
async fn functions_end_as_processes_do() {
    assert_eq!(outcome_of("print x", false).await, Outcome::Succeeded);
    let exit = Exit::Exited(3);
    assert_eq!(outcome_of("fail 3", false).await, Outcome::Failed { exit });
}

#[tokio::test]
async fn broken_executor_is_a_fault_of_the_worker() {
    let reason = jobyard_core::InfraReason::WorkerFault;
    assert_eq!(outcome_of("panic", false).await, Outcome::Infra { reason });
}
