//! What may come in between while a log is compressed or moved: it is removed, the process ends, or its archive hangs,
//! gives back something else, or is not mounted.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    AttemptId, AttemptNumber, Epoch, JobId, LogChunk, LogEnd, LogStore, MAX_CHUNK_BYTES,
    OutputStream, Timestamp,
};
use jobyard_store::{
    ArchiveError, DirectoryArchive, FileLogs, LogArchive, LogOptions, SettleError,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const EPOCH: Epoch = Epoch(1);
const GUARD: Duration = Duration::from_mins(1);

/// An archive in a directory, where a put waits at two doors: before anything is there, and when all is.
#[derive(Debug)]
struct Gated {
    archive: DirectoryArchive,
    root: PathBuf,
    came: Semaphore,
    before: Semaphore,
    is_there: Semaphore,
    after: Semaphore,
    /// What is put comes out with another byte.
    spoils: AtomicBool,
}

impl Gated {
    fn new(root: PathBuf, before: usize, after: usize) -> Arc<Self> {
        Arc::new(Self {
            archive: DirectoryArchive::new(&root),
            root,
            came: Semaphore::new(0),
            before: Semaphore::new(before),
            is_there: Semaphore::new(0),
            after: Semaphore::new(after),
            spoils: AtomicBool::new(false),
        })
    }
}

async fn pass(door: &Semaphore) {
    let permit = tokio::time::timeout(GUARD, door.acquire()).await;
    permit.expect("soon").expect("it is never closed").forget();
}

#[async_trait]
impl LogArchive for Gated {
    async fn begin(&self) -> Result<(), ArchiveError> {
        self.archive.begin().await
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), ArchiveError> {
        self.came.add_permits(1);
        pass(&self.before).await;
        self.archive.put(name, file).await?;
        if self.spoils.load(Ordering::Relaxed) {
            flip(&self.root.join(name), 50);
        }
        self.is_there.add_permits(1);
        pass(&self.after).await;
        Ok(())
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        self.archive.read(name, range).await
    }

    async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        self.archive.remove(name).await
    }
}

/// A directory of logs, and a place for an archive.
struct Site {
    logs: TempDir,
    archive: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            logs: tempfile::tempdir().expect("a directory"),
            archive: tempfile::tempdir().expect("a directory"),
        }
    }

    fn open(&self, archive: Option<Arc<dyn LogArchive>>) -> Arc<FileLogs> {
        let mut options = LogOptions::default();
        options.compress_from = Some(0);
        options.archive = archive;
        Arc::new(FileLogs::open_with(self.logs.path(), options).expect("the directory is ours"))
    }

    fn open_with_archive(&self) -> Arc<FileLogs> {
        self.open(Some(Arc::new(DirectoryArchive::new(self.root()))))
    }

    fn gated(&self, before: usize, after: usize) -> (Arc<Gated>, Arc<FileLogs>) {
        let gated = Gated::new(self.root(), before, after);
        let logs = self.open(Some(Arc::clone(&gated) as Arc<dyn LogArchive>));
        (gated, logs)
    }

    fn root(&self) -> PathBuf {
        self.archive.path().join("archive")
    }

    fn file(&self, attempt: AttemptId, ending: &str) -> PathBuf {
        let name = format!("{}.{}.{ending}", attempt.job, attempt.number);
        self.logs.path().join("ab/cd").join(name)
    }

    /// The endings of the files of all logs, in order.
    fn endings(&self) -> Vec<String> {
        endings(&self.logs.path().join("ab/cd"))
    }

    /// The archive holds nothing, and nothing is left here.
    async fn is_empty(&self, logs: &FileLogs) {
        assert_eq!(self.endings(), [""; 0]);
        assert_eq!(archived(&self.root()), [""; 0]);
        let usage = logs.usage().await.expect("the usage");
        assert_eq!((usage.logs, usage.bytes, usage.archived), (0, 0, 0));
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn endings(directory: &Path) -> Vec<String> {
    let ending = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.rsplit('.').next().unwrap_or_default().to_owned()
    };
    files_below(directory).iter().map(ending).collect()
}

