//! A store that is short of room, or whose disk has failed.

use std::sync::Arc;

use jobyard_core::{Admin, ControlError, Fleet, JobState, Jobs, NewToken, StopOptions};
use jobyard_master::MasterEnded;

use crate::house::{GUARD, host, id, over, parts_with, start, submit};
use crate::moody::{Mood, Moody};

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
async fn fm7_a_master_whose_store_was_full_recovers_by_itself_and_does_not_hurry() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Moody::new());
    let master = start(parts_with(data.path(), Arc::clone(&store) as _)).await;
    submit(&master, 1).await.expect("accepted");
    store.be(Mood::Full);
    let options = StopOptions::default();
    let lost = master.stop(&host(), id(1), options).await;
    assert!(lost.is_err_and(|error| error.is_temporary()));
    let before = store.terms();
    tokio::time::sleep(GUARD).await;
    let tries = store.terms() - before;
    assert!((2..30).contains(&tries), "{tries} tries in {GUARD:?}");
    let job = master.job(&host(), id(1)).await.expect("reads go on");
    assert_eq!(job.state, JobState::Queued, "the stop was not accepted");

    store.be(Mood::Good);
    let stopped = loop {
        match master.stop(&host(), id(1), options).await {
            Err(error) if error.is_temporary() => tokio::task::yield_now().await,
            answered => break answered,
        }
    };
    assert_eq!(stopped, Ok(JobState::Finished));
    over(&master, 2).await;
    assert_eq!(master.why_ended(), None);
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
