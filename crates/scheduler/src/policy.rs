//! What an operator can choose about the policy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{JobId, Resources, TagSet, WorkerId};

use crate::Wants;

/// The choices that a host or an operator makes. They hold for the life of a scheduler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Which of the workers with room gets a job.
    pub placement: Placement,
    /// After how long a job that is passed over for want of room gets room kept for it. `None`: never.
    pub reserve_after: Option<Duration>,
    /// On how many workers room may be kept at once. Each idles a little while it empties.
    pub max_reservations: usize,
    /// For how long a queue with waiting jobs must have got nothing to rise by one class. `None`: it never rises, and a
    /// queue of a low class may wait for ever. Whole milliseconds, at least one.
    pub ageing: Option<Duration>,
    /// After how long a job is given up that no worker could ever run, counted from when it was queued, from when it
    /// became impossible, and from [`FleetKnown`](crate::Event::FleetKnown). `None`: it waits.
    pub give_up_after: Option<Duration>,
    /// Seasons the hash tables in which ids and names are looked up, so that nobody who chooses ids can slow them down
    /// who does not know it. Decides nothing: take a random number where there is one.
    pub hash_seed: u64,
}

impl Default for Policy {
    /// Spread; room is kept after a minute, on up to 1,024 workers; a queue rises after a minute; nothing is given up.
    fn default() -> Self {
        Self {
            placement: Placement::Spread,
            reserve_after: Some(Duration::from_mins(1)),
            max_reservations: 1024,
            ageing: Some(Duration::from_mins(1)),
            give_up_after: None,
            hash_seed: 0,
        }
    }
}

/// Which of the workers with room gets a job. In every case the largest sum of [preferences](crate::WantsDraft::prefer)
/// goes first, and what is still equal goes by the [ring](crate::ring_place).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Placement {
    /// The one with the lowest [load](crate::load): jobs disturb each other least.
    #[default]
    Spread,
    /// The one with the highest load: some machines become empty, and can be given back.
    Pack,
    /// The one that holds most bytes of what the job uses, then as `Spread`. A job waits for such a worker while all of
    /// them are busy, up to `patience` from when it was queued; then any will do.
    Warm {
        /// How long a job may wait.
        patience: Duration,
    },
    /// The one to which the host gives the highest score, among the first [`MAX_SCORED`] in the order of `Spread`.
    Scored(Arc<dyn Score>),
}

/// How many workers are shown to a host's own [`Score`] for one decision at most.
pub const MAX_SCORED: usize = 64;

/// A host's own placement.
///
/// # Contract
///
/// Pure: the same question has the same answer, without clock, chance or memory, or decisions cannot be replayed. Cheap:
/// it is asked up to [`MAX_SCORED`] times for one decision. It is asked only about workers that will do and have room.
pub trait Score: fmt::Debug + Send + Sync {
    /// How good this worker is for this job; higher is better. Equal scores go by the order of
    /// [`Spread`](Placement::Spread).
    fn score(&self, job: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64;
}

/// A job to place.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ScoredJob<'a> {
    /// Which.
    pub job: JobId,
    /// In which queue it waited.
    pub queue: &'a str,
    /// What it asks for.
    pub wants: &'a Wants,
}

/// A worker that has room for it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ScoredWorker<'a> {
    /// Which.
    pub worker: WorkerId,
    /// Its name.
    pub name: &'a str,
    /// What it offers.
    pub tags: &'a TagSet,
    /// What it has.
    pub capacity: &'a Resources,
    /// What is taken of it, in thousandths of what is scarcest there: its [load](crate::load).
    pub load: u32,
    /// How many bytes it holds of what the job uses.
    pub warm_bytes: u64,
}
