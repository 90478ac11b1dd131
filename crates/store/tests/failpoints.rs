//! What the store does when the disk fails, when it is full, and when the process dies between two steps.
//!
//! Needs the feature `failpoints`. A victim is this very test binary, started again with its orders in the environment.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use jobyard_core::{Batch, Change, CommitError, Epoch, LeadError, Record, RecordKind, Room, Store};
use jobyard_store::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

const DIRECTORY: &str = "JOBYARD_STORE_TEST_DIRECTORY";
const ORDERS: &str = "JOBYARD_STORE_FAILPOINTS";
const JOB: RecordKind = RecordKind("job");
const TTL: Duration = Duration::from_secs(15);

/// How many batches a victim commits if nothing keeps it from it.
const BATCHES: u64 = 5;

fn open(directory: &Path, orders: &str) -> SqliteStore {
    let mut options = SqliteOptions::default();
    options.failpoints = Some(orders.to_owned());
    SqliteStore::open(directory.join("store.db"), &options).expect("the store opens")
}

async fn lead(store: &SqliteStore) -> Epoch {
    let leadership = store.lead("the test", TTL, Epoch::ZERO).await;
    leadership.expect("nobody else leads").epoch
}

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn batch(number: u64) -> Batch {
    let mut record = Record::new(JOB, format!("{number:04}"), "{}");
    record.fields.order = number;
    let changes = vec![Change::Put(record)];
    Batch { number, changes }
}

async fn held(store: &SqliteStore) -> u64 {
    store.count(JOB, true).await.expect("a count")
}

#[tokio::test]
async fn nothing_is_written_after_a_failed_fsync_until_the_store_is_opened_anew() {
    let directory = place();
    let store = open(directory.path(), "commit.before=eio@3");
    let epoch = lead(&store).await;
    store.commit(epoch, batch(1)).await.expect("a commit");
    store.commit(epoch, batch(2)).await.expect("a commit");
    let broken = store
        .commit(epoch, batch(3))
        .await
        .expect_err("an fsync fails");
    assert!(matches!(broken, CommitError::Broken { .. }), "{broken:?}");

    // The disk would do it now; it is not asked.
    for number in [3, 4, 1] {
        assert_eq!(
            store.commit(epoch, batch(number)).await,
            Err(broken.clone())
        );
    }
    assert_eq!(store.prune(epoch, JOB, 9, 9).await, Err(broken));
    let led = store.lead("the test", TTL, Epoch::ZERO).await;
    assert!(matches!(led, Err(LeadError::Broken { .. })), "{led:?}");
    let renewed = store.renew(epoch, TTL).await;
    assert!(
        matches!(renewed, Err(LeadError::Broken { .. })),
        "{renewed:?}"
    );
    let resigned = store.resign(epoch).await;
    assert!(
        matches!(resigned, Err(LeadError::Broken { .. })),
        "{resigned:?}"
    );
    assert_eq!(held(&store).await, 2, "reads go on");

    drop(store);
    let store = open(directory.path(), "");
    assert!(!store.ended_cleanly());
    let epoch = lead(&store).await;
    assert_eq!(epoch, Epoch(2));
    assert_eq!(held(&store).await, 2, "what was acknowledged is there");
    store.commit(epoch, batch(1)).await.expect("it goes on");
}

#[tokio::test]
async fn batch_whose_fsync_failed_may_be_there_and_no_other_is_lost() {
    let directory = place();
    let store = open(directory.path(), "commit.after=eio@2");
    let epoch = lead(&store).await;
    store.commit(epoch, batch(1)).await.expect("a commit");
    let broken = store.commit(epoch, batch(2)).await;
    assert!(
        matches!(broken, Err(CommitError::Broken { .. })),
        "{broken:?}"
    );
    drop(store);
    let store = open(directory.path(), "");
    lead(&store).await;
    assert_eq!(held(&store).await, 2);
}

#[tokio::test]
async fn failed_move_of_the_write_ahead_log_ends_the_writing_too() {
    let directory = place();
    let store = open(directory.path(), "checkpoint=eio");
    let epoch = lead(&store).await;
    let large = |number: u64| {
        let body = format!("\"{number:0>60000}\"");
        let changes = (0..50)
            .map(|index| Change::Put(Record::new(JOB, format!("{number}-{index}"), body.clone())))
            .collect();
        Batch { number, changes }
    };
    let mut number = 1;
    let broken = loop {
        match store.commit(epoch, large(number)).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 100, "the log was never moved");
    };
    assert!(matches!(broken, CommitError::Broken { .. }), "{broken:?}");
    let count = held(&store).await;
    assert_eq!(count, 50 * (number - 1));
    drop(store);
    let store = open(directory.path(), "");
    lead(&store).await;
    assert_eq!(held(&store).await, count, "what was acknowledged is there");
}

#[tokio::test]
async fn term_that_could_not_be_written_is_none() {
    let directory = place();
    let store = open(directory.path(), "lead.before=eio");
    let led = store.lead("the test", TTL, Epoch::ZERO).await;
    assert!(matches!(led, Err(LeadError::Broken { .. })), "{led:?}");
    let late = store.commit(Epoch(1), batch(1)).await;
    assert!(matches!(late, Err(CommitError::Broken { .. })), "{late:?}");
    drop(store);
    assert_eq!(lead(&open(directory.path(), "")).await, Epoch(1));
}

#[tokio::test]
async fn full_disk_refuses_for_a_while_and_is_used_again() {
    let directory = place();
    let store = open(directory.path(), "commit.before=full@2-3");
    let epoch = lead(&store).await;
    store.commit(epoch, batch(1)).await.expect("a commit");
    for _ in 0..2 {
        let full = store.commit(epoch, batch(2)).await;
        assert!(matches!(full, Err(CommitError::Full { .. })), "{full:?}");
    }
    store.commit(epoch, batch(2)).await.expect("there is room");
    assert_eq!(store.room().await, Room::Enough);
    assert_eq!(held(&store).await, 2);
}

#[tokio::test]
#[ignore = "a victim, started by another test"]
async fn victim_that_follows_orders() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let path = Path::new(&directory).join("store.db");
    let store = SqliteStore::open(path, &SqliteOptions::default()).expect("the store opens");
    let epoch = lead(&store).await;
    for number in 1..=BATCHES {
        store.commit(epoch, batch(number)).await.expect("a commit");
    }
    store.prune(epoch, JOB, 0, 1).await.expect("a prune");
}

fn run_victim(directory: &Path, orders: &str) -> ExitStatus {
    Command::new(std::env::current_exe().expect("the path of this test"))
        .args(["--exact", "victim_that_follows_orders", "--ignored"])
        .env(DIRECTORY, directory)
        .env(ORDERS, orders)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the test binary starts")
}

#[tokio::test]
async fn process_that_dies_between_two_steps_leaves_whole_batches() {
    for (orders, expected, epoch) in [
        ("lead.before=abort", 0, 1),
        ("lead.after=abort", 0, 2),
        ("commit.before=abort@3", 2, 2),
        ("commit.after=abort@3", 3, 2),
        ("prune.before=abort", BATCHES, 2),
    ] {
        let directory = place();
        let status = run_victim(directory.path(), orders);
        assert_eq!(status.code(), None, "it dies by a signal: {orders}");
        let store = open(directory.path(), "");
        assert_eq!(lead(&store).await, Epoch(epoch), "{orders}");
        assert_eq!(held(&store).await, expected, "{orders}");
    }
    let directory = place();
    assert!(run_victim(directory.path(), "").success(), "without orders");
}