/// What is in an archive, but for its marker.
fn archived(root: &Path) -> Vec<String> {
    let mut found = endings(root);
    found.retain(|ending| ending != "jobyard-archive");
    found
}

fn flip(path: &Path, position: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[position] ^= 1;
    fs::write(path, bytes).expect("a file");
}

fn attempt() -> AttemptId {
    let job = JobId::from_uuid(uuid::Uuid::from_u128(0xabcd));
    AttemptId::new(job, AttemptNumber::FIRST)
}

fn other() -> AttemptId {
    AttemptId::new(attempt().job, AttemptNumber::FIRST.next())
}

fn chunks(number: u64, bytes: usize) -> Vec<LogChunk> {
    let each = (0..number).map(|index| {
        let at = Timestamp::from_micros(i64::try_from(index).expect("small"));
        let byte = u8::try_from(index % 251).expect("small");
        let offset = index * bytes as u64;
        LogChunk::new(offset, OutputStream::Stdout, at, vec![byte; bytes].into())
    });
    each.collect()
}

async fn write(logs: &FileLogs, attempt: AttemptId, chunks: Vec<LogChunk>) {
    let end = LogEnd {
        bytes: chunks.last().map_or(0, LogChunk::end),
        dropped: 0,
    };
    let appended = logs.append(EPOCH, attempt, chunks).await;
    appended.expect("an append");
    logs.seal(EPOCH, attempt, end).await.expect("a seal");
}

async fn write_some(logs: &FileLogs, attempt: AttemptId) {
    write(logs, attempt, chunks(5, 10_000)).await;
}

async fn is_whole(logs: &FileLogs) {
    let read = logs.read(attempt(), 0, 1 << 20).await;
    assert!(read.expect("readable") == chunks(5, 10_000), "it differs");
}

fn settle(logs: &Arc<FileLogs>) -> JoinHandle<Result<(), SettleError>> {
    let logs = Arc::clone(logs);
    tokio::spawn(async move { logs.settle().await })
}

#[tokio::test]
async fn log_that_is_removed_while_it_is_put_into_the_archive_is_removed_there_too() {
    // Before anything of it is there.
    let site = Site::new();
    let (archive, logs) = site.gated(0, 1);
    write_some(&logs, attempt()).await;
    let settling = settle(&logs);
    pass(&archive.came).await;
    logs.remove(attempt()).await.expect("a removal");
    archive.before.add_permits(1);
    settling.await.expect("no panic").expect("settled");
    site.is_empty(&logs).await;

    // When all of it is.
    write_some(&logs, attempt()).await;
    archive.before.add_permits(1);
    archive.after.forget_permits(1);
    let settling = settle(&logs);
    pass(&archive.is_there).await;
    logs.remove(attempt()).await.expect("a removal");
    archive.after.add_permits(1);
    settling.await.expect("no panic").expect("settled");
    site.is_empty(&logs).await;
}

#[tokio::test]
async fn put_that_a_crash_cut_short_leaves_nothing_nameless_in_the_archive() {
    for is_removed in [false, true] {
        let site = Site::new();
        let (archive, logs) = site.gated(1, 0);
        write_some(&logs, attempt()).await;
        let settling = settle(&logs);
        pass(&archive.is_there).await;
        settling.abort();
        assert!(settling.await.is_err());
        drop(logs);

        let logs = site.open_with_archive();
        assert_eq!(archived(&site.root()), ["zst"]);
        is_whole(&logs).await;
        if is_removed {
            let whole = files_below(&site.root());
            let whole = whole.iter().find(|path| path.extension().is_some());
            let whole = whole.expect("what was put");
            fs::write(whole.with_extension("partial"), "half").expect("a file");
            logs.remove(attempt()).await.expect("a removal");
            logs.settle().await.expect("settled");
            site.is_empty(&logs).await;
        } else {
            logs.settle().await.expect("settled");
            is_whole(&logs).await;
            assert_eq!(site.endings(), ["archived"]);
            assert_eq!(archived(&site.root()), ["zst"]);
            let usage = logs.usage().await.expect("the usage");
            drop(logs);
            let again = site.open_with_archive().usage().await;
            assert_eq!(again, Ok(usage));
        }
    }
}

