//! The handle of a master, and what its tasks share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jobyard_core::{Epoch, LeadError, LoadError, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::hub::Hub;
use super::replies::Replies;
use super::requests::Inbox;
use super::sessions::Sessions;
use super::specs::SpecCache;
use super::term;
use crate::config::MasterConfig;
use crate::records::DamagedRecord;

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

/// What the tasks of one master share.
pub(super) struct Shared {
    pub(super) config: MasterConfig,
    pub(super) inbox: Inbox,
    pub(super) replies: Replies,
    pub(super) hub: Arc<Hub>,
    pub(super) gate: Gate,
    pub(super) sessions: Sessions,
    pub(super) specs: SpecCache,
    pub(super) started_at: Timestamp,
    pub(super) stopping: CancellationToken,
    pub(super) stopped: CancellationToken,
    epoch: AtomicU64,
}

impl Shared {
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(super) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }
}

impl Master {
    /// Leads the store, loads what it remembers, and starts. Returns when requests are answered.
    ///
    /// # Errors
    ///
    /// When another master leads, or the store cannot be read.
    pub async fn start(config: MasterConfig) -> Result<Self, StartError> {
        let (inbox, receiver) = Inbox::new();
        let shared = Arc::new(Shared {
            started_at: config.clock.now().wall,
            config,
            inbox,
            replies: Replies::default(),
            hub: Arc::new(Hub::default()),
            gate: Gate::default(),
            sessions: Sessions::default(),
            specs: SpecCache::default(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            epoch: AtomicU64::new(0),
        });
        let first = term::begin(&shared).await?;
        let task: JoinHandle<()> = tokio::spawn(term::serve(Arc::clone(&shared), first, receiver));
        // The task ends by the token; its handle is not needed.
        drop(task);
        Ok(Self { shared })
    }

    /// Stops: what was accepted is committed, workers are told to reconnect without delay, the term is resigned.
    /// Returns when that is done. May be called again.
    pub async fn shutdown(&self) {
        self.shared.stopping.cancel();
        self.shared.stopped.cancelled().await;
    }

    /// Returns when the master has ended, by [`shutdown`](Self::shutdown) or because it could not go on.
    pub async fn ended(&self) {
        self.shared.stopped.cancelled().await;
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

/// Why a master did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It does not lead.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// What it remembers cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A record is damaged.
    #[error(transparent)]
    Damaged(#[from] DamagedRecord),
}
