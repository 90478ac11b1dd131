//! What a worker is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jobyard_clock::SystemClock;
use jobyard_core::{BootId, Clock, Executor, Resources, TagSet, Transport, WorkerFacts, WorkerId};
use jobyard_transport::Backoff;

use crate::facts;
use crate::protection::Protection;
use crate::spool::DEFAULT_SPOOL_BUDGET;

/// Everything that a worker needs. Fill in what differs from [`WorkerConfig::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where it keeps its journal and the output that the master does not have yet. One worker at a time uses it.
    pub data: PathBuf,
    /// Who it is, as its certificate says.
    pub worker: WorkerId,
    /// How it reaches its master.
    pub transport: Arc<dyn Transport>,
    /// What can run attempts, each under its own name.
    pub executors: Vec<Arc<dyn Executor>>,
    /// What it says of the machine. Default: what the machine says.
    pub facts: WorkerFacts,
    /// What it offers. Those of its executors (`executor=NAME` and their own) are added.
    pub tags: TagSet,
    /// Tags that refuse every job which does not name them. They are offered as ordinary tags as well.
    pub exclusive: TagSet,
    /// What it has for jobs. Default: [`facts::capacity`](crate::facts::capacity). It is a promise to the scheduler;
    /// nothing here holds jobs to it.
    pub capacity: Resources,
    /// What its attempts find in their environment, beside what describes the attempt. Wins over what the master keeps
    /// for this worker.
    pub env: BTreeMap<String, String>,
    /// The clocks. Default: the machine's.
    pub clock: Arc<dyn Clock>,
    /// How long it waits between tries to connect.
    pub backoff: Backoff,
    /// The machine's boot. Default: as the system names it.
    pub boot: BootId,
    /// When it takes no jobs for its machine's sake. Default: [`Protection::default`].
    pub protection: Protection,
    /// How many bytes of output it keeps at most that the master does not have, of all attempts together. What gives way
    /// beyond that: see [`spool`](crate::spool). Default: [`DEFAULT_SPOOL_BUDGET`].
    pub spool_budget: u64,
    /// The directory of the identity, which is deleted when the master removes the worker. `None`: the host takes care
    /// of it.
    pub identity: Option<PathBuf>,
}

impl WorkerConfig {
    /// A worker of this machine, with its facts and all that it has for jobs, without tags.
    pub fn new(
        data: impl Into<PathBuf>,
        worker: WorkerId,
        transport: Arc<dyn Transport>,
        executors: Vec<Arc<dyn Executor>>,
    ) -> Self {
        let facts = facts::of_this_machine();
        Self {
            data: data.into(),
            worker,
            transport,
            executors,
            capacity: facts::capacity(&facts),
            facts,
            tags: TagSet::new(),
            exclusive: TagSet::new(),
            env: BTreeMap::new(),
            clock: Arc::new(SystemClock::new()),
            backoff: Backoff::default(),
            boot: facts::boot_id(),
            protection: Protection::default(),
            spool_budget: DEFAULT_SPOOL_BUDGET,
            identity: None,
        }
    }
}