#[tokio::test]
async fn put_that_reads_back_differently_is_repeated_and_can_be_removed() {
    let site = Site::new();
    let (archive, logs) = site.gated(10, 10);
    archive.spoils.store(true, Ordering::Relaxed);
    write_some(&logs, attempt()).await;
    for _ in 0..2 {
        let settled = logs.settle().await;
        assert!(
            matches!(settled, Err(SettleError::Archive { .. })),
            "{settled:?}"
        );
        is_whole(&logs).await;
        // It takes its room here still.
        let usage = logs.usage_of(attempt()).await.expect("the usage");
        assert_eq!((usage.logs, usage.archived), (1, 0));
    }
    archive.spoils.store(false, Ordering::Relaxed);
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["archived"]);
    is_whole(&logs).await;

    archive.spoils.store(true, Ordering::Relaxed);
    write_some(&logs, other()).await;
    logs.settle().await.expect_err("it is spoilt");
    for attempt in [attempt(), other()] {
        logs.remove(attempt).await.expect("a removal");
    }
    logs.settle().await.expect("settled");
    site.is_empty(&logs).await;
}

#[tokio::test]
async fn archive_that_hangs_does_not_keep_logs_from_being_compressed() {
    let site = Site::new();
    let (archive, logs) = site.gated(0, 0);
    let maintained = Arc::clone(&logs);
    let maintaining = tokio::spawn(async move { maintained.maintain().await });
    write_some(&logs, attempt()).await;
    pass(&archive.came).await;
    write_some(&logs, other()).await;
    let begin = Instant::now();
    while !site.file(other(), "zst").exists() {
        assert!(begin.elapsed() < GUARD, "it waits for the archive");
        tokio::task::yield_now().await;
    }
    assert_eq!(archived(&site.root()), [""; 0]);
    maintaining.abort();
}

#[tokio::test]
async fn place_where_the_archive_is_not_mounted_never_becomes_one() {
    let site = Site::new();
    let logs = site.open_with_archive();
    write_some(&logs, attempt()).await;
    logs.settle().await.expect("settled");
    logs.remove(attempt()).await.expect("a removal");
    logs.settle().await.expect("settled");
    site.is_empty(&logs).await;
    drop(logs);

    // Nothing is archived, and what is there is the place for the mount.
    let away = site.archive.path().join("away");
    fs::rename(site.root(), &away).expect("a new name");
    fs::create_dir(site.root()).expect("a directory");
    let logs = site.open_with_archive();
    write_some(&logs, attempt()).await;
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Archive { .. })),
        "{settled:?}"
    );
    assert_eq!(files_below(&site.root()), [""; 0].map(PathBuf::from));
    is_whole(&logs).await;

    fs::remove_dir(site.root()).expect("it is empty");
    fs::rename(&away, site.root()).expect("its name again");
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["archived"]);
    is_whole(&logs).await;
}

#[tokio::test]
async fn damaged_end_of_a_sealed_file_is_not_archived() {
    // From the end: the magic number, an entry of the seek table, a digest.
    for back in [1, 30, 140] {
        let site = Site::new();
        let logs = site.open(None);
        write_some(&logs, attempt()).await;
        logs.settle().await.expect("settled");
        drop(logs);
        let logs = site.open_with_archive();
        logs.status(attempt()).await.expect("whole so far");
        let path = site.file(attempt(), "zst");
        let len = fs::read(&path).expect("the file").len();
        flip(&path, len - back);
        let settled = logs.settle().await;
        assert!(
            matches!(settled, Err(SettleError::Damaged { .. })),
            "{settled:?}"
        );
        assert_eq!(archived(&site.root()), [""; 0]);
    }
}

