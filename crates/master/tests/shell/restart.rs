//! A master on the jobs of the one before.

use std::sync::Arc;

use jobyard_core::{
    AttemptNumber, BootId, Hello, JobId, Jobs, MAX_SUBMIT_JOBS, MasterMessage, TagSet, Transport,
    WorkerFacts, WorkerMessage,
};
use jobyard_master::Master;
use jobyard_transport::InProcess;
use uuid::Uuid;

use crate::house::{GUARD, host, id, new_job, parts, start};

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
    let first = parts(data.path());
    let logs = Arc::downgrade(&first.logs);
    let master = start(first).await;
    // More than one portion of a load, in an order that is not that of their ids.
    let numbers: Vec<u128> = (1..=4 * MAX_SUBMIT_JOBS as u128).rev().collect();
    for some in numbers.chunks(MAX_SUBMIT_JOBS) {
        let jobs = some.iter().map(|n| new_job(*n, "true")).collect();
        master.submit(&host(), jobs).await.expect("accepted");
    }
    master.shutdown().await;
    drop(master);
    // Its tasks let go of its files a moment after they have said that they are done.
    let let_go = async {
        while logs.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, let_go).await.expect("in time");

    let master = start(parts(data.path())).await;
    let first = tokio::time::timeout(GUARD, first_assignment(&master)).await;
    assert_eq!(first.expect("in time"), id(numbers[0]));
    master.shutdown().await;
}
