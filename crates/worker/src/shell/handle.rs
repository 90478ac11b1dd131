//! The way to a running worker.

use jobyard_core::WorkerId;
use tokio::sync::{mpsc, watch};

use crate::agent::{ExitReason, ShutdownMode};

/// A running worker. Clones lead to the same one; when the last is dropped, the worker stops what runs and ends.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    pub(super) worker: WorkerId,
    pub(super) shutdown: mpsc::Sender<ShutdownMode>,
    pub(super) status: watch::Receiver<Status>,
}

/// How a worker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) connected: bool,
    pub(super) exit: Option<ExitReason>,
}

impl WorkerHandle {
    /// Who it is.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Asks it to end. A second call makes it stop what runs at once. Returns when the order is taken; use
    /// [`wait`](Self::wait) for the end. Cancel-safe: a dropped call may not have asked.
    pub async fn shutdown(&self, mode: ShutdownMode) {
        // A worker that has ended needs no order.
        let _ = self.shutdown.send(mode).await;
    }

    /// Returns when the master has welcomed the worker, or when the worker has ended. Cancel-safe.
    pub async fn connected(&self) {
        let mut status = self.status.clone();
        let _ = status
            .wait_for(|status| status.connected || status.exit.is_some())
            .await;
    }

    /// Returns when it has ended, and why it did. May be called again. Cancel-safe.
    pub async fn wait(&self) -> ExitReason {
        let mut status = self.status.clone();
        let ended = status.wait_for(|status| status.exit.is_some()).await;
        let exit = ended.ok().and_then(|status| status.exit.clone());
        // Without a word its runtime has ended, and everything with it.
        exit.unwrap_or(ExitReason::Unfinished {
            running: 0,
            unconfirmed: 0,
        })
    }
}
