//! A disk that something else fills to the last byte, and what the store keeps for that case.
//!
//! The victim is this very test binary, started again in a mount namespace of its own, on a small disk of its own.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jobyard_core::{Batch, Change, CommitError, Epoch, Record, RecordKind, Store};
use jobyard_store::{SqliteOptions, SqliteStore};

const DIRECTORY: &str = "JOBYARD_STORE_TEST_DIRECTORY";
const JOB: RecordKind = RecordKind("job");
const TTL: Duration = Duration::from_secs(15);
const GUARD: Duration = Duration::from_secs(30);

const DISK: &str = "size=12m";
const WATERMARK: u64 = 3 * 1_024 * 1_024;
const RESERVE: u64 = 1_024 * 1_024;

fn batch(number: u64) -> Batch {
    batch_of(number, number)
}

/// Ten jobs whose keys begin with the second number.
fn batch_of(batch: u64, number: u64) -> Batch {
    let records = (0..10).map(|index| {
        let body = format!("\"{number:02000}\"");
        let mut record = Record::new(JOB, format!("{number:05}-{index}"), body);
        record.fields.order = number * 10 + index;
        Change::Put(record)
    });
    Batch {
        number: batch,
        changes: records.collect(),
    }
}

/// Writes until nothing more goes, or only so much is left.
fn fill(path: &Path, leave: u64) {
    let mut file = File::create(path).expect("a file");
    let found = rustix::fs::statvfs(path).expect("its disk");
    let free = found.f_bavail * found.f_frsize;
    let chunk = vec![0xa5; 4_096];
    for _ in 0..free.saturating_sub(leave) / 4_096 {
        if file.write_all(&chunk).is_err() {
            return;
        }
    }
    if leave == 0 {
        while file.write_all(&chunk).is_ok() {}
    }
}

/// Waits until the store has noticed.
async fn until_room_is(store: &SqliteStore, enough: bool) {
    let begin = Instant::now();
    while store.room().await.is_enough() != enough {
        assert!(begin.elapsed() < GUARD, "it does not notice");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "a victim, started by another test"]
async fn victim_on_a_small_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let mut options = SqliteOptions::default();
    options.watermark_bytes = WATERMARK;
    options.reserve_bytes = RESERVE;
    let open = || SqliteStore::open(directory.join("store.db"), &options).expect("it opens");
    let reserve = directory.join("store.db.reserve");
    let store = open();
    let leadership = store.lead("the test", TTL, Epoch::ZERO).await;
    let epoch = leadership.expect("nobody else leads").epoch;
    assert_eq!(fs::metadata(&reserve).expect("a reserve").len(), RESERVE);
    assert!(store.room().await.is_enough());
    store.commit(epoch, batch(1)).await.expect("a commit");

    // Below the watermark new work is refused, and what runs goes on.
    let some = directory.join("some");
    fill(&some, WATERMARK / 2);
    until_room_is(&store, false).await;
    store.commit(epoch, batch(2)).await.expect("a commit");
    assert!(reserve.exists(), "it was not needed yet");

    // Something else takes everything: the reserve lets what runs be finished.
    let rest = directory.join("rest");
    fill(&rest, 0);
    let mut number = 3;
    let mut on_reserve = 0;
    let full = loop {
        match store.commit(epoch, batch(number)).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        on_reserve += u64::from(!reserve.exists());
        assert!(number < 10_000, "the disk holds everything");
    };
    assert!(matches!(full, CommitError::Full { .. }), "{full:?}");
    assert!(
        on_reserve > 5,
        "{on_reserve} commits were made on the reserve"
    );
    assert!(!store.room().await.is_enough());
    let held = store.get(JOB, "00001-0").await.expect("reads go on");
    assert!(held.is_some());
    store.renew(epoch, TTL).await.expect("the term lasts");

    // A master that ends now can start again, once there is any room.
    drop(store);
    fs::remove_file(&some).expect("there is a little room again");
    let store = open();
    let leadership = store.lead("the test", TTL, Epoch::ZERO).await;
    let epoch = leadership.expect("nobody else leads").epoch;
    fs::remove_file(&rest).expect("there is room again");
    for (batch, number) in [(1, number), (2, number + 1)] {
        let committed = store.commit(epoch, batch_of(batch, number)).await;
        committed.expect("there is room");
        until_room_is(&store, true).await;
    }
    assert_eq!(fs::metadata(&reserve).expect("a reserve").len(), RESERVE);
    drop(store);

    let store = open();
    let count = store.count(JOB, true).await.expect("a count");
    assert_eq!(count, (number + 1) * 10);
    let report = store.check(GUARD).await.expect("a check");
    assert!(report.is_complete && report.is_sound(), "{report:?}");
}

#[test]
fn what_runs_is_finished_on_a_full_disk_and_nothing_is_spoilt() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = format!("mount -t tmpfs -o {DISK} none \"$0\" && exec \"$@\"");
    let ended = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(directory.path())
        .arg(std::env::current_exe().expect("the path of this test"))
        .args([
            "--exact",
            "victim_on_a_small_disk",
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, directory.path())
        .output()
        .expect("unshare starts");
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("1 passed"), "{said}");
}
