//! An attempt that has begun.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jobyard_core::{
    Execution, ExecutionTrace, Exit, LimitKind, Lost, Residue, SignalError, StopSignal,
};
use rustix::process::Signal;
use tokio::runtime::Handle;

use super::super::pump::Pump;
use super::group;
use super::leader::Leader;
use super::scratch::Scratch;

/// A process group that we started. Dropped before its clean-up, it is killed at once, and a task of the runtime in
/// which it was started does the rest.
pub(super) struct ProcessExecution {
    /// `None` once the clean-up has it.
    body: Option<Body>,
    runtime: Handle,
}

/// What there is of an attempt.
struct Body {
    leader: Leader,
    trace: Option<ExecutionTrace>,
    /// Processes beside the leader that a kill found alive.
    killed: AtomicU32,
    pump: Option<Pump>,
    drain: Duration,
    scratch: Scratch,
    unenforced: Vec<LimitKind>,
}

impl ProcessExecution {
    /// Needs a runtime.
    pub(super) fn new(
        leader: Leader,
        start_time: Option<u64>,
        scratch: Scratch,
        drain: Duration,
    ) -> Self {
        let pid = leader.pid().as_raw_nonzero().get().unsigned_abs();
        Self {
            body: Some(Body {
                leader,
                trace: start_time.map(|start_time| ExecutionTrace::new(pid, start_time)),
                killed: AtomicU32::new(0),
                pump: None,
                drain,
                scratch,
                unenforced: Vec::new(),
            }),
            runtime: Handle::current(),
        }
    }

    pub(super) fn with_pump(mut self, pump: Pump) -> Self {
        self.body_mut().pump = Some(pump);
        self
    }

    /// With limits that it has and that nothing enforces.
    pub(super) fn with_unenforced(mut self, unenforced: Vec<LimitKind>) -> Self {
        self.body_mut().unenforced = unenforced;
        self
    }

    fn body(&self) -> &Body {
        self.body.as_ref().expect(BODY)
    }

    fn body_mut(&mut self) -> &mut Body {
        self.body.as_mut().expect(BODY)
    }
}

const BODY: &str = "only the clean-up, which consumes the execution, takes the body";

impl Body {
    fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        if self.leader.has_ended() {
            return Ok(());
        }
        group::signal(self.leader.pid(), signal).map_err(|error| SignalError::Refused {
            problem: error.to_string(),
        })
    }

    fn kill(&self) -> Result<(), SignalError> {
        if !self.leader.has_ended() {
            let followers = group::count_followers(self.leader.pid());
            self.killed.fetch_max(followers, Ordering::Relaxed);
        }
        self.signal(Signal::KILL)
    }

    /// Ends and removes all there is, in this order: the leader, its group, the output, the files.
    async fn clean_up(self) -> Residue {
        let group = self.leader.pid();
        self.leader.reap().await;
        let swept = group::sweep(group).await;
        let mut residue = Residue::default();
        // What a kill found and what is still dying now are the same processes: a killed group gets no new ones.
        residue.killed = self.killed.into_inner().max(swept.killed);
        residue.unconfirmed = swept.unconfirmed;
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
        Some(
            self.body()
                .leader
                .pid()
                .as_raw_nonzero()
                .get()
                .unsigned_abs(),
        )
    }

    fn trace(&self) -> Option<ExecutionTrace> {
        self.body().trace.clone()
    }

    async fn signal(&self, signal: StopSignal) -> Result<(), SignalError> {
        let body = self.body();
        body.signal(match signal {
            StopSignal::Interrupt => Signal::INT,
            _ => Signal::TERM,
        })?;
        // A process that is stopped takes the signal only once it goes on.
        body.signal(Signal::CONT)
    }

    async fn kill(&self) -> Result<(), SignalError> {
        self.body().kill()
    }

    async fn wait(&self) -> Result<Exit, Lost> {
        Ok(self.body().leader.ended().await)
    }

    async fn cleanup(mut self: Box<Self>) -> Residue {
        let Some(body) = self.body.take() else {
            return Residue::default();
        };
        // A caller that did not wait gets what it asked for: the end.
        let _ = body.signal(Signal::KILL);
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
            // At once, and not only when the task gets its turn.
            let _ = body.signal(Signal::KILL);
            self.runtime.spawn(body.clean_up());
        }
    }
}

impl fmt::Debug for ProcessExecution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.body.as_ref().map(|body| body.leader.pid());
        f.debug_struct("ProcessExecution")
            .field("pid", &pid)
            .finish_non_exhaustive()
    }
}
