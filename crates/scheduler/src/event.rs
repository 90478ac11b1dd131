//! What goes in and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jobyard_core::{JobId, QueueSettings, WorkerId};

use crate::{Availability, JobDemand, WorkerOffer};

/// Something that happened. What does not fit what the scheduler knows changes nothing, as said at each event: a host
/// may repeat itself and need not ask first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A job wants a worker. Replaces what a job that is queued already asked for, which then waits from now on; no-op
    /// for a job that is placed: [release](Self::JobReleased) it first.
    JobQueued(JobDemand),
    /// A queued job no longer wants a worker. No-op for every other job.
    JobWithdrawn(JobId),
    /// A job occupies a worker already, as after a restart of the host. Taken as true whatever the capacity,
    /// availability and tags of the worker, which may also be unknown so far, and whatever limits there are. A job that
    /// is queued leaves the queue; one that is placed elsewhere gives back there what it takes. Its queue is charged as
    /// if it had been assigned now.
    JobPlaced {
        /// What it asked for.
        demand: JobDemand,
        /// Where it is.
        worker: WorkerId,
    },
    /// A placed job gives back what it takes: it ended, or goes back to the queue (then [`Self::JobQueued`] with the
    /// same order comes next). No-op for a job that is not placed, so nothing comes back twice.
    JobReleased(JobId),
    /// A worker is part of the fleet, silent until its availability is told. For a known worker the same as
    /// [`Self::WorkerChanged`].
    WorkerJoined(WorkerOffer),
    /// A worker has another name, other tags, another capacity, or holds other things. Its jobs keep what they take. For
    /// an unknown worker the same as [`Self::WorkerJoined`].
    WorkerChanged(WorkerOffer),
    /// A worker holds these things now, by name, with their sizes in bytes; all others no longer. No-op for an unknown
    /// worker.
    WorkerHolds {
        /// Which.
        worker: WorkerId,
        /// What, and how large.
        holds: BTreeMap<String, u64>,
    },
    /// A worker takes jobs, or does not. No-op for an unknown worker.
    WorkerAvailability {
        /// Which.
        worker: WorkerId,
        /// Whether it takes jobs from now on.
        availability: Availability,
    },
    /// A worker is no longer part of the fleet. Its jobs stay placed until they are released, and count against it
    /// should it join again. No-op for an unknown worker.
    WorkerLeft(WorkerId),
    /// How a queue shares workers with the others, from now on. Settings that are the default are forgotten when the
    /// queue has no jobs.
    QueueSet {
        /// Which queue.
        queue: Arc<str>,
        /// Its settings. A weight of 0 counts as 1.
        settings: QueueSettings,
    },
    /// The grace after the host's start is over: a worker that is unknown now does not exist, and verdicts become
    /// definite. Does not affect who runs where.
    FleetKnown,
    /// Whether workers that are unknown may come into being on demand, as with an autoscaler: as long as this holds no
    /// verdict says `Never`. Does not affect who runs where.
    FleetMayGrow(bool),
    /// Nothing but that time has passed: for the moment that [`next_deadline`](crate::Scheduler::next_deadline) gave.
    /// Every other event does this too.
    TimePassed,
}

/// Something that the scheduler decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// A job goes to a worker. What it asks for is taken from now on.
    Assigned {
        /// Which job.
        job: JobId,
        /// To which worker.
        worker: WorkerId,
    },
    /// No worker could have run this job for as long as the [policy](crate::Policy::give_up_after) waits. It is no
    /// longer queued.
    GaveUp {
        /// Which job.
        job: JobId,
    },
}
