//! A master on the jobs of the one before.

use std::sync::Arc;

use jobyard_core::{
    AttemptNumber, BootId, Hello, JobId, JobState, Jobs, LogQuery, MAX_SUBMIT_JOBS, MasterMessage,
    TagSet, Transport, WorkerFacts, WorkerMessage,
};
use jobyard_master::Master;
use jobyard_transport::InProcess;
use uuid::Uuid;

use crate::house::{GUARD, events, host, id, new_job, parts, start, submit};

/// The first job that a fresh worker with one slot is sent.
async fn first_assignment(master: &Master) -> JobId {
    let worker = master.admit_local("alone").await.expect("a worker");
    let mut tags = TagSet::new();
    tags.insert("executor=process".parse().expect("a tag"))
        .expect("room");
    let boot = |n| BootId::from_uuid(Uuid::from_u128(n));
    let hello = Hello::new(boot(1), boot(2), WorkerFacts::default(), tags, 1);
    let transport = InProcess::new(worker, Arc::new(master.clone()));
    let mut session = transport.connect(hello).await.expect("a session");
    loop {
        for message in session.control.receiver.receive().await.expect("a frame") {
            match message {
                MasterMessage::Welcome(_) => {
                    let answer = vec![WorkerMessage::Heartbeat];
                    session.control.sender.send(answer).await.expect("sent");
                }
                MasterMessage::Assign(assignment) => {
                    assert_eq!(assignment.attempt.number, AttemptNumber::FIRST);
                    return assignment.attempt.job;
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_keeps_its_order_and_a_worker_gets_the_first_job() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    // More than one portion of a load, in an order that is not that of their ids.
    let numbers: Vec<u128> = (1..=4 * MAX_SUBMIT_JOBS as u128).rev().collect();
    for some in numbers.chunks(MAX_SUBMIT_JOBS) {
        let jobs = some.iter().map(|n| new_job(*n, "true")).collect();
        master.submit(&host(), jobs).await.expect("accepted");
    }
    master.shutdown().await;
    drop(master);

    let master = start(parts(data.path())).await;
    let first = tokio::time::timeout(GUARD, first_assignment(&master)).await;
    assert_eq!(first.expect("in time"), id(numbers[0]));
    master.shutdown().await;
}

/// A store or a log that somebody still has open cannot be opened: both are locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_a_master_that_was_shut_down_can_be_opened_at_once() {
    let data = tempfile::tempdir().expect("a directory");
    for n in 1..=20 {
        let master = start(parts(data.path())).await;
        submit(&master, n).await.expect("accepted");
        // Somebody waits for output, and somebody for events.
        let mut query = LogQuery::new(id(n));
        query.follow = true;
        let output = master.logs(&host(), query).await.expect("a stream");
        drop(events(&master, None, true).await);
        master.shutdown().await;
        drop(master);
        drop(output);
    }
    let master = start(parts(data.path())).await;
    let known = master.job(&host(), id(20)).await.expect("it is known");
    assert_eq!(known.state, JobState::Queued);
    master.shutdown().await;
}
