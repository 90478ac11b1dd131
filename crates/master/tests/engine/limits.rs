//! What happens at the limits.

use jobyard_core::{Change, JobState, MAX_BATCH_CHANGES, MAX_SUBMIT_JOBS, MAX_WORKER_SLOTS};
use jobyard_master::engine::{Input, Sealed};
use jobyard_master::records::EVENT;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{draft, submission};

/// Whether it is what happened.
fn tells(change: &Change) -> bool {
    matches!(change, Change::Put(record) if record.kind == EVENT)
}

/// A master that lost its whole fleet gives everything up in batches that its store takes.
#[test]
fn many_lost_workers_fit_into_batches() {
    let slots = MAX_WORKER_SLOTS as usize;
    let large = MAX_BATCH_CHANGES / slots;
    let workers = u8::try_from(large + 1).expect("a few");
    let jobs = (large * slots + 1) as u128;
    assert!(jobs > MAX_BATCH_CHANGES as u128);

    let mut cluster = Cluster::with_workers(workers);
    let all: Vec<u128> = (1..=jobs).collect();
    for some in all.chunks(MAX_SUBMIT_JOBS) {
        let some = some.iter().map(|n| submission(*n, draft("{}")));
        cluster.submit_all(some.collect());
    }
    for n in 1..=workers {
        cluster.connect(n.into(), MAX_WORKER_SLOTS);
    }
    cluster.skip(TIMINGS.reconcile_for);

    let mut settled = 0;
    while cluster
        .engine
        .next_deadline()
        .is_some_and(|at| at <= cluster.now.steady)
    {
        // As a shell does that is busy: it feeds as long as a deadline is due, and only then commits.
        while cluster
            .engine
            .next_deadline()
            .is_some_and(|at| at <= cluster.now.steady)
        {
            cluster.engine.handle(cluster.now, Input::DeadlineReached);
        }
        assert!(cluster.engine.pending_changes() <= MAX_BATCH_CHANGES);
        if let Sealed::AfterCommit(batch, _) = cluster.engine.take_outbox().seal(1) {
            assert!(batch.changes.len() <= MAX_BATCH_CHANGES);
            settled += batch.changes.iter().filter(|change| !tells(change)).count();
        }
    }
    let all = jobs + u128::from(workers);
    assert_eq!(settled as u128, all, "each job and each worker once");
    let waiting = cluster.engine.tally().jobs;
    assert_eq!(
        waiting.get(JobState::Queued.as_str()).copied(),
        u64::try_from(jobs).ok()
    );
}
