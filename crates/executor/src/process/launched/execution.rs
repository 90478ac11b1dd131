//! An attempt that a launcher has begun.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{
    AttemptId, Execution, ExecutionTrace, Exit, InfraReason, LimitKind, Lost, Output, Residue,
    SignalError, Steady, StopSignal, Timestamp,
};
use jobyard_launcher::protocol::{Request, Signal};
use tokio::runtime::Handle;

use super::super::unix::Scratch;
use super::copier::Copier;
use crate::launcher::{Cell, Launcher, Link, Stage};

/// An attempt in the hands of a launcher. Dropped before its clean-up, it is killed, and a task of the runtime in which
/// it was started does the rest.
pub(super) struct LaunchedExecution {
    /// `None` once the clean-up has it.
    body: Option<Body>,
    runtime: Handle,
}

/// What there is of an attempt.
struct Body {
    launcher: Launcher,
    link: Arc<Link>,
    cell: Arc<Cell>,
    attempt: AttemptId,
    scratch: Scratch,
    output: Output,
    /// `None`: the launcher writes the output where it is kept.
    copier: Option<Copier>,
    unenforced: Vec<LimitKind>,
    /// Whether somebody asked for the clean-up, who will also have it forgotten.
    is_asked_for: bool,
}

impl LaunchedExecution {
    /// Needs a runtime.
    pub(super) fn new(
        launcher: &Launcher,
        link: Arc<Link>,
        cell: Arc<Cell>,
        attempt: AttemptId,
        scratch: Scratch,
        output: Output,
    ) -> Self {
        let body = Body {
            launcher: launcher.clone(),
            link,
            cell,
            attempt,
            scratch,
            output,
            copier: None,
            unenforced: Vec::new(),
            is_asked_for: false,
        };
        Self {
            body: Some(body),
            runtime: Handle::current(),
        }
    }

    /// Hands its output on from a directory of ours.
    pub(super) fn with_copier(mut self, copier: Option<Copier>) -> Self {
        self.body_mut().copier = copier;
        self
    }

    /// With limits that it has and that nothing enforces.
    pub(super) fn with_unenforced(mut self, unenforced: Vec<LimitKind>) -> Self {
        self.body_mut().unenforced = unenforced;
        self
    }

    /// Removes the files of an attempt that was not started.
    pub(super) async fn discard(mut self) {
        if let Some(body) = self.body.take() {
            // In a task of its own, so that a caller that goes away does not leave the work half done.
            let discard = async move {
                body.launcher.keeper().forget(body.attempt).await;
                body.scratch.remove().await;
            };
            let _ = self.runtime.spawn(discard).await;
        }
    }

    fn body(&self) -> &Body {
        self.body.as_ref().expect(BODY)
    }

    fn body_mut(&mut self) -> &mut Body {
        self.body.as_mut().expect(BODY)
    }
}

/// Why an attempt has no exit that is its own.
const EXPIRED: &str =
    "the launcher ended it: its worker had lost its master, or its launcher its worker";

const BODY: &str = "only the clean-up, which consumes the execution, takes the body";

impl Body {
    /// Ends it, waits for the rest, and removes what is left. Cancel-safe: if the future is dropped, it can be done again
    /// from the beginning.
    async fn clean_up(&mut self) -> Residue {
        if !self.cell.look(Stage::has_exited) {
            self.kill().await;
        }
        let (mut residue, output) = match self.cell.reached(Stage::is_final).await {
            Stage::Ended { end, .. } => (end.residue, end.output),
            Stage::Lost { residue, .. } => (*residue, *self.cell.progress().borrow()),
            _ => (Residue::default(), *self.cell.progress().borrow()),
        };
        if let Some(copier) = &mut self.copier {
            copier.finish(output.end).await;
        }
        self.cell.tell(None);
        if self.cell.is_cut_short() {
            self.output.cut_short();
        }
        for kind in &self.unenforced {
            if !residue.unenforced.contains(kind) {
                residue.unenforced.push(*kind);
            }
        }
        if !residue.unconfirmed {
            self.scratch.proven_alone();
        }
        if !self.scratch.give_back_at_once() {
            self.scratch.take().remove().await;
        }
        residue
    }

    async fn kill(&self) {
        self.cell.want_kill();
        let attempt = self.attempt;
        // If the launcher is dead, so is what it held, as soon as that is known.
        self.link.send(Request::Kill { attempt }).await;
    }
}

#[async_trait]
impl Execution for LaunchedExecution {
    fn pid(&self) -> Option<u32> {
        self.body().cell.look(Stage::pid)
    }

    fn trace(&self) -> Option<ExecutionTrace> {
        self.body().cell.trace()
    }

    async fn signal(&self, signal: StopSignal) -> Result<(), SignalError> {
        let body = self.body();
        let attempt = body.attempt;
        let signal = match signal {
            StopSignal::Interrupt => Signal::Interrupt,
            _ => Signal::Terminate,
        };
        if !body.cell.look(Stage::has_exited) {
            body.link.send(Request::Signal { attempt, signal }).await;
        }
        Ok(())
    }

    async fn kill(&self) -> Result<(), SignalError> {
        let body = self.body();
        if !body.cell.look(Stage::has_exited) {
            body.kill().await;
        }
        Ok(())
    }

    async fn extend(&self, until: Steady) {
        let body = self.body();
        if body.link.knows_leases() && !body.cell.look(Stage::has_exited) {
            let attempt = body.attempt;
            body.link.send(Request::Extend { attempt, until }).await;
        }
    }

    async fn wait(&self) -> Result<Exit, Lost> {
        match self.body().cell.reached(Stage::has_exited).await {
            Stage::Exited { exit, .. } => Ok(exit),
            Stage::Ended { end, .. } if end.expired => {
                Err(Lost::new(InfraReason::LeaseExpired, EXPIRED))
            }
            Stage::Ended { end, .. } => Ok(end.exit),
            Stage::Lost { problem, .. } => Err(Lost::new(InfraReason::WorkerFault, problem)),
            other => Err(Lost::new(
                InfraReason::WorkerFault,
                format!("it never ran: {other:?}"),
            )),
        }
    }

    /// If the future is dropped, a task does the rest.
    async fn cleanup(mut self: Box<Self>) -> Residue {
        let body = self.body_mut();
        body.is_asked_for = true;
        let residue = body.clean_up().await;
        self.body = None;
        residue
    }

    fn ended_at(&self) -> Option<Timestamp> {
        self.body().cell.look(|stage| match stage {
            Stage::Exited { at, .. } => Some(*at),
            Stage::Ended { end, .. } => Some(end.at),
            _ => None,
        })
    }

    async fn detach(mut self: Box<Self>) {
        if let Some(body) = self.body.take() {
            body.cell.tell(None);
            // The copier stops with the body; who adopts it copies what is still there.
            body.scratch.leave();
        }
    }
}

impl Drop for LaunchedExecution {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else {
            return;
        };
        let attempt = body.attempt;
        if !body.cell.look(Stage::has_exited) {
            // At once, and not only when the task gets its turn.
            body.cell.want_kill();
            let _ = body.link.try_send(Request::Kill { attempt });
        }
        self.runtime.spawn(async move {
            body.clean_up().await;
            if !body.is_asked_for {
                // Nobody was told of its end, and nobody will ask.
                body.launcher.keeper().forget(attempt).await;
            }
        });
    }
}

impl fmt::Debug for LaunchedExecution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempt = self.body.as_ref().map(|body| body.attempt);
        f.debug_struct("LaunchedExecution")
            .field("attempt", &attempt)
            .finish_non_exhaustive()
    }
}
