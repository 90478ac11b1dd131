//! A store that is short of room, or whose disk has failed.

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{
    Admin, ControlError, Fleet, JobState, Jobs, NewToken, Outcome, RefusalReason, StopOptions,
};
use jobyard_master::MasterEnded;
use tokio::time::Instant;

use crate::house::{GUARD, again, host, id, over, parts_with, start, submit};
use crate::moody::{Mood, Moody};

/// How many commits a master tries while its store is full, and what it takes at least for that if each waits longer
/// than the one before.
const TRIES: u64 = 6;
const UNHURRIED: Duration = Duration::from_secs(11);

#[tokio::test]
async fn fm7_new_work_is_refused_while_there_is_little_room_and_what_has_begun_goes_on() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Moody::new());
    let master = start(parts_with(data.path(), Arc::clone(&store) as _)).await;
    submit(&master, 1).await.expect("accepted");
    store.be(Mood::Low);
    let refused = submit(&master, 2).await.expect_err("no room");
    assert_eq!(refused.code(), "exhausted");
    assert!(refused.is_temporary());
    assert!(refused.to_string().contains("make room"), "{refused}");
    assert_eq!(submit(&master, 1).await, Ok(false), "a repeat is answered");
    let refused = master.retry(&host(), id(1), id(3)).await;
    assert!(matches!(refused, Err(ControlError::Exhausted { .. })));
    let refused = master.create_token(&host(), NewToken::default()).await;
    assert!(matches!(refused, Err(ControlError::Exhausted { .. })));
    let status = master.status(&host()).await.expect("a status");
    assert!(status.store.contains("low on room"), "{}", status.store);
    let options = StopOptions::default();
    let stopped = master.stop(&host(), id(1), options).await;
    assert_eq!(stopped, Ok(JobState::Finished), "what has begun goes on");
    store.be(Mood::Good);
    assert_eq!(submit(&master, 2).await, Ok(true));
    master.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn fm7_what_finds_no_room_is_kept_and_tried_again_and_nobody_is_told_before() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Moody::new());
    let master = start(parts_with(data.path(), Arc::clone(&store) as _)).await;
    submit(&master, 1).await.expect("accepted");
    submit(&master, 2).await.expect("accepted");
    let terms = store.terms();
    store.be(Mood::Full);
    let options = StopOptions::default();
    let (asked, since) = (again(7), Instant::now());
    let unknown = master.stop(&asked, id(1), options).await;
    let unknown = unknown.expect_err("it cannot be recorded");
    assert_eq!(unknown.code(), "unavailable", "it may be recorded yet");
    let repeated = master.stop(&asked, id(1), options).await;
    assert_eq!(repeated, Err(unknown), "the same call, still on its way");
    let refused = master.stop(&again(8), id(2), options).await;
    let refused = refused.expect_err("no room");
    assert_eq!(refused.code(), "exhausted", "it never reached the engine");
    assert!(refused.is_temporary());
    assert!(refused.to_string().contains("make room"), "{refused}");
    let refused = master.admit_local("late").await;
    assert!(refused.is_err_and(|refused| refused.reason == RefusalReason::Unavailable));
    store.has_refused(TRIES).await;
    let took = since.elapsed();
    assert!(took >= UNHURRIED, "{TRIES} tries in {took:?}");
    let job = master.job(&host(), id(1)).await.expect("reads go on");
    assert_eq!(job.state, JobState::Queued, "the stop is not recorded");
    let workers = master.workers(&host(), false).await;
    assert_eq!(workers, Ok(Vec::new()), "questions to the engine, too");

    store.be(Mood::Good);
    let job = master.wait(&host(), id(1)).await.expect("it is over");
    assert_eq!(job.outcome, Some(Outcome::Cancelled { exit: None }));
    let stopped = master.stop(&asked, id(1), options).await;
    assert_eq!(stopped, Ok(JobState::Finished), "the answer that was owed");
    let job = master.job(&host(), id(2)).await.expect("it is known");
    assert_eq!(
        job.state,
        JobState::Queued,
        "what was refused had no effect"
    );
    over(&master, 3).await;
    assert_eq!(store.terms(), terms, "it is the same term");
    assert_eq!(master.why_ended(), None);
    master.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn fm7_a_master_without_room_can_be_stopped() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Moody::new());
    let master = start(parts_with(data.path(), Arc::clone(&store) as _)).await;
    submit(&master, 1).await.expect("accepted");
    store.be(Mood::Full);
    let options = StopOptions::default();
    let unknown = master.stop(&host(), id(1), options).await;
    assert!(unknown.is_err());
    master.shutdown().await;
    drop(master);
    store.be(Mood::Good);
    let master = start(parts_with(data.path(), Arc::clone(&store) as _)).await;
    let job = master.job(&host(), id(1)).await.expect("it is known");
    assert_eq!(job.state, JobState::Queued, "what was not answered is gone");
    master.shutdown().await;
}

#[tokio::test]
async fn fm8_a_master_whose_disk_has_failed_ends_and_says_why() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Moody::new());
    let master = start(parts_with(data.path(), Arc::clone(&store) as _)).await;
    store.be(Mood::Broken);
    let refused = submit(&master, 1).await.expect_err("the disk failed");
    assert_eq!(refused.code(), "exhausted", "{refused}");
    let options = StopOptions::default();
    store.be(Mood::Good);
    submit(&master, 1).await.expect("accepted");
    store.be(Mood::Broken);
    let lost = master.stop(&host(), id(1), options).await;
    assert!(lost.is_err(), "nobody says that it was done");
    tokio::time::timeout(GUARD, master.ended())
        .await
        .expect("it ends");
    let why = master.why_ended();
    assert!(
        matches!(why, Some(MasterEnded::DiskFailed { .. })),
        "{why:?}"
    );
    let said = why.map(|why| why.to_string()).unwrap_or_default();
    assert!(said.contains("start the master again"), "{said}");
}
