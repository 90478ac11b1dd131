//! The suite for implementers of [`Executor`].
//!
//! Each case is an async function that panics with a sentence when the contract is broken.
//! [`executor_suite!`](crate::executor_suite) makes a test of each; [`run_all`] runs them one after another.
//! Capabilities are no special case: a case that needs one looks at the facts, and what an executor cannot do is checked
//! to be refused or without effect.

use std::future::poll_fn;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use jobyard_core::{
    AttemptContext, AttemptId, AttemptNumber, Execution, Executor, ExecutorSpec, Exit, JobId,
    JobSpec, Output, OutputSink, OutputStream, SignalError, StartError, StartFailure, StopSignal,
};
use uuid::Uuid;

/// Makes the executor that the suite tries, and says what it has to be told.
pub trait ExecutorFactory: Send + Sync {
    /// The executor. May be the same each time.
    fn executor(&self) -> Arc<dyn Executor>;

    /// A directory in which the suite names a scratch path for each attempt. The executor makes what it needs.
    fn scratch(&self) -> PathBuf;

    /// A configuration that writes these bytes to standard output and then succeeds.
    fn prints(&self, text: &str) -> String;

    /// A configuration that writes the first text to standard output, the second to standard error, and then succeeds.
    /// Asked for only if the executor has two streams.
    fn prints_both(&self, out: &str, err: &str) -> String;

    /// A configuration that ends with this code; `None` if nothing can fail.
    fn fails(&self, code: i32) -> Option<String>;

    /// A configuration that writes `ready` and a newline, and then runs until it is told to stop or is killed. A
    /// `Terminate` ends it, if signals are delivered.
    fn runs_until_stopped(&self) -> String;

    /// A configuration that can be read and cannot be started, and how that is told; `None` if all can be started.
    fn cannot_start(&self) -> Option<(String, StartFailure)>;

    /// A configuration that cannot be read.
    fn unreadable(&self) -> String;
}

/// Makes a test of each case. The first part is the attribute of the tests, the second an expression for a new
/// [`ExecutorFactory`] per test.
///
/// ```ignore
/// jobyard_testkit::executor_suite!(#[tokio::test], MyFactory::new());
/// ```
#[macro_export]
macro_rules! executor_suite {
    (@run $factory:ident; $($case:ident)*) => {
        $( $crate::executor::$case($factory).await; )*
    };
    (@tests $attributes:tt $factory:block; $($case:ident)*) => {
        $( $crate::executor_suite! { @test $attributes $factory $case } )*
    };
    (@test [$($attribute:meta)*] $factory:block $case:ident) => {
        $( #[$attribute] )*
        async fn $case() {
            $crate::executor::$case(&$factory).await;
        }
    };
    (@cases $($how:tt)*) => {
        $crate::executor_suite! { $($how)*;
            success_is_exit_zero
            failure_keeps_its_code
            wait_can_be_repeated
            wait_can_be_dropped_and_called_again
            output_is_whole_when_cleanup_returns
            streams_are_told_apart
            signal_ends_what_heeds_it
            kill_ends_everything
            signals_after_the_exit_do_nothing
            cleanup_leaves_nothing
            failed_start_leaves_nothing
            refuse_unreadable_configuration
            dropped_execution_ends
            concurrent_attempts_do_not_mix
            adopting_nothing_answers_gone
        }
    };
    ($(#[$attribute:meta])* , $factory:expr) => {
        $crate::executor_suite! { @cases @tests [$($attribute)*] {$factory} }
    };
}

/// Runs every case.
pub async fn run_all(factory: &dyn ExecutorFactory) {
    crate::executor_suite! { @cases @run factory }
}

/// The exit of an attempt whose executor is well.
async fn exit_of(execution: &dyn Execution) -> Exit {
    execution.wait().await.expect("an exit that is known")
}

/// Success is the exit code 0.
pub async fn success_is_exit_zero(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.prints("x"));
    let execution = trial.start().await;
    assert_eq!(exit_of(&*execution).await, Exit::Exited(0));
    execution.cleanup().await;
}

/// A failure keeps its code.
pub async fn failure_keeps_its_code(factory: &dyn ExecutorFactory) {
    let Some(config) = factory.fails(42) else {
        return;
    };
    let mut trial = Trial::new(factory, &config);
    let execution = trial.start().await;
    assert_eq!(exit_of(&*execution).await, Exit::Exited(42));
    execution.cleanup().await;
}

/// `wait` returns the same exit again.
pub async fn wait_can_be_repeated(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.prints("x"));
    let execution = trial.start().await;
    let first = exit_of(&*execution).await;
    let (second, third) = join(exit_of(&*execution), exit_of(&*execution)).await;
    assert_eq!((first, first), (second, third), "the exit never changes");
    execution.cleanup().await;
}

