//! What a `kill -9` leaves: everything that was acknowledged, and a store that another process can lead at once.
//!
//! The victim is this very test binary, started again with the directory in its environment.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jobyard_core::{
    Appended, AttemptId, AttemptNumber, Batch, Change, Epoch, JobId, LeadError, LogChunk, LogStore,
    OutputStream, Record, RecordKind, RecordQuery, Store, Timestamp,
};
use jobyard_store::{FileLogs, SqliteOptions, SqliteStore};

const DIRECTORY: &str = "JOBYARD_STORE_TEST_DIRECTORY";
const JOB: RecordKind = RecordKind("job");
const TTL: Duration = Duration::from_secs(15);

/// How many acknowledgements are read before the kill: enough for several checkpoints of the write-ahead log.
const ACKNOWLEDGED: u64 = 400;

/// Records per batch. A batch is there as a whole or not at all.
const BATCH: u64 = 20;

fn attempt() -> AttemptId {
    AttemptId::new(
        JobId::from_uuid(uuid::Uuid::from_u128(7)),
        AttemptNumber::FIRST,
    )
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory.join("store.db"), &SqliteOptions::default())
        .expect("the store opens")
}

/// Starts one of the victims below in a process of its own.
fn start(victim: &str, directory: &Path) -> Child {
    let program = std::env::current_exe().expect("the path of this test");
    Command::new(program)
        .args(["--exact", victim, "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary starts")
}

/// The directory of a victim; `None` when somebody runs the ignored tests by hand.
fn directory_of_victim() -> Option<std::path::PathBuf> {
    std::env::var_os(DIRECTORY).map(Into::into)
}

/// Reads acknowledgements until there are enough, kills the victim, and reads what it still said. The last one.
fn kill_after(mut victim: Child, enough: u64) -> u64 {
    let mut lines = BufReader::new(victim.stdout.take().expect("a pipe"));
    let mut last = 0;
    let mut line = String::new();
    while last < enough {
        line.clear();
        let read = lines.read_line(&mut line).expect("the victim's output");
        assert_ne!(read, 0, "the victim ended by itself");
        if let Some(number) = acknowledged(&line) {
            last = number;
        }
    }
    // SIGKILL.
    victim.kill().expect("the victim is killed");
    victim.wait().expect("the victim is reaped");
    let mut rest = String::new();
    lines
        .read_to_string(&mut rest)
        .expect("the victim's output");
    // A line that was cut off acknowledges nothing.
    let whole = rest
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole.filter_map(acknowledged).next_back().unwrap_or(last)
}

fn acknowledged(line: &str) -> Option<u64> {
    line.trim().strip_prefix("acknowledged ")?.parse().ok()
}

/// Says that something is durable.
fn acknowledge(number: u64) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nacknowledged {number}").expect("the parent reads");
    out.flush().expect("the parent reads");
}

fn batch(number: u64) -> Batch {
    let record = |index: u64| {
        let order = number * BATCH + index;
        let body = format!(r#"{{"order":{order},"padding":"{:0200}"}}"#, 0);
        let mut record = Record::new(JOB, format!("{order:08}"), body);
        record.fields.order = order;
        record.fields.state = Some("queued".into());
        Change::Put(record)
    };
    Batch {
        number,
        changes: (0..BATCH).map(record).collect(),
    }
}

#[tokio::test]
#[ignore = "a victim, started by another test"]
async fn victim_that_commits() {
    let Some(directory) = directory_of_victim() else {
        return;
    };
    let store = open(&directory);
    let epoch = lead(&store).await;
    for number in 1.. {
        store.commit(epoch, batch(number)).await.expect("a commit");
        acknowledge(number);
    }
}

async fn lead(store: &SqliteStore) -> Epoch {
    let leadership = store.lead("victim", TTL, Epoch::ZERO).await;
    leadership.expect("nobody else leads").epoch
}

#[tokio::test]
async fn acknowledged_batches_survive_and_none_is_halved() {
    let directory = tempfile::tempdir().expect("a directory");
    let victim = start("victim_that_commits", directory.path());
    let last = kill_after(victim, ACKNOWLEDGED);

    let store = open(directory.path());
    let epoch = lead(&store).await;
    assert_eq!(epoch, Epoch(2));
    let mut snapshot = store.load(epoch, &[JOB]).await.expect("a load");
    let mut held = Vec::new();
    loop {
        let portion = snapshot.next().await.expect("a portion");
        if portion.is_empty() {
            break;
        }
        held.extend(portion);
    }
    let found = held.len() as u64;
    assert_eq!(found % BATCH, 0, "a batch is there in part");
    assert!(
        (last..=last + 1).contains(&(found / BATCH)),
        "{last} batches were acknowledged, {} are there",
        found / BATCH
    );
    let expected = (1..=found / BATCH).flat_map(|number| batch(number).changes);
    for (record, expected) in held.into_iter().zip(expected) {
        assert_eq!(Change::Put(record), expected);
    }
    store.commit(epoch, batch(1)).await.expect("it goes on");
}

#[tokio::test]
async fn second_process_does_not_lead_until_the_first_is_dead() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut victim = start("victim_that_commits", directory.path());
    let mut lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
    let mut said = || lines.next().expect("more output").expect("text");
    while acknowledged(&said()).is_none() {}

    let store = open(directory.path());
    let refused = store.lead("second", TTL, Epoch::ZERO).await;
    let holder = format!("victim (process {})", victim.id());
    let refused = refused.expect_err("another process leads");
    assert_eq!(
        refused.to_string(),
        format!("{holder} leads already"),
        "the holder is named"
    );
    assert_eq!(refused, LeadError::Held { holder });
    let stolen = store.commit(Epoch(1), batch(1)).await;
    stolen.expect_err("a commit under the term of another process");
    let seen = store.list(RecordQuery::new(JOB, 1)).await;
    assert_eq!(seen.expect("a read").records.len(), 1, "readers see it");

    victim.kill().expect("the victim is killed");
    victim.wait().expect("the victim is reaped");
    let leadership = store.lead("second", TTL, Epoch::ZERO).await;
    assert_eq!(leadership.expect("the first is dead").epoch, Epoch(2));
}

