//! Backups: made while a master runs, restored whole or not at all.
//!
//! A victim is this very test binary, started again with the directory in its environment.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jobyard_core::{
    AttemptId, AttemptNumber, Batch, Change, Epoch, JobId, LogChunk, LogEnd, LogStore,
    OutputStream, Record, RecordKind, RecordQuery, Store, Timestamp,
};
use jobyard_store::{
    BackupError, BackupPlan, BackupProgress, FileLogs, OpenStoreError, RestoreError,
    RestoreOptions, SqliteOptions, SqliteStore, backup, epoch_after_restore, restore,
    verify_backup,
};
use tempfile::TempDir;

const DIRECTORY: &str = "JOBYARD_STORE_TEST_DIRECTORY";
const STEP: &str = "JOBYARD_STORE_TEST_STEP";
const JOB: RecordKind = RecordKind("job");
const TTL: Duration = Duration::from_secs(15);
const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

fn attempt(number: u128) -> AttemptId {
    AttemptId::new(
        JobId::from_uuid(uuid::Uuid::from_u128(number)),
        AttemptNumber::FIRST,
    )
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory.join("master.db"), &SqliteOptions::default())
        .expect("the store opens")
}

async fn lead(store: &SqliteStore) -> Epoch {
    let leadership = store.lead("the test", TTL, Epoch::ZERO).await;
    leadership.expect("nobody else leads").epoch
}

fn plan(directory: &Path) -> BackupPlan {
    let mut plan = BackupPlan::new(directory, "master.db", NOW);
    plan.logs = Some("logs".to_owned());
    plan.files = vec!["pki".to_owned(), "admin.toml".to_owned()];
    plan
}

fn quiet() -> impl FnMut(BackupProgress) {
    |_| ()
}

