//! The file of the SQLite store: what else may look at it, what it is not, and how it fills up.

use std::path::PathBuf;
use std::time::Duration;

use jobyard_core::{Batch, Change, CommitError, Epoch, LeadError, Record, RecordKind, Store};
use jobyard_store::{OpenStoreError, SqliteOptions, SqliteStore};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

const JOB: RecordKind = RecordKind("job");
const TTL: Duration = Duration::from_secs(15);

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store.db");
    (directory, path)
}

fn open(path: &PathBuf) -> SqliteStore {
    SqliteStore::open(path, &SqliteOptions::default()).expect("the store opens")
}

async fn lead(store: &SqliteStore) -> Epoch {
    let leadership = store.lead("the test", TTL, Epoch::ZERO).await;
    leadership.expect("nobody else leads").epoch
}

fn job(order: u64, body: String) -> Change {
    let mut record = Record::new(JOB, format!("{order:06}"), body);
    record.fields.order = order;
    record.fields.live = false;
    record.fields.state = Some("queued".into());
    record.fields.labels = vec![("team".to_owned(), "red".to_owned())];
    Change::Put(record)
}

#[tokio::test]
async fn people_read_the_file_while_it_is_led() {
    let (_directory, path) = place();
    let store = open(&path);
    let epoch = lead(&store).await;
    let changes = vec![job(1, r#"{"argv":["make"]}"#.to_owned())];
    let batch = Batch { number: 1, changes };
    store.commit(epoch, batch).await.expect("a commit");

    let person = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let person = person.expect("a second connection");
    let row = person.query_row(
        "SELECT kind, key, state, json_extract(body, '$.argv[0]'), labels ->> 'team' FROM records",
        [],
        |row| {
            let text = |column: usize| row.get::<_, String>(column);
            Ok([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?])
        },
    );
    let row = row.expect("a row");
    assert_eq!(row, ["job", "000001", "queued", "make", "red"]);
    let leader = person.query_row("SELECT epoch, holder, batch FROM leader", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let leader: (i64, String, i64) = leader.expect("the leader's row");
    assert_eq!(leader, (1, "the test".to_owned(), 1));
}

#[cfg(unix)]
#[test]
fn file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = place();
    let _store = open(&path);
    let mode = std::fs::metadata(&path)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn two_stores_of_one_process_do_not_both_lead() {
    let (_directory, path) = place();
    let first = open(&path);
    let second = open(&path);
    let epoch = lead(&first).await;
    let refused = second.lead("second", TTL, Epoch::ZERO).await;
    let holder = format!("the test (process {})", std::process::id());
    assert_eq!(refused, Err(LeadError::Held { holder }));
    first.resign(epoch).await.expect("a resignation");
    let leadership = second.lead("second", TTL, Epoch::ZERO).await;
    assert_eq!(leadership.expect("the lock is free").epoch, Epoch(2));
    let late = first
        .commit(
            epoch,
            Batch {
                number: 1,
                changes: Vec::new(),
            },
        )
        .await;
    assert_eq!(late, Err(CommitError::Fenced { current: Epoch(2) }));
}

#[test]
fn refuse_a_file_that_is_no_database() {
    let (_directory, path) = place();
    std::fs::write(
        &path,
        "not a database, but long enough to look like a file of one".repeat(20),
    )
    .expect("a file");
    let error = SqliteStore::open(&path, &SqliteOptions::default()).expect_err("no database");
    assert!(matches!(error, OpenStoreError::NotAStore { .. }), "{error}");
    let left = std::fs::read_to_string(&path).expect("the file");
    assert!(left.starts_with("not a database"), "the file was changed");
}

#[test]
fn refuse_the_database_of_another_program() {
    let (_directory, path) = place();
    let other = Connection::open(&path).expect("a database");
    other
        .execute_batch("CREATE TABLE theirs (a)")
        .expect("a table");
    drop(other);
    let error = SqliteStore::open(&path, &SqliteOptions::default()).expect_err("theirs");
    assert!(matches!(error, OpenStoreError::NotAStore { .. }), "{error}");
}

#[test]
fn refuse_a_newer_schema() {
    let (_directory, path) = place();
    drop(open(&path));
    let person = Connection::open(&path).expect("a connection");
    person
        .execute_batch(
            "UPDATE refinery_schema_history SET version = 99 WHERE version = 3; \
             PRAGMA user_version = 0;",
        )
        .expect("a newer version");
    drop(person);
    let error = SqliteStore::open(&path, &SqliteOptions::default()).expect_err("newer");
    assert!(
        matches!(error, OpenStoreError::NewerSchema { found: 99, .. }),
        "{error}"
    );
    let sentence = error.to_string();
    assert!(sentence.contains("newer version"), "{sentence}");
    assert!(sentence.contains("jobyard-master restore"), "{sentence}");
}

#[test]
fn open_a_newer_schema_that_says_it_may_be() {
    let (_directory, path) = place();
    drop(open(&path));
    let person = Connection::open(&path).expect("a connection");
    person
        .execute_batch(
            "UPDATE refinery_schema_history SET version = 99 WHERE version = 3; \
             PRAGMA user_version = 3;",
        )
        .expect("a newer version that only adds");
    open(&path);
    person
        .execute_batch("PRAGMA user_version = 4")
        .expect("a newer version that does more");
    drop(person);
    let error = SqliteStore::open(&path, &SqliteOptions::default()).expect_err("newer");
    assert!(
        matches!(error, OpenStoreError::NewerSchema { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn refuse_what_an_interrupted_restore_has_left() {
    let (_directory, path) = place();
    std::fs::write(
        &path,
        "a restore of a Jobyard store was begun here and not finished\n",
    )
    .expect("a file");
    let error = SqliteStore::open(&path, &SqliteOptions::default()).expect_err("no store");
    assert!(
        matches!(error, OpenStoreError::Unfinished { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn store_tells_whether_its_last_term_was_resigned() {
    let (_directory, path) = place();
    let first = open(&path);
    assert!(first.ended_cleanly(), "nobody has led yet");
    let epoch = lead(&first).await;
    drop(first);
    let second = open(&path);
    assert!(!second.ended_cleanly(), "the first term was not resigned");
    let epoch = {
        assert_eq!(epoch, Epoch(1));
        lead(&second).await
    };
    second.resign(epoch).await.expect("a resignation");
    drop(second);
    assert!(open(&path).ended_cleanly());
}

#[test]
fn directory_that_is_missing_is_named() {
    let (directory, _) = place();
    let path = directory.path().join("missing/store.db");
    let error = SqliteStore::open(&path, &SqliteOptions::default()).expect_err("no directory");
    assert!(error.to_string().contains("missing/store.db"), "{error}");
}

#[tokio::test]
async fn full_store_refuses_a_batch_whole_and_goes_on_when_there_is_room() {
    let (_directory, path) = place();
    let mut options = SqliteOptions::default();
    options.max_bytes = Some(400_000);
    let store = SqliteStore::open(&path, &options).expect("the store opens");
    let epoch = lead(&store).await;
    let batch = |number: u64| {
        let each = |index| job(number * 10 + index, format!("\"{:02000}\"", 0));
        let changes = (0..10).map(each).collect();
        Batch { number, changes }
    };
    let mut number = 1;
    let full = loop {
        match store.commit(epoch, batch(number)).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, CommitError::Full { .. }), "{full}");
    assert!(number > 5, "full after {number} batches");
    let halved = store.get(JOB, &format!("{:06}", number * 10)).await;
    assert_eq!(halved, Ok(None), "a part of the batch is there");

    let removed = store
        .prune(epoch, JOB, 50, 100)
        .await
        .expect("room is made");
    assert_eq!(removed, 40);
    store
        .commit(epoch, batch(number))
        .await
        .expect("there is room");
    let held = store.get(JOB, &format!("{:06}", number * 10)).await;
    assert!(held.expect("a read").is_some());
}

#[tokio::test]
async fn refuse_what_no_column_can_hold() {
    let (_directory, path) = place();
    let store = open(&path);
    let epoch = lead(&store).await;
    let mut far = Record::new(JOB, "far", "{}");
    far.fields.order = u64::MAX;
    let binary = Record::new(JOB, "binary", vec![0xff]);
    for record in [far, binary] {
        let changes = vec![job(1, "{}".to_owned()), Change::Put(record)];
        let answer = store.commit(epoch, Batch { number: 1, changes }).await;
        assert!(
            matches!(answer, Err(CommitError::Refused { number: 1, .. })),
            "{answer:?}"
        );
    }
    assert_eq!(store.get(JOB, "000001").await, Ok(None));
}
