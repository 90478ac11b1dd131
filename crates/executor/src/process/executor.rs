//! The executor itself.

#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    AttemptContext, Capabilities, ConfigError, Containment, Execution, ExecutionTrace, Executor,
    ExecutorFacts, Gone, Output, PROCESS_EXECUTOR, StartError, StartFailure,
};

use super::ProcessConfig;

/// Where jobs look for programs, unless the worker or the job says otherwise.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the output may stay open after the main process and its group are gone: what is in the pipes arrives at
/// once, so that whoever keeps them open for longer has escaped from the group.
pub const OUTPUT_DRAIN: Duration = Duration::from_secs(2);

/// Runs each attempt as a process group of the host's own user. Its configuration is [`ProcessConfig`].
#[derive(Clone, Debug)]
pub struct ProcessExecutor {
    path: String,
    home: PathBuf,
    drain: Duration,
}

impl ProcessExecutor {
    /// With [`DEFAULT_PATH`], the home directory of the host's user, and [`OUTPUT_DRAIN`].
    pub fn new() -> Self {
        Self {
            path: DEFAULT_PATH.to_owned(),
            home: std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")),
            drain: OUTPUT_DRAIN,
        }
    }

    /// With another `PATH` for jobs.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// With another `HOME` for jobs.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = home.into();
        self
    }

    /// With another time for which the output may stay open, see [`OUTPUT_DRAIN`].
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }
}

impl Default for ProcessExecutor {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Executor for ProcessExecutor {
    fn facts(&self) -> ExecutorFacts {
        let capabilities = Capabilities::NONE
            .with_process_tree()
            .with_signal()
            .with_two_streams();
        ExecutorFacts::new(PROCESS_EXECUTOR, Containment::BestEffort, capabilities)
    }

    fn check(&self, config: &str) -> Result<(), ConfigError> {
        ProcessConfig::parse(config).map(drop)
    }

    /// Starts the program. Dropping the future lets a start that is under way come to its end, and ends what it
    /// started.
    async fn start(
        &self,
        context: AttemptContext,
        output: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        let config = ProcessConfig::parse(&context.spec.executor.config).map_err(|error| {
            StartError::Job {
                cause: StartFailure::BadConfig,
                problem: error.to_string(),
            }
        })?;
        self.begin(config, context, output).await
    }

    /// Never finds anything: the output of what an earlier life started is lost with that life. It kills what is left
    /// of the process group, if the trace proves that the group is still the same, and removes the files.
    async fn adopt(
        &self,
        context: AttemptContext,
        trace: Option<ExecutionTrace>,
        _output: Output,
    ) -> Result<Box<dyn Execution>, Gone> {
        Err(self.end_left_over(context, trace).await)
    }
}

#[cfg(unix)]
impl ProcessExecutor {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn drain(&self) -> Duration {
        self.drain
    }

    async fn begin(
        &self,
        config: ProcessConfig,
        context: AttemptContext,
        output: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        super::unix::start(self.clone(), config, context, output).await
    }

    async fn end_left_over(&self, context: AttemptContext, trace: Option<ExecutionTrace>) -> Gone {
        super::unix::end_left_over(context.scratch, trace).await
    }
}

#[cfg(not(unix))]
#[expect(
    clippy::unused_async,
    clippy::unused_self,
    reason = "the same shape as where it works"
)]
impl ProcessExecutor {
    async fn begin(
        &self,
        _config: ProcessConfig,
        _context: AttemptContext,
        _output: Output,
    ) -> Result<Box<dyn Execution>, StartError> {
        Err(StartError::Worker {
            reason: jobyard_core::InfraReason::WorkerFault,
            problem: "the process executor does not work on this operating system yet".to_owned(),
        })
    }

    async fn end_left_over(
        &self,
        _context: AttemptContext,
        _trace: Option<ExecutionTrace>,
    ) -> Gone {
        Gone::new(0)
    }
}