fn job(number: u64) -> Record {
    let mut record = Record::new(JOB, format!("{number:06}"), format!(r#"{{"n":{number}}}"#));
    record.fields.order = number;
    record.fields.labels = vec![("team".to_owned(), "red".to_owned())];
    record
}

fn batch(number: u64) -> Batch {
    let changes = vec![Change::Put(job(number))];
    Batch { number, changes }
}

fn line(number: u64) -> LogChunk {
    let bytes = format!("line {number:09}\n").into_bytes();
    let at = Timestamp::from_micros(0);
    LogChunk::new(number * 15, OutputStream::Stdout, at, bytes.into())
}

/// The files of a master that are not the store's.
fn keys(directory: &Path) {
    fs::create_dir_all(directory.join("pki/inner")).expect("a directory");
    fs::write(directory.join("pki/ca.key"), "a key").expect("a file");
    fs::write(directory.join("pki/inner/ca.pem"), "a certificate").expect("a file");
    fs::write(directory.join("admin.toml"), "a profile").expect("a file");
}

/// A master's directory with some jobs and logs, and nobody in it.
async fn small() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    keys(directory.path());
    let store = open(directory.path());
    let epoch = lead(&store).await;
    for number in 1..=20 {
        store.commit(epoch, batch(number)).await.expect("a commit");
    }
    let logs = FileLogs::open(directory.path().join("logs")).expect("the logs open");
    for number in 0..5 {
        let chunks = (0..10).map(line).collect();
        let attempt = attempt(number);
        logs.append(epoch, attempt, chunks)
            .await
            .expect("an append");
        if number % 2 == 0 {
            let end = LogEnd {
                bytes: 150,
                dropped: 0,
            };
            logs.seal(epoch, attempt, end).await.expect("a seal");
        }
    }
    store.resign(epoch).await.expect("a resignation");
    directory
}

/// An archive of it, beside a directory to restore into.
async fn archived() -> (TempDir, PathBuf, PathBuf) {
    let directory = small().await;
    let place = tempfile::tempdir().expect("a directory");
    let (archive, target) = (place.path().join("backup"), place.path().join("new"));
    backup(&plan(directory.path()), &archive, &mut quiet()).expect("a backup");
    (place, archive, target)
}

fn restore_to(archive: &Path, target: &Path) -> Result<jobyard_store::Manifest, RestoreError> {
    restore(archive, target, &RestoreOptions::new(NOW), &mut quiet())
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn restored_master_has_everything_and_leads_above_all_terms() {
    let (_place, archive, target) = archived().await;
    let manifest = restore_to(&archive, &target).expect("a restore");
    assert_eq!(manifest.epoch(), Epoch(1));
    assert_eq!(manifest.made_at(), NOW);

    let store = open(&target);
    assert!(store.ended_cleanly(), "no term lasts");
    let epoch = lead(&store).await;
    assert!(epoch > epoch_after_restore(Epoch(1), Epoch::ZERO, NOW));
    let page = store
        .list(RecordQuery::new(JOB, 100))
        .await
        .expect("a page");
    let expected: Vec<Record> = (1..=20).rev().map(job).collect();
    assert_eq!(page.records, expected);
    let mut query = RecordQuery::new(JOB, 100);
    query.labels = vec![("team".to_owned(), "red".to_owned())];
    assert_eq!(store.list(query).await.expect("a page").records, expected);
    let report = store.check(Duration::from_mins(1)).await.expect("a check");
    assert!(report.is_complete && report.is_sound(), "{report:?}");
    store.commit(epoch, batch(1)).await.expect("it goes on");

    let logs = FileLogs::open(target.join("logs")).expect("the logs open");
    for number in 0..5 {
        let held = logs.read(attempt(number), 0, usize::MAX).await;
        assert_eq!(held.expect("a read"), (0..10).map(line).collect::<Vec<_>>());
        let status = logs.status(attempt(number)).await.expect("a status");
        assert_eq!(status.is_sealed(), number % 2 == 0);
    }
    let read = |name: &str| fs::read_to_string(target.join(name)).expect("a file");
    assert_eq!(read("pki/ca.key"), "a key");
    assert_eq!(read("pki/inner/ca.pem"), "a certificate");
    assert_eq!(read("admin.toml"), "a profile");
    #[cfg(unix)]
    {
        assert_eq!(mode(&archive), 0o600, "it holds keys");
        assert_eq!(mode(&target.join("pki/ca.key")), 0o600);
        assert_eq!(mode(&target.join("master.db")), 0o600);
        assert_eq!(mode(&target.join("pki")), 0o700);
    }
    assert!(!target.join(".restoring").exists());
}

#[tokio::test]
async fn verify_reads_all_of_it() {
    let (_place, archive, _) = archived().await;
    let mut steps = Vec::new();
    let manifest = verify_backup(&archive, &mut |step| steps.push(step)).expect("it is whole");
    assert_eq!(manifest.files.len(), 1 + 3 + 5);
    assert_eq!(steps.last(), Some(&BackupProgress::Verifying));
}

#[tokio::test]
async fn restore_mixes_with_nothing() {
    let (_place, archive, target) = archived().await;
    fs::create_dir(&target).expect("a directory");
    fs::write(target.join("something"), "kept").expect("a file");
    let error = restore_to(&archive, &target).expect_err("it is not empty");
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    let left: Vec<_> = fs::read_dir(&target).expect("it is there").collect();
    assert_eq!(left.len(), 1, "something came in");
    fs::remove_file(target.join("something")).expect("it is there");
    restore_to(&archive, &target).expect("it is empty now");
}

#[tokio::test]
async fn archive_is_never_replaced() {
    let directory = small().await;
    let archive = directory.path().join("backup");
    fs::write(&archive, "the last one").expect("a file");
    let error = backup(&plan(directory.path()), &archive, &mut quiet()).expect_err("it is there");
    assert!(matches!(error, BackupError::Exists { .. }), "{error}");
    assert_eq!(fs::read_to_string(&archive).expect("it"), "the last one");
}

#[tokio::test]
async fn backup_that_fails_leaves_nothing() {
    let directory = small().await;
    let place = tempfile::tempdir().expect("a directory");
    let archive = place.path().join("backup");
    let mut plan = plan(directory.path());
    plan.files.push("missing.toml".to_owned());
    let error = backup(&plan, &archive, &mut quiet()).expect_err("a file is missing");
    assert!(error.to_string().contains("missing.toml"), "{error}");
    plan.files.pop();
    plan.database = "other.db".to_owned();
    let error = backup(&plan, &archive, &mut quiet()).expect_err("no database");
    assert!(error.to_string().contains("other.db"), "{error}");
    fs::write(
        directory.path().join("other.db"),
        "no database at all".repeat(99),
    )
    .expect("a file");
    let error = backup(&plan, &archive, &mut quiet()).expect_err("no database");
    assert!(
        matches!(error, BackupError::Store(OpenStoreError::NotAStore { .. })),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(place.path()).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn damaged_or_cut_archive_leaves_nothing() {
    let (_place, archive, target) = archived().await;
    let whole = fs::read(&archive).expect("the archive");
    let flips = (0..40).map(|index| {
        let mut bytes = whole.clone();
        let at = index * whole.len() / 40;
        bytes[at] ^= 0x40;
        (format!("flipped at {at}"), bytes)
    });
    let cuts = (0..20).map(|index| {
        let at = index * whole.len() / 20;
        (format!("cut at {at}"), whole[..at].to_vec())
    });
    let manifest = verify_backup(&archive, &mut quiet()).expect("it is whole");
    for (what, bytes) in flips.chain(cuts) {
        fs::write(&archive, bytes).expect("an archive");
        let error = match restore_to(&archive, &target) {
            Err(error) => error,
            // A few bits of what is compressed mean nothing. Then the checksum holds, of just what was written.
            Ok(restored) if what.starts_with("flipped") => {
                assert_eq!(restored, manifest, "{what}");
                fs::remove_dir_all(&target).expect("what was restored");
                continue;
            }
            Ok(_) => panic!("{what}: it was restored"),
        };
        assert!(
            matches!(
                error,
                RestoreError::Damaged { .. } | RestoreError::NotABackup { .. }
            ),
            "{what}: {error}"
        );
        let left = fs::read_dir(&target).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{what}: something is left");
    }
    fs::write(&archive, &whole).expect("the archive");
    restore_to(&archive, &target).expect("the same place serves again");
}

/// An archive of these files, with a list that says so, as somebody might build by hand.
fn forged(archive: &Path, format: u32, name: &str) {
    let file = fs::File::create(archive).expect("a file");
    let encoder = zstd::Encoder::new(file, 1).expect("an encoder");
    let mut tar = tar::Builder::new(encoder);
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        // As it is: the crate itself refuses paths that lead elsewhere.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes).expect("an entry");
    };
    let head = format!(r#"{{"format":{format},"database":"master.db"}}"#);
    add("HEAD.json", head.as_bytes());
    add(name, b"");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let list = format!(
        r#"{{"format":1,"program":"x","made_at_micros":0,"database":"master.db","schema":2,
        "epoch":1,"files":[{{"path":{name:?},"bytes":0,"sha256":"{empty}"}}]}}"#
    );
    add("MANIFEST.json", list.as_bytes());
    let encoder = tar.into_inner().expect("an end");
    encoder.finish().expect("an end");
}

#[test]
fn refuse_archives_that_we_did_not_make() {
    let place = tempfile::tempdir().expect("a directory");
    let (archive, target) = (place.path().join("backup"), place.path().join("new"));
    for (format, name) in [
        (1, "../outside"),
        (1, "/tmp/jobyard-outside"),
        (1, ".restoring/x"),
        (2, "master.db"),
        (1, "master.db"),
    ] {
        forged(&archive, format, name);
        let error = restore_to(&archive, &target).expect_err(name);
        assert!(!place.path().join("outside").exists());
        let left = fs::read_dir(&target).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{error}");
    }
    fs::write(&archive, "no archive").expect("a file");
    let error = restore_to(&archive, &target).expect_err("no archive");
    assert!(matches!(error, RestoreError::NotABackup { .. }), "{error}");
}

#[tokio::test]
async fn log_is_copied_up_to_what_is_whole() {
    let directory = small().await;
    let logs = directory.path().join("logs");
    let mut segments = Vec::new();
    for branch in fs::read_dir(&logs).expect("logs").flatten() {
        if branch.path().is_dir() {
            for leaf in fs::read_dir(branch.path()).expect("a branch").flatten() {
                segments.extend(fs::read_dir(leaf.path()).expect("a leaf").flatten());
            }
        }
    }
    let open = segments
        .into_iter()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("0001.1."))
        .expect("the log of attempt 1");
    // Half a write, as another process finds it.
    let mut bytes = fs::read(&open).expect("a segment");
    let half = bytes[40..60].to_vec();
    bytes.extend(half);
    fs::write(&open, bytes).expect("a segment");

    let place = tempfile::tempdir().expect("a directory");
    let (archive, target) = (place.path().join("backup"), place.path().join("new"));
    backup(&plan(directory.path()), &archive, &mut quiet()).expect("a backup");
    restore_to(&archive, &target).expect("a restore");
    let copy = target
        .join("logs")
        .join(open.strip_prefix(&logs).expect("below"));
    let (copied, had) = (fs::metadata(copy), fs::metadata(&open));
    assert_eq!(copied.expect("it").len() + 20, had.expect("it").len());
}

#[tokio::test]
async fn records_that_were_damaged_before_are_named() {
    let directory = small().await;
    let person = rusqlite::Connection::open(directory.path().join("master.db"));
    person
        .expect("a connection")
        .execute("UPDATE records SET body = '{}' WHERE ord = 7", [])
        .expect("an update");
    let archive = directory.path().join("backup");
    let report = backup(&plan(directory.path()), &archive, &mut quiet()).expect("a backup");
    assert_eq!(report.damaged.len(), 1);
    assert_eq!(report.damaged[0].key, "000007");
}

/// Starts one of the victims below in a process of its own.
fn start(victim: &str, directory: &Path, step: &str) -> Child {
    Command::new(std::env::current_exe().expect("the path of this test"))
        .args(["--exact", victim, "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(STEP, step)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary starts")
}

#[tokio::test]
#[ignore = "a victim, started by another test"]
async fn victim_that_works() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let store = open(&directory);
    let epoch = lead(&store).await;
    let logs = FileLogs::open(directory.join("logs")).expect("the logs open");
    for number in 1.. {
        // Output first: what a record says of it is true.
        let chunks = vec![line(number - 1)];
        logs.append(epoch, attempt(7), chunks)
            .await
            .expect("an append");
        store.commit(epoch, batch(number)).await.expect("a commit");
        println!("\nacknowledged {number}");
    }
}

#[tokio::test]
async fn backup_of_a_master_that_works_has_all_that_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    keys(directory.path());
    let mut victim = start("victim_that_works", directory.path(), "");
    let mut lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
    let mut acknowledged = |enough: u64| {
        loop {
            let said = lines.next().expect("more output").expect("text");
            let number = said.strip_prefix("acknowledged ");
            if let Some(number) = number.and_then(|number| number.parse::<u64>().ok())
                && number >= enough
            {
                return number;
            }
        }
    };
    let before = acknowledged(200);
    let place = tempfile::tempdir().expect("a directory");
    let archive = place.path().join("backup");
    backup(&plan(directory.path()), &archive, &mut quiet()).expect("a backup");
    // It was not stopped by it.
    acknowledged(before + 50);
    victim.kill().expect("the victim is killed");
    victim.wait().expect("the victim is reaped");

    let target = place.path().join("new");
    restore_to(&archive, &target).expect("a restore");
    let store = open(&target);
    let count = store.count(JOB, true).await.expect("a count");
    assert!(count >= before, "{count} of {before} jobs are there");
    let logs = FileLogs::open(target.join("logs")).expect("the logs open");
    let held = logs.read(attempt(7), 0, usize::MAX).await.expect("a read");
    let lines = held.len() as u64;
    assert!(lines >= count, "{lines} lines for {count} jobs");
    for (number, chunk) in (0..).zip(held) {
        assert_eq!(chunk, line(number));
    }
    let report = store.check(Duration::from_mins(1)).await.expect("a check");
    assert!(report.is_complete && report.is_sound(), "{report:?}");
}

