//! Damage: what was flipped or torn is never taken for what was written.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jobyard_core::{
    Batch, Change, Epoch, LoadError, Record, RecordKind, RecordQuery, Snapshot, Store,
};
use jobyard_store::{SqliteOptions, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

const JOB: RecordKind = RecordKind("job");
const TTL: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_mins(1);

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store.db");
    (directory, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &SqliteOptions::default()).expect("the store opens")
}

async fn lead(store: &SqliteStore) -> Epoch {
    let leadership = store.lead("the test", TTL, Epoch::ZERO).await;
    leadership.expect("nobody else leads").epoch
}

fn job(order: u64) -> Record {
    let body = format!(r#"{{"marker":"needle-{order:04}-kept"}}"#);
    let mut record = Record::new(JOB, format!("job-{order:04}"), body);
    record.fields.order = order;
    record.fields.state = Some("queued".into());
    record.fields.name = Some("build".to_owned());
    record.fields.labels = vec![("team".to_owned(), "red".to_owned())];
    record
}

/// A store with so many jobs, in its main file alone, led by nobody.
async fn filled(path: &Path, jobs: u64) {
    let store = open(path);
    let epoch = lead(&store).await;
    let changes = (0..jobs).map(|order| Change::Put(job(order))).collect();
    let batch = Batch { number: 1, changes };
    store.commit(epoch, batch).await.expect("a commit");
    store.resign(epoch).await.expect("a resignation");
}

/// Changes one byte of the file, where this text stands last, `beyond` bytes behind its beginning.
fn flip(path: &Path, text: &str, beyond: u64) {
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("the file");
    let found = bytes
        .windows(text.len())
        .rposition(|window| window == text.as_bytes())
        .expect("the text is in the file");
    let at = found as u64 + beyond;
    file.seek(SeekFrom::Start(at)).expect("a place");
    let byte = bytes[usize::try_from(at).expect("a place in memory")];
    file.write_all(&[byte ^ 0x01]).expect("a write");
}

async fn all(mut snapshot: Box<dyn Snapshot>) -> (Vec<Record>, Vec<LoadError>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    loop {
        match snapshot.next().await {
            Ok(portion) if portion.is_empty() => return (records, errors),
            Ok(portion) => records.extend(portion),
            Err(error) => errors.push(error),
        }
        assert!(errors.len() < 10, "it never ends: {errors:?}");
    }
}

fn assert_names(error: &LoadError, key: &str) {
    let LoadError::Damaged {
        kind, key: named, ..
    } = error
    else {
        panic!("it names no record: {error:?}");
    };
    assert_eq!((*kind, named.as_str()), (JOB, key));
    let sentence = error.to_string();
    assert!(sentence.contains("jobyard-master restore"), "{sentence}");
}

#[tokio::test]
async fn flipped_byte_of_a_body_names_its_record_and_costs_no_other() {
    let (_directory, path) = place();
    filled(&path, 10).await;
    flip(&path, "needle-0006-kept", 8);
    let store = open(&path);

    let error = store
        .get(JOB, "job-0006")
        .await
        .expect_err("a flipped body");
    assert_names(&error, "job-0006");
    for order in (0..10).filter(|order| *order != 6) {
        let held = store.get(JOB, &format!("job-{order:04}")).await;
        assert_eq!(held.expect("a read"), Some(job(order)));
    }
    let error = store.list(RecordQuery::new(JOB, 10)).await;
    assert_names(&error.expect_err("a page with it"), "job-0006");
    let mut query = RecordQuery::new(JOB, 10);
    query.after = Some(6);
    let older = store.list(query).await.expect("the page behind it");
    assert_eq!(older.records.len(), 6);

    let epoch = lead(&store).await;
    let snapshot = store.load(epoch, &[JOB]).await.expect("a load");
    let (records, errors) = all(snapshot).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_names(&errors[0], "job-0006");
    let orders: Vec<u64> = records.iter().map(|record| record.fields.order).collect();
    assert_eq!(orders, [0, 1, 2, 3, 4, 5, 7, 8, 9], "no other is lost");
}

#[tokio::test]
async fn damaged_record_can_be_replaced_or_removed() {
    let (_directory, path) = place();
    filled(&path, 3).await;
    flip(&path, "needle-0000-kept", 3);
    flip(&path, "needle-0001-kept", 3);
    let store = open(&path);
    let epoch = lead(&store).await;
    let key = "job-0001".to_owned();
    let changes = vec![Change::Put(job(0)), Change::Remove { kind: JOB, key }];
    let batch = Batch { number: 1, changes };
    store.commit(epoch, batch).await.expect("a commit");
    let held = store.list(RecordQuery::new(JOB, 10)).await.expect("a page");
    assert_eq!(held.records, [job(2), job(0)]);
}

#[tokio::test]
async fn each_changed_column_is_found() {
    let changes = [
        "key = 'job-x'",
        "version = 2",
        "ord = 999",
        "live = 0",
        "state = 'running'",
        "name = NULL",
        "grp = 'other'",
        "labels = '{\"team\":\"blue\"}'",
        "body = '{}'",
        "ended = 5",
        "sum = sum + 1",
        "ord = -1",
        "version = 'text'",
        "body = x'ff00'",
    ];
    for change in changes {
        let (_directory, path) = place();
        filled(&path, 3).await;
        let person = Connection::open(&path).expect("a connection");
        let changed = person.execute(&format!("UPDATE records SET {change} WHERE ord = 1"), []);
        assert_eq!(changed.expect("an update"), 1);
        drop(person);
        let store = open(&path);
        let mut query = RecordQuery::new(JOB, 10);
        query.ascending = true;
        let error = store.list(query).await.expect_err(change);
        let named = if change.starts_with("key") {
            "job-x"
        } else {
            "job-0001"
        };
        assert_names(&error, named);
        let report = store.check(LONG).await.expect("a check");
        assert!(report.is_complete && !report.is_sound(), "{change}");
        assert_eq!(report.damaged.len(), 1, "{change}: {report:?}");
        assert_eq!(report.damaged[0].key, named);
    }
}

#[tokio::test]
async fn check_of_a_sound_store_finds_nothing() {
    let (_directory, path) = place();
    filled(&path, 500).await;
    let report = open(&path).check(LONG).await.expect("a check");
    assert!(report.is_complete && report.is_sound(), "{report:?}");
    assert_eq!(report.records, 500);
}

#[tokio::test]
async fn check_finds_an_index_that_lost_a_record() {
    let (_directory, path) = place();
    filled(&path, 200).await;
    // The key stands in the index of keys as well, before the table in the order of pages or behind it; the body does
    // not. Whichever of both is changed here, the two differ.
    flip(&path, "job-0150", 4);
    let report = open(&path).check(LONG).await.expect("a check");
    assert!(report.is_complete && !report.is_sound(), "{report:?}");
}

#[tokio::test]
async fn check_keeps_to_its_time() {
    let (_directory, path) = place();
    filled(&path, 5_000).await;
    let report = open(&path).check(Duration::ZERO).await.expect("a check");
    assert!(!report.is_complete, "{report:?}");
    assert!(report.is_sound(), "{report:?}");
    assert!(report.records < 5_000, "{report:?}");
}

#[tokio::test]
async fn page_that_was_overwritten_is_no_silent_loss() {
    let (_directory, path) = place();
    filled(&path, 2_000).await;
    let len = std::fs::metadata(&path).expect("the file").len();
    // Pages in the middle: some of records, some of indexes.
    for page in [len / 4_096 / 3, len / 4_096 / 2] {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("the file");
        file.seek(SeekFrom::Start(page * 4_096)).expect("a place");
        file.write_all(&[0xa5; 4_096]).expect("a write");
    }
    let store = open(&path);
    let report = store.check(LONG).await.expect("a check");
    assert!(!report.is_sound(), "{report:?}");
    let epoch = lead(&store).await;
    let mut snapshot = store.load(epoch, &[JOB]).await.expect("a load");
    let error = loop {
        match snapshot.next().await {
            Ok(portion) => assert!(!portion.is_empty(), "the loss was not noticed"),
            Err(error) => break error,
        }
    };
    let sentence = error.to_string();
    assert!(sentence.contains("jobyard-master restore"), "{sentence}");
}

#[tokio::test]
async fn torn_commit_in_the_log_is_one_that_did_not_happen() {
    let (_directory, path) = place();
    let store = open(&path);
    let epoch = lead(&store).await;
    for number in 1..=2 {
        let changes = vec![Change::Put(job(number))];
        let batch = Batch { number, changes };
        store.commit(epoch, batch).await.expect("a commit");
    }
    // As after a power loss: the files as they are now, but for the end of the last commit.
    let (_other, copy) = place();
    let wal = |path: &Path| path.with_extension("db-wal");
    std::fs::copy(&path, &copy).expect("a copy");
    let mut bytes = std::fs::read(wal(&path)).expect("the log");
    let text = b"needle-0002";
    let places: Vec<usize> = (0..bytes.len() - text.len())
        .filter(|at| bytes[*at..].starts_with(text))
        .collect();
    assert!(!places.is_empty(), "the commit is in the log");
    for place in places {
        bytes[place] ^= 0x10;
    }
    std::fs::write(wal(&copy), bytes).expect("the log");

    let after = open(&copy);
    let epoch = lead(&after).await;
    let snapshot = after.load(epoch, &[JOB]).await.expect("a load");
    let (records, errors) = all(snapshot).await;
    assert_eq!((records, errors), (vec![job(1)], Vec::new()));
    let report = after.check(LONG).await.expect("a check");
    assert!(report.is_sound(), "{report:?}");
}

/// A store as the first version of the program wrote it.
fn first_version(path: &Path) {
    drop(open(path));
    let person = Connection::open(path).expect("a connection");
    person
        .execute_batch(
            "DROP INDEX records_by_end;
             ALTER TABLE records DROP COLUMN sum;
             ALTER TABLE records DROP COLUMN ended;
             DELETE FROM refinery_schema_history WHERE version > 1;
             INSERT INTO records (kind, key, version, ord, live, state, body) VALUES
                ('job', 'queued', 1, 1, 1, 'queued', '{}'),
                ('job', 'finished', 1, 2, 0, 'finished', '{}'),
                ('spec', 'finished', 1, 2, 0, NULL, '{}');",
        )
        .expect("the first schema");
}

/// Retention removes what ended long ago, and by its end alone.
#[tokio::test]
async fn jobs_that_ended_before_there_were_ends_get_theirs() {
    let (_directory, path) = place();
    first_version(&path);
    let person = Connection::open(&path).expect("a connection");
    person
        .execute_batch(
            r#"INSERT INTO records (kind, key, version, ord, live, state, body) VALUES
                ('job', 'late', 1, 3, 0, 'finished', '{"finished_at":1700000000000002}'),
                ('job', 'early', 1, 4, 0, 'finished', '{"finished_at":1700000000000001}'),
                ('job', 'open', 1, 5, 1, 'finished', '{"finished_at":1700000000000000}'),
                ('job', 'odd', 1, 6, 0, 'finished', '{"finished_at":"noon"}'),
                ('job', 'torn', 1, 7, 0, 'finished', '{"finished_at":17');"#,
        )
        .expect("jobs");
    drop(person);
    let store = open(&path);
    let ended = store.oldest_ended(JOB, i64::MAX.unsigned_abs(), 10).await;
    let ended = ended.expect("a read");
    let ends: Vec<(&str, Option<u64>)> = ended
        .iter()
        .map(|record| (record.key.as_str(), record.fields.ended))
        .collect();
    assert_eq!(
        ends[ends.len() - 2..],
        [
            ("early", Some(1_700_000_000_000_001)),
            ("late", Some(1_700_000_000_000_002))
        ]
    );
    let unknown: BTreeSet<&str> = ends[..ends.len() - 2].iter().map(|(key, _)| *key).collect();
    assert_eq!(unknown, BTreeSet::from(["finished", "odd", "torn"]));
    assert!(ends[..3].iter().all(|(_, ended)| *ended == Some(0)));
    let report = store.check(LONG).await.expect("a check");
    assert!(report.is_complete && report.is_sound(), "{report:?}");
    drop(store);
    // Once is enough: what was done stays done.
    let store = open(&path);
    assert_eq!(
        store.oldest_ended(JOB, 1, 10).await.map(|old| old.len()),
        Ok(3)
    );
}

#[tokio::test]
async fn store_without_checksums_opens_and_gets_them() {
    let (_directory, path) = place();
    first_version(&path);
    let store = open(&path);
    let epoch = lead(&store).await;
    let mut held = store.get(JOB, "queued").await.expect("a read").expect("it");
    assert_eq!(held.fields.ended, None);
    let old = store.oldest_ended(JOB, 1, 10).await.expect("a read");
    assert_eq!(old.len(), 1, "what ended before is the oldest");
    assert_eq!(
        (old[0].key.as_str(), old[0].fields.ended),
        ("finished", Some(0))
    );
    let spec = RecordKind("spec");
    let specs = store.oldest_ended(spec, u64::MAX, 10).await;
    assert_eq!(specs, Ok(Vec::new()), "a spec does not end");
    let report = store.check(LONG).await.expect("a check");
    assert!(report.is_complete && report.is_sound(), "{report:?}");

    held.fields.state = Some("running".into());
    let changes = vec![Change::Put(held)];
    let batch = Batch { number: 1, changes };
    store.commit(epoch, batch).await.expect("a commit");
    let person = Connection::open(&path).expect("a connection");
    let without: i64 = person
        .query_row(
            "SELECT count(*) FROM records WHERE sum IS NULL",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(without, 2, "what is written gets a sum");
}