#[tokio::test]
async fn half_written_files_go_with_their_log_and_at_the_next_start() {
    let site = Site::new();
    let partials = ["zst.partial", "00000000000000000009.archived.partial"];
    let leave = || {
        for ending in partials {
            fs::write(site.file(attempt(), ending), "half").expect("a file");
        }
    };
    let logs = site.open(None);
    write_some(&logs, attempt()).await;
    leave();
    drop(logs);
    let logs = site.open(None);
    assert_eq!(site.endings(), ["log"], "at the start");
    leave();
    logs.remove(attempt()).await.expect("a removal");
    assert_eq!(site.endings(), [""; 0], "with the log");

    write_some(&logs, attempt()).await;
    flip(&site.file(attempt(), "00000000000000000000.log"), 20_000);
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Damaged { .. })),
        "{settled:?}"
    );
    assert_eq!(site.endings(), ["log"], "when it failed");
}

#[tokio::test]
async fn segment_that_ends_before_the_next_one_begins_is_damage() {
    let site = Site::new();
    let logs = site.open(None);
    write(&logs, attempt(), chunks(140, MAX_CHUNK_BYTES)).await;
    drop(logs);
    assert_eq!(site.endings(), ["log", "log"]);
    let first = site.file(attempt(), "00000000000000000000.log");
    let file = OpenOptions::new().write(true).open(first);
    let file = file.expect("a segment");
    let len = file.metadata().expect("its length").len();
    file.set_len(len - 32 - MAX_CHUNK_BYTES as u64)
        .expect("a frame less");
    let logs = site.open(None);
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Damaged { .. })),
        "{settled:?}"
    );
    assert_eq!(site.endings(), ["log", "log"]);
}

#[tokio::test]
async fn what_can_be_repeated_is_reported_before_what_cannot() {
    let site = Site::new();
    let logs = site.open(None);
    write_some(&logs, attempt()).await;
    write_some(&logs, other()).await;
    let obstacle = site.file(attempt(), "zst.partial");
    fs::create_dir(&obstacle).expect("a directory");
    flip(&site.file(other(), "00000000000000000000.log"), 20_000);
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Storage { .. })),
        "{settled:?}"
    );
    fs::remove_dir(&obstacle).expect("it is empty");
    logs.settle().await.expect("settled");
    assert!(site.file(attempt(), "zst").exists());
}

/// Of output that came byte by byte, what a read takes of memory is hardly bytes.
#[tokio::test]
async fn read_counts_what_its_chunks_take() {
    const LIMIT: usize = 64 * 1_024;
    let each = size_of::<LogChunk>() + 1;
    let written = chunks(3_000, 1);
    let site = Site::new();
    let logs = site.open(None);
    write(&logs, attempt(), written.clone()).await;
    let check = async |logs: &FileLogs, form: &str| {
        let one = logs.read(attempt(), 7, 1).await.expect("readable");
        assert_eq!(one, written[7..8], "{form}: at least one");
        let mut found = Vec::new();
        while found.len() < written.len() {
            let read = logs.read(attempt(), found.len() as u64, LIMIT).await;
            let read = read.expect("readable");
            assert!(!read.is_empty(), "{form}");
            assert!(read.len() * each <= LIMIT, "{form}: {} chunks", read.len());
            found.extend(read);
        }
        assert!(found == written, "{form}: it differs");
    };
    check(&logs, "segments").await;
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["zst"]);
    check(&logs, "sealed").await;
    drop(logs);
    let logs = site.open_with_archive();
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["archived"]);
    check(&logs, "archived").await;
}
