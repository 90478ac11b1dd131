//! What is simulated.

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::QueueSettings;

use crate::{JobDemand, Policy, WorkerOffer};

/// A fleet, and what it has to do. Times count from the beginning of the load.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Load {
    /// By which the scheduler decides.
    pub policy: Policy,
    /// The fleet. At most [`MAX_LOAD_WORKERS`](super::MAX_LOAD_WORKERS).
    pub workers: Vec<LoadWorker>,
    /// The queues that have settings of their own.
    pub queues: Vec<LoadQueue>,
    /// What arrives, in any order. At most [`MAX_LOAD_JOBS`](super::MAX_LOAD_JOBS).
    pub jobs: Vec<LoadJob>,
}

/// A worker of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadWorker {
    /// What it offers.
    pub offer: WorkerOffer,
    /// From when on it takes jobs.
    pub joins_at: Duration,
    /// From when on it takes none. `None`: it stays to the end.
    pub leaves_at: Option<Duration>,
}

impl LoadWorker {
    /// There from the beginning to the end.
    pub const fn new(offer: WorkerOffer) -> Self {
        Self {
            offer,
            joins_at: Duration::ZERO,
            leaves_at: None,
        }
    }
}

/// A queue of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadQueue {
    /// Its name.
    pub name: Arc<str>,
    /// How it shares workers with the others.
    pub settings: QueueSettings,
}

impl LoadQueue {
    /// A queue with these settings.
    pub fn new(name: impl Into<Arc<str>>, settings: QueueSettings) -> Self {
        Self {
            name: name.into(),
            settings,
        }
    }
}

/// A job of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadJob {
    /// What it asks for.
    pub demand: JobDemand,
    /// When it is queued.
    pub arrives_at: Duration,
    /// How long it runs, once it has a worker.
    pub runs_for: Duration,
}

impl LoadJob {
    /// A job that comes then, and runs for so long.
    pub const fn new(demand: JobDemand, arrives_at: Duration, runs_for: Duration) -> Self {
        Self {
            demand,
            arrives_at,
            runs_for,
        }
    }
}
