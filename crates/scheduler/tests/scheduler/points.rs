//! A host's own placement, for tests.

use jobyard_core::{JobId, WorkerId};
use jobyard_scheduler::{Score, ScoredJob, ScoredWorker, ring_place};

/// Likes some pairs, dislikes full workers, and often finds several equally good.
#[derive(Debug)]
pub(crate) struct Points;

impl Score for Points {
    fn score(&self, job: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64 {
        points(job.job, worker.worker, worker.load, worker.warm_bytes)
    }
}

pub(crate) fn points(job: JobId, worker: WorkerId, load: u32, warm_bytes: u64) -> i64 {
    let pair = job.as_uuid().as_u128() ^ worker.as_uuid().as_u128();
    let liking = i64::try_from(ring_place(pair) >> 126).expect("two bits");
    liking - i64::from(load / 400) + i64::from(warm_bytes > 100)
}
