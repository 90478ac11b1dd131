//! What the tasks of one master share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jobyard_core::{Epoch, Timestamp};
use tokio_util::sync::CancellationToken;

use super::failpoint::Failpoints;
use super::gate::Gate;
use super::hub::Hub;
use super::ports::Ports;
use super::replies::Replies;
use super::requests::Inbox;
use super::specs::SpecCache;
use crate::config::MasterConfig;

/// One for each master; every task holds it.
pub(super) struct Shared {
    pub(super) config: MasterConfig,
    pub(super) inbox: Inbox,
    pub(super) replies: Replies,
    pub(super) hub: Arc<Hub>,
    pub(super) gate: Gate,
    pub(super) ports: Ports,
    pub(super) specs: SpecCache,
    pub(super) failpoints: Failpoints,
    pub(super) started_at: Timestamp,
    pub(super) stopping: CancellationToken,
    pub(super) stopped: CancellationToken,
    epoch: AtomicU64,
}

impl Shared {
    pub(super) fn new(config: MasterConfig, inbox: Inbox) -> Self {
        Self {
            started_at: config.clock.now().wall,
            config,
            inbox,
            replies: Replies::default(),
            hub: Arc::new(Hub::default()),
            gate: Gate::default(),
            ports: Ports::default(),
            specs: SpecCache::default(),
            failpoints: Failpoints::from_environment(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            epoch: AtomicU64::new(0),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(super) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }
}