/// A `wait` whose future was dropped half-way loses nothing.
pub async fn wait_can_be_dropped_and_called_again(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.runs_until_stopped());
    let execution = trial.start().await;
    for _ in 0..3 {
        let early = execution.wait().now_or_never();
        assert_eq!(early, None, "it runs until it is stopped");
    }
    execution.kill().await.expect("a running attempt is killed");
    let exit = exit_of(&*execution).await;
    assert!(!exit.is_success(), "killed is no success: {exit}");
    execution.cleanup().await;
}

/// All output was delivered when `cleanup` returns, in order.
pub async fn output_is_whole_when_cleanup_returns(factory: &dyn ExecutorFactory) {
    // More than a pipe holds at once.
    let text = "0123456789abcdef\n".repeat(10_000);
    let mut trial = Trial::new(factory, &factory.prints(&text));
    let execution = trial.start().await;
    exit_of(&*execution).await;
    let residue = execution.cleanup().await;
    assert!(!residue.output_held_open, "nobody held the output open");
    assert!(
        trial.sink.take(OutputStream::Stdout) == text.as_bytes(),
        "every byte, and in order"
    );
}

/// With two streams, each gets its own.
pub async fn streams_are_told_apart(factory: &dyn ExecutorFactory) {
    if !factory.executor().facts().capabilities.two_streams {
        return;
    }
    let mut trial = Trial::new(factory, &factory.prints_both("to out", "to err"));
    let execution = trial.start().await;
    exit_of(&*execution).await;
    execution.cleanup().await;
    assert_eq!(trial.sink.take(OutputStream::Stdout), b"to out");
    assert_eq!(trial.sink.take(OutputStream::Stderr), b"to err");
}

/// A signal is delivered, or refused as unsupported, as the capabilities say.
pub async fn signal_ends_what_heeds_it(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.runs_until_stopped());
    let execution = trial.start().await;
    trial.sink.wait_for(b"ready\n").await;
    let delivered = execution.signal(StopSignal::Terminate).await;
    if factory.executor().facts().capabilities.signal {
        assert_eq!(delivered, Ok(()), "the capability promises signals");
    } else {
        assert_eq!(delivered, Err(SignalError::Unsupported));
        execution.kill().await.expect("a running attempt is killed");
    }
    exit_of(&*execution).await;
    execution.cleanup().await;
}

/// A kill ends an attempt, and does so again without harm.
pub async fn kill_ends_everything(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.runs_until_stopped());
    let execution = trial.start().await;
    trial.sink.wait_for(b"ready\n").await;
    execution.kill().await.expect("a running attempt is killed");
    execution.kill().await.expect("killing twice is no error");
    assert!(!exit_of(&*execution).await.is_success());
    execution.cleanup().await;
}

/// After the exit, signal and kill do nothing and succeed.
pub async fn signals_after_the_exit_do_nothing(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.prints("x"));
    let execution = trial.start().await;
    let exit = exit_of(&*execution).await;
    let signalled = execution.signal(StopSignal::Interrupt).await;
    if factory.executor().facts().capabilities.signal {
        assert_eq!(signalled, Ok(()));
    }
    assert_eq!(execution.kill().await, Ok(()));
    assert_eq!(exit_of(&*execution).await, exit, "the exit never changes");
    execution.cleanup().await;
}

/// The files of an attempt are gone after its clean-up, and it left nothing to kill.
pub async fn cleanup_leaves_nothing(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.prints("x"));
    let scratch = trial.scratch();
    let execution = trial.start().await;
    exit_of(&*execution).await;
    let residue = execution.cleanup().await;
    assert_eq!(residue.killed, 0, "it had ended by itself");
    assert!(!scratch.exists(), "{} is left", scratch.display());
}

/// After an error of `start` nothing is left, and the error says whose fault it is.
pub async fn failed_start_leaves_nothing(factory: &dyn ExecutorFactory) {
    let Some((config, expected)) = factory.cannot_start() else {
        return;
    };
    let mut trial = Trial::new(factory, &config);
    let scratch = trial.scratch();
    match trial.try_start().await {
        Err(StartError::Job { cause, problem }) => {
            assert_eq!(cause, expected);
            assert!(!problem.is_empty(), "a refusal says why");
        }
        other => panic!("this cannot be started: {other:?}"),
    }
    assert!(!scratch.exists(), "{} is left", scratch.display());
    assert_eq!(trial.sink.take(OutputStream::Stdout), b"");
}

/// A configuration that cannot be read is refused by `check`, and by `start` as the job's fault.
pub async fn refuse_unreadable_configuration(factory: &dyn ExecutorFactory) {
    let config = factory.unreadable();
    assert!(factory.executor().check(&config).is_err());
    assert_eq!(factory.executor().check(&factory.prints("x")), Ok(()));
    let mut trial = Trial::new(factory, &config);
    match trial.try_start().await {
        Err(StartError::Job { cause, .. }) => assert_eq!(cause, StartFailure::BadConfig),
        other => panic!("this cannot be read: {other:?}"),
    }
}

