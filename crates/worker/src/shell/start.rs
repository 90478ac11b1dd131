//! How a worker begins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jobyard_core::{
    AttemptId, BootId, Executor, FEATURE_LEASES, InvalidResources, InvalidTag, MAX_WORKER_SLOTS,
    Resources, Tag, TagSet,
};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tracing::Instrument;
use uuid::Uuid;

use super::config::WorkerConfig;
use super::event::EVENTS;
use super::handle::{Status, WorkerHandle};
use super::lock::{DataDirLock, LockError};
use super::task::{Disk, Task};
use super::watch::Watch;
use crate::agent::{Agent, AgentConfig, JournalEntry};
use crate::journal::{Journal, JournalError};
use crate::spool::{Spool, SpoolError};
use crate::uploader::{MAX_LINKS, Places};

/// How many shutdown orders may wait: the worker takes them between two events.
const SHUTDOWNS: usize = 2;

/// Runs jobs for a master. [`Worker::start`] is all there is; everything else goes through the [`WorkerHandle`].
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Takes the data directory, reads what an earlier life left there, and begins to connect, in tasks of the current
    /// runtime. Dropping the future starts nothing.
    pub async fn start(config: WorkerConfig) -> Result<WorkerHandle, StartWorkerError> {
        offer(&config)?;
        let data = config.data.clone();
        let taken = spawn_blocking(move || DataDirLock::take(&data)).await;
        let lock = taken.map_err(|_| StartWorkerError::RuntimeEnds)??;
        Self::start_locked(config, lock).await
    }

    /// As [`start`](Self::start), in a data directory that the host has taken already: whoever keeps launchers in it
    /// has to be sure of it before it looks for them.
    pub async fn start_locked(
        mut config: WorkerConfig,
        lock: DataDirLock,
    ) -> Result<WorkerHandle, StartWorkerError> {
        let executors = by_name(&config.executors)?;
        let tags = offer(&config)?;
        config.data = std::path::absolute(&config.data).unwrap_or(config.data);
        let data = config.data.clone();
        let budget = config.spool_budget;
        let opened = spawn_blocking(move || open(&data, budget, lock)).await;
        let (disk, entries) = opened.map_err(|_| StartWorkerError::RuntimeEnds)??;

        let agent = BootId::from_uuid(Uuid::now_v7());
        let mut own = AgentConfig::new(config.worker, config.boot, agent);
        own.facts = config.facts.clone();
        own.tags = tags;
        own.exclusive = config.exclusive.clone();
        own.capacity = config.capacity.clone();
        own.backoff = config.backoff;
        if config.executors.iter().any(|it| may_outlive(it.as_ref())) {
            own.protocol.features.remove(FEATURE_LEASES);
        }

        let (shutdown, orders) = mpsc::channel(SHUTDOWNS);
        let (status, watch) = watch::channel(Status::default());
        let (events, inbox) = mpsc::channel(EVENTS);
        let handle = WorkerHandle {
            worker: config.worker,
            shutdown,
            status: watch,
        };
        let span = tracing::info_span!("worker", id = %config.worker);
        let task = Task {
            agent: Agent::new(own, entries),
            watch: Watch::new(config.data.clone(), &config.protection),
            unwritten: false,
            config,
            executors,
            disk,
            attempts: BTreeMap::new(),
            leaving: Vec::new(),
            connection: None,
            sessions: 0,
            worker_name: String::new(),
            places: Places::new(MAX_LINKS),
            events,
            status,
            exit: None,
        };
        tokio::spawn(task.run(inbox, orders).instrument(span));
        Ok(handle)
    }
}

