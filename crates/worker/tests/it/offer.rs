//! What a worker says in its hello of what it has, and which offers it does not make.

use std::sync::Arc;

use crate::support::{Master, Session, config};
use jobyard_core::{
    FEATURE_DRAIN, FEATURE_LEASES, MAX_AMOUNT, MAX_TAGS, MAX_WORKER_SLOTS, Tag, TagSet,
};
use jobyard_executor::ProcessExecutor;
use jobyard_worker::{StartWorkerError, Worker, facts};

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_hello_carries_capacity_and_exclusive_tags() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let mut config = config(data.path(), &master);
    config.capacity.slots = 3;
    config.capacity.cpu_millis = 1500;
    config.capacity.memory_bytes = 8 << 30;
    config.capacity = config.capacity.with("gpu", 2);
    let capacity = config.capacity.clone();
    config.tags.insert(tag("rust")).unwrap();
    config.exclusive.insert(tag("gpu=a100")).unwrap();
    let worker = Worker::start(config).await.unwrap();
    for _ in 0..2 {
        let hello = Session::next(&mut sessions).await.hello;
        assert_eq!(hello.capacity, capacity);
        assert_eq!(
            hello.exclusive.iter().collect::<Vec<_>>(),
            [tag("gpu=a100")]
        );
        for offered in ["rust", "gpu=a100", "executor=process"] {
            assert!(hello.tags.contains(&tag(offered)), "{offered}");
        }
    }
    drop(worker);
}

#[tokio::test]
async fn a_worker_offers_its_machine_unless_told_otherwise() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = Worker::start(config(data.path(), &master)).await.unwrap();
    let hello = Session::next(&mut sessions).await.hello;
    let machine = facts::of_this_machine();
    assert_eq!(hello.capacity, facts::capacity(&machine));
    assert_eq!(hello.capacity.cpu_millis, u64::from(machine.cores) * 1000);
    assert!(hello.exclusive.is_empty());
    drop(worker);
}

/// I5
#[tokio::test]
async fn a_worker_whose_jobs_nobody_would_end_in_its_place_does_not_claim_to_keep_leases() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let mut config = config(data.path(), &master);
    config.executors = vec![Arc::new(ProcessExecutor::new())];
    let worker = Worker::start(config).await.unwrap();
    let hello = Session::next(&mut sessions).await.hello;
    assert!(hello.protocol.knows(FEATURE_DRAIN));
    assert!(!hello.protocol.knows(FEATURE_LEASES));
    drop(worker);
}

#[tokio::test]
async fn refuse_an_offer_that_no_master_would_take() {
    let data = tempfile::tempdir().unwrap();
    let (master, _sessions) = Master::new();
    let usual = || config(data.path(), &master);

    for slots in [0, MAX_WORKER_SLOTS + 1] {
        let mut config = usual();
        config.capacity.slots = slots;
        let error = Worker::start(config).await.unwrap_err();
        assert!(matches!(error, StartWorkerError::Slots { .. }), "{error}");
    }
    for (name, count) in [("a b", 1), ("memory", 1), ("gpu", MAX_AMOUNT + 1)] {
        let mut config = usual();
        config.capacity = config.capacity.with(name, count);
        let error = Worker::start(config).await.unwrap_err();
        assert!(
            matches!(error, StartWorkerError::Capacity { .. }),
            "{error}"
        );
    }
    let mut config = usual();
    let many = (0..MAX_TAGS).map(|number| tag(&format!("tag={number}")));
    config.tags = TagSet::try_from(many.collect::<Vec<_>>()).unwrap();
    config.exclusive.insert(tag("one-more")).unwrap();
    let error = Worker::start(config).await.unwrap_err();
    assert!(
        matches!(error, StartWorkerError::ExclusiveTag { .. }),
        "{error}"
    );
    // Nothing of a refused offer stays: neither the lock of the directory nor a file in it.
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}
