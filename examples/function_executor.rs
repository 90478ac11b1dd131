//! An executor for something that is no process: async functions of the host program.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jobyard_core::{
    AttemptContext, Capabilities, ConfigError, Containment, Execution, ExecutionTrace, Executor,
    ExecutorFacts, Exit, Gone, Lost, Output, Residue, SignalError, StartError, StartFailure,
    StopSignal,
};
use tokio::sync::watch;

/// What jobs can call: it gets its argument and a place for its output, and answers with an exit code.
type Function = Arc<dyn Fn(String, Output) -> BoxFuture<'static, i32> + Send + Sync>;

/// Runs the functions that it was given, each by its name. The configuration of a job is `NAME` or `NAME ARGUMENT`.
#[derive(Clone, Default)]
pub(crate) struct FunctionExecutor(BTreeMap<String, Function>);

impl FunctionExecutor {
    /// Also offers this function.
    #[must_use]
    pub(crate) fn with<F>(
        mut self,
        name: &str,
        function: impl Fn(String, Output) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = i32> + Send + 'static,
    {
        let boxed: Function =
            Arc::new(move |argument, output| Box::pin(function(argument, output)));
        self.0.insert(name.to_owned(), boxed);
        self
    }

    /// The function that a configuration asks for, and its argument.
    fn find(&self, config: &str) -> Result<(Function, String), ConfigError> {
        let (name, argument) = config.split_once(' ').unwrap_or((config, ""));
        let found = self
            .0
            .get(name)
            .map(|function| (Arc::clone(function), argument.to_owned()));
        found.ok_or_else(|| ConfigError::new("function", format!("there is none called {name:?}")))
    }
}

impl fmt::Debug for FunctionExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FunctionExecutor")
            .field(&self.0.keys())
            .finish()
    }
}

#[async_trait]
impl Executor for FunctionExecutor {
    /// No processes, so nothing could escape; no signals, one stream, and nothing that outlives this program.
    fn facts(&self) -> ExecutorFacts {
        ExecutorFacts::new("function", Containment::None, Capabilities::NONE)
    }

    fn check(&self, config: &str) -> Result<(), ConfigError> {
        self.find(config).map(drop)
    }

    async fn start(
        &self,
        context: AttemptContext,
        output: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        let found = self.find(&context.spec.executor.config);
        let (function, argument) = found.map_err(|error| StartError::Job {
            cause: StartFailure::BadConfig,
            problem: error.to_string(),
        })?;
        let (kill, mut killed) = watch::channel(false);
        let (exit, exited) = watch::channel(None);
        tokio::spawn(async move {
            let end = tokio::select! {
                code = function(argument, output) => Exit::Exited(code),
                // Also when the execution was dropped.
                _ = killed.wait_for(|killed| *killed) => Exit::Signaled(9),
            };
            exit.send_replace(Some(end));
        });
        Ok(Box::new(Call { kill, exited }))
    }

    /// What a restart of the agent has ended cannot be found again.
    async fn adopt(
        &self,
        _context: AttemptContext,
        _trace: Option<ExecutionTrace>,
        _output: Output,
    ) -> Result<Box<dyn Execution>, Gone> {
        Err(Gone::new(0))
    }
}

/// A function that runs, or has run.
#[derive(Debug)]
struct Call {
    kill: watch::Sender<bool>,
    exited: watch::Receiver<Option<Exit>>,
}

#[async_trait]
impl Execution for Call {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn trace(&self) -> Option<ExecutionTrace> {
        None
    }

    /// A stop goes straight to `kill`.
    async fn signal(&self, _signal: StopSignal) -> Result<(), SignalError> {
        Err(SignalError::Unsupported)
    }

    async fn kill(&self) -> Result<(), SignalError> {
        self.kill.send_replace(true);
        Ok(())
    }

    /// A function that panics hangs up without an exit.
    async fn wait(&self) -> Result<Exit, Lost> {
        let mut exited = self.exited.clone();
        let exit = exited
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|exit| *exit);
        Ok(exit.unwrap_or(Exit::Exited(101)))
    }

    async fn cleanup(self: Box<Self>) -> Residue {
        Residue::default()
    }
}