/// Why a worker does not start. The operator's matter, each time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartWorkerError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Two executors have the same name.
    #[error("two executors are named {name}: give each a name of its own")]
    SameName {
        /// The name.
        name: String,
    },
    /// An executor's name, or one of its tags, cannot be offered.
    #[error("the executor {name} cannot be offered: {problem}")]
    ExecutorTag {
        /// The executor.
        name: String,
        /// What is wrong.
        #[source]
        problem: InvalidTag,
    },
    /// It offers no slot, or too many.
    #[error("a worker offers between 1 and {MAX_WORKER_SLOTS} slots, not {slots}")]
    Slots {
        /// How many it would offer.
        slots: u32,
    },
    /// What it has for jobs cannot be offered.
    #[error("what this worker has for jobs cannot be offered: {problem}")]
    Capacity {
        /// What is wrong.
        #[source]
        problem: InvalidResources,
    },
    /// With the exclusive tags there are too many.
    #[error("the exclusive tag {tag} cannot be offered: {problem}")]
    ExclusiveTag {
        /// The tag.
        tag: Tag,
        /// What is wrong.
        #[source]
        problem: InvalidTag,
    },
    /// The runtime ends before the worker has begun.
    #[error("the runtime ends")]
    RuntimeEnds,
}

/// What it offers, if it can be offered.
fn offer(config: &WorkerConfig) -> Result<TagSet, StartWorkerError> {
    by_name(&config.executors)?;
    check_capacity(&config.capacity)?;
    let tags = with_exclusive(config.tags.clone(), &config.exclusive)?;
    with_executors(tags, &config.executors)
}

fn by_name(
    executors: &[Arc<dyn Executor>],
) -> Result<BTreeMap<String, Arc<dyn Executor>>, StartWorkerError> {
    let mut named = BTreeMap::new();
    for executor in executors {
        let name = executor.facts().name;
        if named.insert(name.clone(), Arc::clone(executor)).is_some() {
            return Err(StartWorkerError::SameName { name });
        }
    }
    Ok(named)
}

/// Whether what it starts may run on when the worker is dead, with nobody to end it in time: it has processes, and nobody
/// else who keeps hold of them. A worker that has it takes no jobs that must not outlive their lease.
fn may_outlive(executor: &dyn Executor) -> bool {
    let can = executor.facts().capabilities;
    can.process_tree && !can.adopt
}

fn check_capacity(capacity: &Resources) -> Result<(), StartWorkerError> {
    let slots = capacity.slots;
    if !(1..=MAX_WORKER_SLOTS).contains(&slots) {
        return Err(StartWorkerError::Slots { slots });
    }
    capacity
        .check()
        .map_err(|problem| StartWorkerError::Capacity { problem })
}

/// A job that names an exclusive tag asks for it like for any other, so it is offered like any other.
fn with_exclusive(mut tags: TagSet, exclusive: &TagSet) -> Result<TagSet, StartWorkerError> {
    for tag in exclusive.iter() {
        tags.insert(tag.clone())
            .map_err(|problem| StartWorkerError::ExclusiveTag { tag, problem })?;
    }
    Ok(tags)
}

/// A job names its executor, so a worker always says which ones it has.
fn with_executors(
    mut tags: TagSet,
    executors: &[Arc<dyn Executor>],
) -> Result<TagSet, StartWorkerError> {
    for executor in executors {
        let facts = executor.facts();
        let name = &facts.name;
        let failed = |problem| StartWorkerError::ExecutorTag {
            name: name.clone(),
            problem,
        };
        tags.insert(Tag::with_value("executor", name).map_err(failed)?)
            .map_err(failed)?;
        for tag in facts.tags {
            tags.insert(tag).map_err(failed)?;
        }
    }
    Ok(tags)
}

fn open(
    data: &Path,
    budget: u64,
    lock: DataDirLock,
) -> Result<(Disk, Vec<JournalEntry>), StartWorkerError> {
    let (journal, entries) = Journal::open(&data.join("journal"))?;
    let spool = Spool::open_within(&data.join("spool"), budget)?;
    let scratch = data.join("scratch");
    Ok((
        Disk {
            journal,
            spool,
            scratch,
            _lock: lock,
        },
        entries,
    ))
}

/// The name of an attempt's directory beneath the scratch directory.
pub(super) fn directory_name(attempt: AttemptId) -> String {
    format!("{}.{}", attempt.job, attempt.number)
}
