//! What the tasks of one master share.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jobyard_core::{Epoch, Timestamp};
use jobyard_pki::JoinSecret;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::arrivals::Held;
use super::blocks::Blocks;
use super::ended::MasterEnded;
use super::failpoint::Failpoints;
use super::gate::Gate;
use super::hub::Hub;
use super::log_room::{BudgetedLogs, LogRoom};
use super::ports::Ports;
use super::replies::Replies;
use super::requests::Inbox;
use super::specs::SpecCache;
use crate::config::MasterConfig;
use crate::engine::Engine;

/// One for each master; every task holds it.
pub(super) struct Shared {
    pub(super) config: MasterConfig,
    pub(super) inbox: Inbox,
    pub(super) replies: Replies,
    pub(super) hub: Arc<Hub>,
    pub(super) gate: Gate,
    pub(super) ports: Ports,
    pub(super) specs: SpecCache,
    /// What readers of output share.
    pub(super) blocks: Arc<Blocks>,
    /// What uploads hold in memory.
    pub(super) held: Held,
    /// Whether there is room for output.
    pub(super) log_room: Arc<LogRoom>,
    pub(super) failpoints: Failpoints,
    pub(super) started_at: Timestamp,
    pub(super) stopping: CancellationToken,
    pub(super) stopped: CancellationToken,
    /// Watched by every task that uses the stores, until it has let go of them.
    pub(super) tasks: watch::Sender<()>,
    /// How far what is durable has come.
    pub(super) progress: watch::Sender<Progress>,
    /// Why the master could not go on.
    pub(super) ended: OnceLock<MasterEnded>,
    /// From what tokens are made that may have to be made once more.
    pub(super) token_seed: OnceLock<JoinSecret>,
    epoch: AtomicU64,
}

/// How far what is durable has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The place of the newest event.
    pub(super) event_seq: u64,
    /// How many jobs were over and settled in this term.
    pub(super) retired: u64,
}

impl Progress {
    /// How far this engine has come, durable or not.
    pub(super) fn of(engine: &Engine) -> Self {
        Self {
            event_seq: engine.counters().event_seq,
            retired: engine.retired(),
        }
    }
}

impl Shared {
    pub(super) fn new(mut config: MasterConfig, inbox: Inbox) -> Self {
        let log_room = Arc::<LogRoom>::default();
        if let Some(budget) = config.retention.log_budget {
            config.logs = Arc::new(BudgetedLogs::new(
                config.logs,
                budget,
                Arc::clone(&log_room),
            ));
        }
        Self {
            started_at: config.clock.now().wall,
            config,
            inbox,
            replies: Replies::default(),
            hub: Arc::new(Hub::default()),
            gate: Gate::default(),
            ports: Ports::default(),
            specs: SpecCache::default(),
            blocks: Arc::default(),
            held: Held::default(),
            log_room,
            failpoints: Failpoints::from_environment(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            tasks: watch::Sender::new(()),
            progress: watch::Sender::new(Progress::default()),
            ended: OnceLock::new(),
            token_seed: OnceLock::new(),
            epoch: AtomicU64::new(0),
        }
    }

    /// Starts a task that a shutdown waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let present = self.tasks.subscribe();
        tokio::spawn(async move {
            task.await;
            // The task is dropped by now, and all that it held.
            drop(present);
        });
    }

    /// What the engine had decided when it had come so far is durable.
    pub(super) fn publish(&self, now: Progress) {
        self.progress.send_if_modified(|progress| {
            let is_new = *progress != now;
            *progress = now;
            is_new
        });
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(super) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }
}
