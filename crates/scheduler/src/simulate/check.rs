//! What a load may be.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use jobyard_core::{InvalidResources, JobId, MAX_DURATION, WorkerId};

use super::load::Load;

/// How many jobs a load may have: what a scheduler is built for, and about a minute of simulation.
pub const MAX_LOAD_JOBS: usize = 1_000_000;

/// How many workers a load may have: what a scheduler is built for.
pub const MAX_LOAD_WORKERS: usize = 100_000;

/// Why a load is refused. Whoever wrote it has to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// More than [`MAX_LOAD_JOBS`].
    TooManyJobs {
        /// How many.
        jobs: usize,
    },
    /// More than [`MAX_LOAD_WORKERS`].
    TooManyWorkers {
        /// How many.
        workers: usize,
    },
    /// Two jobs have this id.
    DuplicateJob {
        /// The id.
        job: JobId,
    },
    /// Two workers have this id.
    DuplicateWorker {
        /// The id.
        worker: WorkerId,
    },
    /// Two entries are of this queue.
    DuplicateQueue {
        /// Its name.
        queue: String,
    },
    /// A queue's settings lie outside their limits.
    Queue {
        /// Its name.
        queue: String,
        /// What is wrong.
        problem: String,
    },
    /// What a worker has cannot be.
    Capacity {
        /// Its name.
        worker: String,
        /// What is wrong.
        problem: InvalidResources,
    },
    /// What a job asks for cannot be.
    Demand {
        /// Which.
        job: JobId,
        /// What is wrong.
        problem: InvalidResources,
    },
    /// A worker leaves before it joins.
    LeavesBeforeItJoins {
        /// Its name.
        worker: String,
    },
    /// A worker joins or leaves later than a year after the beginning.
    WorkerTooLate {
        /// Its name.
        worker: String,
    },
    /// A job arrives later than a year after the beginning.
    ArrivesTooLate {
        /// Which.
        job: JobId,
    },
    /// A job runs for longer than a year.
    RunsTooLong {
        /// Which.
        job: JobId,
    },
    /// All jobs one after the other would take longer than time is counted.
    TooMuchWork,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyJobs { jobs } => {
                write!(
                    f,
                    "there are {jobs} jobs, and at most {MAX_LOAD_JOBS} can be simulated"
                )
            }
            Self::TooManyWorkers { workers } => write!(
                f,
                "there are {workers} workers, and at most {MAX_LOAD_WORKERS} can be simulated"
            ),
            Self::DuplicateJob { job } => write!(f, "two jobs have the id {job}"),
            Self::DuplicateWorker { worker } => write!(f, "two workers have the id {worker}"),
            Self::DuplicateQueue { queue } => write!(f, "the queue `{queue}` is set twice"),
            Self::Queue { queue, problem } => write!(f, "queue `{queue}`: {problem}"),
            Self::Capacity { worker, problem } => write!(f, "worker `{worker}`: {problem}"),
            Self::Demand { job, problem } => write!(f, "job {job}: {problem}"),
            Self::LeavesBeforeItJoins { worker } => {
                write!(f, "worker `{worker}` leaves before it joins")
            }
            Self::WorkerTooLate { worker } => write!(
                f,
                "worker `{worker}` joins or leaves later than a year after the beginning"
            ),
            Self::ArrivesTooLate { job } => {
                write!(f, "job {job} arrives later than a year after the beginning")
            }
            Self::RunsTooLong { job } => write!(f, "job {job} runs for longer than a year"),
            Self::TooMuchWork => {
                f.write_str("all jobs together run for longer than time is counted")
            }
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Capacity { problem, .. } | Self::Demand { problem, .. } => Some(problem),
            _ => None,
        }
    }
}

/// Names the first thing that is wrong.
pub(super) fn check(load: &Load) -> Result<(), LoadError> {
    check_workers(load)?;
    check_queues(load)?;
    check_jobs(load)
}

fn check_workers(load: &Load) -> Result<(), LoadError> {
    let workers = load.workers.len();
    if workers > MAX_LOAD_WORKERS {
        return Err(LoadError::TooManyWorkers { workers });
    }
    let mut seen = BTreeSet::new();
    for worker in &load.workers {
        let name = || worker.offer.name.clone();
        let id = worker.offer.worker;
        if !seen.insert(id) {
            return Err(LoadError::DuplicateWorker { worker: id });
        }
        worker
            .offer
            .capacity
            .check()
            .map_err(|problem| LoadError::Capacity {
                worker: name(),
                problem,
            })?;
        let leaves_at = worker.leaves_at.unwrap_or(worker.joins_at);
        if leaves_at < worker.joins_at {
            return Err(LoadError::LeavesBeforeItJoins { worker: name() });
        }
        if leaves_at > MAX_DURATION {
            return Err(LoadError::WorkerTooLate { worker: name() });
        }
    }
    Ok(())
}

fn check_queues(load: &Load) -> Result<(), LoadError> {
    let mut seen = BTreeSet::new();
    for queue in &load.queues {
        let name = || queue.name.as_ref().to_owned();
        if !seen.insert(&queue.name) {
            return Err(LoadError::DuplicateQueue { queue: name() });
        }
        queue.settings.check().map_err(|problem| LoadError::Queue {
            queue: name(),
            problem,
        })?;
    }
    Ok(())
}

fn check_jobs(load: &Load) -> Result<(), LoadError> {
    let jobs = load.jobs.len();
    if jobs > MAX_LOAD_JOBS {
        return Err(LoadError::TooManyJobs { jobs });
    }
    let mut all = Duration::ZERO;
    for entry in &load.jobs {
        let job = entry.demand.job;
        let resources = &entry.demand.wants.draft().resources;
        resources
            .check()
            .map_err(|problem| LoadError::Demand { job, problem })?;
        if entry.arrives_at > MAX_DURATION {
            return Err(LoadError::ArrivesTooLate { job });
        }
        if entry.runs_for > MAX_DURATION {
            return Err(LoadError::RunsTooLong { job });
        }
        all = all.saturating_add(entry.runs_for);
    }
    // Half of what the steady clock counts: deadlines lie beyond the last event.
    if all.as_micros() > u128::from(u64::MAX / 2) {
        return Err(LoadError::TooMuchWork);
    }
    Ok(())
}
