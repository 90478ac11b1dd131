//! What a job asks for.

use std::sync::Arc;

use jobyard_core::{DEFAULT_QUEUE, JobId, Requirement};

/// What one job asks for, as far as it decides where it runs. Fill in what differs from [`JobDemand::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobDemand {
    /// Which job.
    pub job: JobId,
    /// Its place in the order of submission: lower goes first. A job that comes back to the queue keeps its number.
    pub order: u64,
    /// The lane in which it waits.
    pub queue: Arc<str>,
    /// All of these must hold for the worker. Order and repeats do not matter.
    pub requirements: Vec<Requirement>,
    /// The name or the id of the only worker that will do.
    pub worker: Option<String>,
    /// How many of a worker's slots it takes; 0 counts as 1.
    pub slots: u32,
}

impl JobDemand {
    /// One slot of any worker, in the default queue.
    pub fn new(job: JobId, order: u64) -> Self {
        Self {
            job,
            order,
            queue: DEFAULT_QUEUE.into(),
            requirements: Vec::new(),
            worker: None,
            slots: 1,
        }
    }
}
