//! The handle of a master.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::Epoch;
use tracing::warn;

use super::ended::MasterEnded;
use super::requests::Inbox;
use super::shared::Shared;
use super::term::{self, StartError};
use crate::config::MasterConfig;

/// How long a shutdown waits for tasks that read or write at the time, and for sessions whose worker does not read.
const LETTING_GO: Duration = Duration::from_secs(5);

/// A running master: implements [`Control`](jobyard_core::Control),
/// [`SessionHandler`](jobyard_core::SessionHandler) and [`EnrolmentHandler`](jobyard_core::EnrolmentHandler). Cheap to
/// clone; all clones are the same master.
///
/// It runs until [`shutdown`](Master::shutdown), or until another master takes over its store. Dropping the handles
/// does not end it.
#[derive(Clone)]
pub struct Master {
    pub(super) shared: Arc<Shared>,
}

impl Master {
    /// Leads the store, loads what it remembers, and starts. Returns when requests are answered.
    ///
    /// # Errors
    ///
    /// When another master leads, or the store cannot be read.
    pub async fn start(config: MasterConfig) -> Result<Self, StartError> {
        let (inbox, receiver) = Inbox::new();
        let shared = Arc::new(Shared::new(config, inbox));
        let first = term::begin(&shared).await?;
        shared.spawn(term::serve(Arc::clone(&shared), first, receiver));
        Ok(Self { shared })
    }

    /// Stops: what was accepted is committed, workers are told to reconnect without delay, the term is resigned.
    /// Returns when that is done and none of its tasks uses the stores any more, so that they can be opened again once
    /// the handles of this master are dropped. What its host serves with this master, sessions and uploads, ends as well;
    /// for all that it waits five seconds at most. May be called again.
    pub async fn shutdown(&self) {
        self.shared.stopping.cancel();
        self.shared.stopped.cancelled().await;
        let let_go = self.shared.tasks.closed();
        if tokio::time::timeout(LETTING_GO, let_go).await.is_err() {
            warn!("something still uses the stores of a master that has ended");
        }
    }

    /// Returns when the master has ended, by [`shutdown`](Self::shutdown) or because it could not go on.
    pub async fn ended(&self) {
        self.shared.stopped.cancelled().await;
    }

    /// Why it has ended by itself; `None` while it runs, and after a shutdown.
    pub fn why_ended(&self) -> Option<MasterEnded> {
        self.shared.ended.get().cloned()
    }

    /// Its present term.
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch()
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Master")
            .field("name", &self.shared.config.name)
            .finish_non_exhaustive()
    }
}
