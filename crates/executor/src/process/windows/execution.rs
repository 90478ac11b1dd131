//! An attempt that has begun.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Execution, ExecutionTrace, Exit, LimitKind, Lost, Residue, SignalError, StopSignal,
};
use tokio::runtime::Handle;

use super::super::pump::Pump;
use super::job_object::JobObject;
use super::scratch::Scratch;

/// A job object with processes that we started. Dropped before its clean-up, a task of the runtime in which it was started
/// ends and removes everything.
pub(super) struct ProcessExecution {
    /// `None` once the clean-up has it.
    body: Option<Body>,
    runtime: Handle,
}

/// What there is of an attempt.
pub(super) struct Body {
    pub(super) job_object: JobObject,
    /// `None`: nobody reads what it prints, since that could not be begun.
    pub(super) pump: Option<Pump>,
    pub(super) drain: Duration,
    pub(super) scratch: Scratch,
    /// Limits that it has and that nothing enforces.
    pub(super) unenforced: Vec<LimitKind>,
}

impl ProcessExecution {
    /// Needs a runtime.
    pub(super) fn new(body: Body) -> Self {
        Self {
            body: Some(body),
            runtime: Handle::current(),
        }
    }

    fn job_object(&self) -> &JobObject {
        let body = self.body.as_ref();
        &body
            .expect("only the clean-up, which consumes the execution, takes the body")
            .job_object
    }
}

impl Body {
    /// Ends and removes all there is, in this order: the processes, the output, the files.
    async fn clean_up(self) -> Residue {
        let mut residue = Residue::default();
        if let Err(error) = self.job_object.close().await {
            tracing::warn!(%error, "a job object could not be ended");
            residue.unconfirmed = true;
        }
        residue.unenforced = self.unenforced;
        if let Some(pump) = self.pump {
            residue.output_held_open = pump.finish(self.drain).await;
        }
        self.scratch.remove().await;
        residue
    }
}

#[async_trait]
impl Execution for ProcessExecution {
    fn pid(&self) -> Option<u32> {
        self.job_object().pid()
    }

    /// None is needed: nothing of it outlives this program.
    fn trace(&self) -> Option<ExecutionTrace> {
        None
    }

    async fn signal(&self, _signal: StopSignal) -> Result<(), SignalError> {
        Err(SignalError::Unsupported)
    }

    async fn kill(&self) -> Result<(), SignalError> {
        let killed = self.job_object().kill().await;
        killed.map_err(|error| SignalError::Refused {
            problem: error.to_string(),
        })
    }

    async fn wait(&self) -> Result<Exit, Lost> {
        self.job_object().ended().await
    }

    async fn cleanup(mut self: Box<Self>) -> Residue {
        let Some(body) = self.body.take() else {
            return Residue::default();
        };
        // In a task of its own, so that a caller that goes away does not leave the work half done.
        let cleaned = self.runtime.spawn(body.clean_up()).await;
        cleaned.unwrap_or_else(|_| {
            let mut unknown = Residue::default();
            unknown.unconfirmed = true;
            unknown
        })
    }
}

impl Drop for ProcessExecution {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.runtime.spawn(body.clean_up());
        }
    }
}

impl fmt::Debug for ProcessExecution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.body.as_ref().map(|body| body.job_object.pid());
        f.debug_struct("ProcessExecution")
            .field("pid", &pid)
            .finish_non_exhaustive()
    }
}
