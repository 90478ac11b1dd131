//! Finished jobs and their output go when they are old or too many.

mod frail;
mod late;

use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AttemptId, AttemptNumber, ControlError, Epoch, JobQuery, JobState, Jobs, LogChunk,
    OutputStream, StopOptions, TOMBSTONE, Timestamp,
};
use jobyard_master::Master;
use jobyard_master::records::{RETENTION, RetentionRecord};

use crate::house::{GUARD, host, id, new_job, over, parts, start, submit};

/// Waits until the master has removed this job.
async fn gone(master: &Master, n: u128) {
    let gone = async {
        // Each look is one more commit that the master takes; what it removes needs no other reason.
        while master.job(&host(), id(n)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, gone).await.expect("in time");
}

#[tokio::test]
async fn the_last_so_many_are_kept() {
    let data = tempfile::tempdir().expect("a directory");
    let mut parts_ = parts(data.path());
    parts_.retention.jobs = Some(2);
    let master = start(parts_).await;
    for n in 1..=5 {
        over(&master, n).await;
    }
    submit(&master, 6).await.expect("accepted");
    for n in 1..=3 {
        gone(&master, n).await;
    }
    let page = master.jobs(&host(), JobQuery::default()).await;
    let left: Vec<_> = page.expect("jobs").jobs.iter().map(|job| job.id).collect();
    assert_eq!(left, [id(6), id(5), id(4)]);

    let error = master.job(&host(), id(1)).await.expect_err("gone");
    assert_eq!(error.code(), "not_found");
    assert!(error.to_string().contains("retention"), "{error}");
    let options = StopOptions::default();
    let stopped = master.stop(&host(), id(1), options).await;
    assert_eq!(stopped, Ok(JobState::Finished));
    assert_eq!(submit(&master, 1).await, Ok(false), "a late repeat");
    let other = master.submit(&host(), vec![new_job(1, "false")]).await;
    assert!(matches!(other, Err(ControlError::AlreadyExists { .. })));
    master.shutdown().await;
    drop(master);

    // Also in a later term, and the numbers go on.
    let mut parts_ = parts(data.path());
    parts_.retention.jobs = Some(2);
    let master = start(parts_).await;
    assert_eq!(submit(&master, 1).await, Ok(false));
    submit(&master, 7).await.expect("accepted");
    let job = master.job(&host(), id(7)).await.expect("a job");
    assert_eq!(job.sequence, 7);
    master.shutdown().await;
}

#[tokio::test]
async fn old_ones_go_also_after_a_restart_and_numbers_are_not_given_again() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    for n in 1..=3 {
        over(&master, n).await;
    }
    master.shutdown().await;
    drop(master);
    let mut parts_ = parts(data.path());
    parts_.retention.jobs_for = Some(Duration::from_millis(1));
    let store = std::sync::Arc::clone(&parts_.store);
    let master = start(parts_).await;
    for n in 1..=3 {
        gone(&master, n).await;
        let tomb = store.get(TOMBSTONE, &id(n).to_string()).await;
        assert!(tomb.expect("readable").is_some());
    }
    master.shutdown().await;
    drop((master, store));
    let master = start(parts(data.path())).await;
    submit(&master, 4).await.expect("accepted");
    let job = master.job(&host(), id(4)).await.expect("a job");
    assert_eq!(job.sequence, 4);
    master.shutdown().await;
}

#[tokio::test]
async fn output_of_a_portion_that_a_crash_left_behind_goes_with_the_next_term() {
    let data = tempfile::tempdir().expect("a directory");
    let attempt = AttemptId::new(id(1), AttemptNumber::FIRST);
    let parts_ = parts(data.path());
    let chunk = LogChunk::new(
        0,
        OutputStream::Stdout,
        Timestamp::from_micros(1),
        Bytes::from_static(b"left"),
    );
    let appended = parts_.logs.append(Epoch(1), attempt, vec![chunk]).await;
    appended.expect("taken");
    // What the master that died had committed.
    let lead = parts_.store.lead("before", GUARD, Epoch::ZERO).await;
    let epoch = lead.expect("it leads").epoch;
    let record = RetentionRecord {
        sequence: 9,
        logs: vec![attempt],
    };
    assert_eq!(record.to_record().kind, RETENTION);
    let changes = vec![jobyard_core::Change::Put(record.to_record())];
    let batch = jobyard_core::Batch { number: 1, changes };
    parts_.store.commit(epoch, batch).await.expect("durable");
    let logs = std::sync::Arc::clone(&parts_.logs);
    let master = start(parts_).await;
    let removed = async {
        while logs
            .status(attempt)
            .await
            .is_ok_and(|status| status.end > 0)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, removed).await.expect("in time");
    submit(&master, 1).await.expect("accepted");
    let job = master.job(&host(), id(1)).await.expect("a job");
    assert_eq!(job.sequence, 10, "above all that were removed");
    master.shutdown().await;
}
