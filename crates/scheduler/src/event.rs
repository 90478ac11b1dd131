//! What goes in and what comes out.

use jobyard_core::{JobId, WorkerId};

use crate::{Availability, JobDemand, WorkerOffer};

/// Something that happened. What does not fit what the scheduler knows changes nothing, as said at each event: a host
/// may repeat itself and need not ask first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A job wants a worker. Replaces what a job that is queued already asked for; no-op for a job that is placed:
    /// [release](Self::JobReleased) it first.
    JobQueued(JobDemand),
    /// A queued job no longer wants a worker. No-op for every other job.
    JobWithdrawn(JobId),
    /// A job occupies a worker already, as after a restart of the host. Taken as true whatever the capacity,
    /// availability and tags of the worker, which may also be unknown so far. A job that is queued leaves the queue; one
    /// that is placed elsewhere gives its slots back there.
    JobPlaced {
        /// What it asked for.
        demand: JobDemand,
        /// Where it is.
        worker: WorkerId,
    },
    /// A placed job gives its slots back: it ended, or goes back to the queue (then [`Self::JobQueued`] with the same
    /// order comes next). No-op for a job that is not placed, so slots come back once.
    JobReleased(JobId),
    /// A worker is part of the fleet, silent until its availability is told. For a known worker the same as
    /// [`Self::WorkerChanged`].
    WorkerJoined(WorkerOffer),
    /// A worker has another name, other tags or another capacity. Its jobs keep their slots. For an unknown worker the
    /// same as [`Self::WorkerJoined`].
    WorkerChanged(WorkerOffer),
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
    /// The grace after the host's start is over: a worker that is unknown now does not exist, and verdicts become
    /// definite. Does not affect who runs where.
    FleetKnown,
}

/// A job goes to a worker. Its slots are taken from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Assignment {
    /// Which job.
    pub job: JobId,
    /// To which worker.
    pub worker: WorkerId,
}