#[tokio::test]
async fn process_whose_lock_file_was_deleted_is_fenced() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut victim = start("victim_that_commits", directory.path());
    let mut lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
    let mut said = || lines.next().expect("more output").expect("text");
    while acknowledged(&said()).is_none() {}

    std::fs::remove_file(directory.path().join("store.db.lock")).expect("somebody deletes it");
    let store = open(directory.path());
    let leadership = store.lead("second", TTL, Epoch::ZERO).await;
    assert_eq!(leadership.expect("nothing is in the way").epoch, Epoch(2));
    // The first one's next commit finds the newer term, and its test fails.
    let status = victim.wait().expect("the victim ends by itself");
    assert!(!status.success(), "two processes lead");
    let committed = store.commit(Epoch(2), batch(1)).await;
    committed.expect("the second one leads");
}

#[cfg(unix)]
#[tokio::test]
async fn second_name_of_a_file_has_the_same_lock() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = open(directory.path());
    lead(&first).await;
    let other = directory.path().join("other.db");
    std::os::unix::fs::symlink(directory.path().join("store.db"), &other).expect("a link");
    let second = SqliteStore::open(&other, &SqliteOptions::default()).expect("it opens");
    let refused = second.lead("second", TTL, Epoch::ZERO).await;
    assert!(
        matches!(refused, Err(LeadError::Held { .. })),
        "{refused:?}"
    );
}

fn chunk(number: u64) -> LogChunk {
    let bytes = format!("line {number:09}\n").into_bytes();
    let at = Timestamp::from_micros(0);
    LogChunk::new(number * 15, OutputStream::Stdout, at, bytes.into())
}

#[tokio::test]
#[ignore = "a victim, started by another test"]
async fn victim_that_prints() {
    let Some(directory) = directory_of_victim() else {
        return;
    };
    let logs = FileLogs::open(directory).expect("the logs open");
    for number in 0.. {
        let answer = logs.append(Epoch(1), attempt(), vec![chunk(number)]).await;
        let to = (number + 1) * 15;
        assert_eq!(answer, Ok(Appended::Durable { to }));
        acknowledge(number + 1);
    }
}

#[tokio::test]
async fn acknowledged_output_survives() {
    let directory = tempfile::tempdir().expect("a directory");
    let victim = start("victim_that_prints", directory.path());
    let last = kill_after(victim, ACKNOWLEDGED);

    let logs = FileLogs::open(directory.path()).expect("the logs open");
    let status = logs.status(attempt()).await.expect("a status");
    assert!(status.end >= last * 15, "{status:?} after {last} lines");
    let held = logs.read(attempt(), 0, usize::MAX).await.expect("a read");
    for (number, held) in (0..).zip(&held) {
        assert_eq!(held, &chunk(number));
    }
    assert_eq!(held.last().map(LogChunk::end), Some(status.end));
    let next = chunk(status.end / 15);
    let to = next.end();
    let more = logs.append(Epoch(2), attempt(), vec![next]).await;
    assert_eq!(more, Ok(Appended::Durable { to }));
}