#[test]
#[ignore = "a victim, started by another test"]
fn victim_that_restores() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let last: u64 = std::env::var(STEP)
        .expect("a step")
        .parse()
        .expect("a number");
    let mut steps = 0;
    let mut progress = |_| {
        steps += 1;
        if steps == last {
            std::process::abort();
        }
    };
    let (archive, target) = (directory.join("backup"), directory.join("new"));
    restore(&archive, &target, &RestoreOptions::new(NOW), &mut progress).expect("a restore");
}

#[tokio::test]
async fn no_master_starts_on_an_interrupted_restore() {
    let (place, archive, target) = archived().await;
    for (refused, step) in (1..).enumerate() {
        let mut victim = start("victim_that_restores", place.path(), &step.to_string());
        let status = victim.wait().expect("the victim ends");
        let opened = SqliteStore::open(target.join("master.db"), &SqliteOptions::default());
        if status.success() {
            drop(opened.expect("the restore is complete"));
            assert!(refused >= 5, "only {refused} steps were interrupted");
            return;
        }
        match opened {
            Err(OpenStoreError::Unfinished { .. }) => {}
            // The last rename was done: all is in its place.
            Ok(_) => {
                assert!(target.join("pki/ca.key").exists() && target.join("logs").exists());
            }
            Err(error) => panic!("step {step}: {error}"),
        }
        let again = restore_to(&archive, &target).expect_err("it is not empty");
        assert!(matches!(again, RestoreError::NotEmpty { .. }), "{again}");
        fs::remove_dir_all(&target).expect("it is emptied");
    }
}