/// Dropping an execution ends the attempt: its output closes.
pub async fn dropped_execution_ends(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.runs_until_stopped());
    let execution = trial.start().await;
    trial.sink.wait_for(b"ready\n").await;
    drop(execution);
    trial.ended().await;
}

/// Attempts that run at the same time get their own output and their own exit.
pub async fn concurrent_attempts_do_not_mix(factory: &dyn ExecutorFactory) {
    const ATTEMPTS: usize = 16;
    let runs = (0..ATTEMPTS).map(|number| async move {
        let text = format!("attempt {number}\n").repeat(100);
        let mut trial = Trial::new(factory, &factory.prints(&text));
        let execution = trial.start().await;
        assert_eq!(exit_of(&*execution).await, Exit::Exited(0));
        execution.cleanup().await;
        assert_eq!(trial.sink.take(OutputStream::Stdout), text.as_bytes());
    });
    join_all(runs).await;
}

/// Adopting what never ran finds nothing and kills nothing.
pub async fn adopting_nothing_answers_gone(factory: &dyn ExecutorFactory) {
    let mut trial = Trial::new(factory, &factory.prints("x"));
    let (context, output) = trial.parts();
    match factory.executor().adopt(context, None, output).await {
        Err(gone) => assert_eq!(gone.killed, 0),
        Ok(execution) => panic!("there is nothing to adopt: {execution:?}"),
    }
}

/// One attempt of a case.
struct Trial {
    executor: Arc<dyn Executor>,
    context: AttemptContext,
    sink: Arc<Sink>,
    /// Handed to the executor once.
    output: Option<Output>,
}

impl Trial {
    fn new(factory: &dyn ExecutorFactory, config: &str) -> Self {
        let executor = factory.executor();
        let job = JobId::from_uuid(Uuid::now_v7());
        let spec = JobSpec::new(ExecutorSpec::new(executor.facts().name, config))
            .validate()
            .expect("the suite's specs are valid");
        let scratch = factory.scratch().join(job.to_string());
        let sink = Arc::new(Sink::new());
        Self {
            executor,
            context: AttemptContext::new(AttemptId::new(job, AttemptNumber::FIRST), spec, scratch),
            output: Some(Output::new(Arc::clone(&sink) as Arc<dyn OutputSink>)),
            sink,
        }
    }

    fn scratch(&self) -> PathBuf {
        self.context.scratch.clone()
    }

    fn parts(&mut self) -> (AttemptContext, Output) {
        let output = self.output.take().expect("an attempt is started once");
        (self.context.clone(), output)
    }

    async fn try_start(&mut self) -> Result<Box<dyn Execution>, StartError> {
        let (context, output) = self.parts();
        self.executor.start(context, output).await
    }

    async fn start(&mut self) -> Box<dyn Execution> {
        match self.try_start().await {
            Ok(execution) => execution,
            Err(error) => panic!("the attempt starts: {error}"),
        }
    }

    /// Returns when the executor has let go of the output.
    async fn ended(self) {
        let end = Arc::clone(&self.sink.end.0);
        drop(self);
        poll_fn(|context| end.poll(context)).await;
    }
}

/// Collects output, and wakes whoever waits for it.
struct Sink {
    taken: Mutex<Taken>,
    end: EndOnDrop,
}

#[derive(Default)]
struct Taken {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    waiting: Option<Waker>,
}

impl Sink {
    fn new() -> Self {
        Self {
            taken: Mutex::default(),
            end: EndOnDrop::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came on a stream so far.
    fn take(&self, stream: OutputStream) -> Vec<u8> {
        let mut taken = self.taken();
        mem::take(taken.stream(stream))
    }

    /// Returns when the standard output begins with this.
    async fn wait_for(&self, text: &[u8]) {
        poll_fn(|context| {
            let mut taken = self.taken();
            if taken.stdout.starts_with(text) {
                return Poll::Ready(());
            }
            taken.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Tells whoever waits when the last reference to a sink is gone.
#[derive(Default)]
struct EndOnDrop(Arc<End>);

#[derive(Default)]
struct End(Mutex<(bool, Option<Waker>)>);

impl End {
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        if let Some(waiting) = state.1.take() {
            waiting.wake();
        }
    }
}

impl Taken {
    fn stream(&mut self, stream: OutputStream) -> &mut Vec<u8> {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }
}

#[async_trait]
impl OutputSink for Sink {
    async fn write(&self, stream: OutputStream, bytes: Bytes) {
        let mut taken = self.taken();
        taken.stream(stream).extend_from_slice(&bytes);
        if let Some(waiting) = taken.waiting.take() {
            waiting.wake();
        }
    }
}
