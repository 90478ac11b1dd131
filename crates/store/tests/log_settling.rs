//! Logs that are over: from segments to one file, from there to an archive, and what a crash or damage leaves of them.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    AttemptId, AttemptNumber, Epoch, JobId, LogChunk, LogEnd, LogReadError, LogStatus, LogStore,
    MAX_CHUNK_BYTES, OutputStream, Timestamp,
};
use jobyard_store::{
    ArchiveError, DirectoryArchive, FileLogs, LogArchive, LogOptions, SettleError,
};
use tempfile::TempDir;

const EPOCH: Epoch = Epoch(1);

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

    /// Everything is compressed and stays.
    fn open(&self) -> FileLogs {
        let mut options = LogOptions::default();
        options.compress_from = Some(0);
        FileLogs::open_with(self.logs.path(), options).expect("the directory is ours")
    }

    /// Everything goes to the archive.
    fn open_with_archive(&self) -> FileLogs {
        let mut options = LogOptions::default();
        options.archive = Some(Arc::new(DirectoryArchive::new(self.archive_path())));
        FileLogs::open_with(self.logs.path(), options).expect("the directory is ours")
    }

    fn archive_path(&self) -> PathBuf {
        self.archive.path().join("archive")
    }

    /// The files of the log, in order.
    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.logs.path().join("ab/cd"))
    }

    /// Their endings.
    fn endings(&self) -> Vec<String> {
        let ending = |path: &PathBuf| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name.rsplit('.').next().unwrap_or_default().to_owned()
        };
        self.files().iter().map(ending).collect()
    }

    fn file(&self, ending: &str) -> PathBuf {
        let found = self.files().into_iter().find(|path| {
            path.extension()
                .is_some_and(|extension| extension == ending)
        });
        found.unwrap_or_else(|| panic!("a file .{ending} among {:?}", self.files()))
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
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

fn attempt() -> AttemptId {
    let job = JobId::from_uuid(uuid::Uuid::from_u128(0xabcd));
    AttemptId::new(job, AttemptNumber::FIRST)
}

/// Twelve chunks, so that there are three blocks.
fn chunks() -> Vec<LogChunk> {
    let each = (0..12_u8).map(|index| {
        let offset = u64::from(index) * MAX_CHUNK_BYTES as u64;
        let stream = [OutputStream::Stdout, OutputStream::Stderr][usize::from(index % 2)];
        let at = Timestamp::from_micros(i64::from(index));
        let line = format!("line of chunk {index}\n");
        let bytes = line.repeat(MAX_CHUNK_BYTES / line.len() + 1);
        LogChunk::new(
            offset,
            stream,
            at,
            bytes.into_bytes()[..MAX_CHUNK_BYTES].to_vec().into(),
        )
    });
    each.collect()
}

const END: LogEnd = LogEnd {
    bytes: 12 * MAX_CHUNK_BYTES as u64,
    dropped: 3,
};

async fn write(logs: &FileLogs) {
    let appended = logs.append(EPOCH, attempt(), chunks()).await;
    appended.expect("an append");
    logs.seal(EPOCH, attempt(), END).await.expect("a seal");
}

async fn read(logs: &FileLogs) -> Result<Vec<LogChunk>, LogReadError> {
    let mut found: Vec<LogChunk> = Vec::new();
    loop {
        let from = found.last().map_or(0, LogChunk::end);
        let more = logs.read(attempt(), from, 300_000).await?;
        if more.is_empty() {
            return Ok(found);
        }
        found.extend(more);
    }
}

async fn is_whole(logs: &FileLogs) {
    let status = LogStatus::sealed(END.bytes, END);
    assert_eq!(logs.status(attempt()).await, Ok(status));
    assert!(read(logs).await.expect("readable") == chunks(), "differs");
}

fn flip(path: &Path, position: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[position] ^= 1;
    fs::write(path, bytes).expect("a file");
}

fn is_damaged<T: std::fmt::Debug>(answer: &Result<T, LogReadError>) {
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn any_zstd_gives_back_the_bytes_and_any_seekable_one_seeks_in_them() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["zst"]);
    let bytes: Vec<u8> = chunks()
        .iter()
        .flat_map(|chunk| chunk.bytes.to_vec())
        .collect();
    let file = fs::read(site.file("zst")).expect("the file");
    assert!(file.len() * 10 < bytes.len(), "it is hardly compressed");
    let plain = zstd::decode_all(file.as_slice()).expect("zstd");
    assert!(plain == bytes, "zstd gives other bytes");

    let mut seeking = zeekstd::Decoder::new(std::io::Cursor::new(&file)).expect("seekable");
    seeking.set_offset(500_000).expect("an offset");
    let mut piece = [0; 100];
    let read = seeking.decompress(&mut piece).expect("a piece");
    assert_eq!(piece[..read], bytes[500_000..500_000 + read]);
}

#[tokio::test]
async fn small_log_stays_as_it_is_until_there_is_an_archive() {
    let site = Site::new();
    let logs = FileLogs::open(site.logs.path()).expect("the directory is ours");
    let small = chunks()[0].bytes.slice(..3_000);
    let chunk = LogChunk::new(0, OutputStream::Stdout, Timestamp::from_micros(0), small);
    let appended = logs.append(EPOCH, attempt(), vec![chunk]).await;
    appended.expect("an append");
    let end = LogEnd {
        bytes: 3_000,
        dropped: 0,
    };
    logs.seal(EPOCH, attempt(), end).await.expect("a seal");
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["log"]);
    drop(logs);
    let logs = site.open_with_archive();
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["archived"]);
    let held = read(&logs).await.expect("readable");
    assert_eq!(held.last().map(LogChunk::end), Some(3_000));
}

#[tokio::test]
async fn log_that_is_not_over_stays_in_its_segments() {
    let site = Site::new();
    let logs = site.open();
    let appended = logs.append(EPOCH, attempt(), chunks()).await;
    appended.expect("an append");
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["log"]);
    drop(logs);
    let logs = site.open();
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["log"]);
    logs.seal(EPOCH, attempt(), END).await.expect("a seal");
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["zst"]);
    is_whole(&logs).await;
}

#[tokio::test]
async fn what_was_sealed_before_a_restart_is_settled_after_it() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    drop(logs);
    let logs = site.open();
    is_whole(&logs).await;
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["zst"]);
    is_whole(&logs).await;
}

/// Every state that a crash may leave, by the files that are there then.
#[tokio::test]
async fn crash_between_any_two_steps_loses_nothing() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    drop(logs);
    let segment = (site.file("log"), fs::read(site.file("log")).expect("bytes"));
    let logs = site.open();
    logs.settle().await.expect("settled");
    drop(logs);
    let sealed = (site.file("zst"), fs::read(site.file("zst")).expect("bytes"));
    let logs = site.open_with_archive();
    logs.settle().await.expect("settled");
    drop(logs);
    let pointer = site.file("archived");
    let pointer = (pointer.clone(), fs::read(pointer).expect("bytes"));
    let archived = files_below(&site.archive_path());
    let partial = |path: &Path| PathBuf::from(format!("{}.partial", path.display()));
    let half = |file: &(PathBuf, Vec<u8>)| {
        let (path, bytes) = file;
        (partial(path), bytes[..bytes.len() / 2].to_vec())
    };
    let whole_partial = (partial(&sealed.0), sealed.1.clone());
    let states = [
        // While the file is written, and before it has its name.
        vec![segment.clone(), half(&sealed)],
        vec![segment.clone(), whole_partial],
        // Before the segments go, and after.
        vec![segment.clone(), sealed.clone()],
        vec![sealed.clone()],
        // While the pointer is written, before the file goes, and after.
        vec![sealed.clone(), half(&pointer)],
        vec![sealed.clone(), pointer.clone()],
        vec![segment.clone(), sealed.clone(), pointer.clone()],
        vec![pointer.clone()],
    ];
    for (number, state) in states.iter().enumerate() {
        for path in site.files() {
            fs::remove_file(path).expect("a removal");
        }
        for (path, bytes) in state {
            fs::write(path, bytes).expect("a file");
        }
        let logs = site.open_with_archive();
        is_whole(&logs).await;
        logs.settle()
            .await
            .unwrap_or_else(|problem| panic!("state {number}: {problem}"));
        is_whole(&logs).await;
        let left = site.endings();
        let left: Vec<_> = left.iter().filter(|ending| *ending != "partial").collect();
        assert_eq!(left, ["archived"], "state {number}");
        let usage = logs.usage().await.expect("the usage");
        assert_eq!(usage.logs, 1);
        assert_eq!(usage.bytes, pointer.1.len() as u64, "state {number}");
        assert_eq!(usage.archived, sealed.1.len() as u64);
        drop(logs);
        let again = site.open_with_archive();
        assert_eq!(again.usage().await.expect("the usage"), usage);
        assert_eq!(files_below(&site.archive_path()), archived);
    }
}

#[tokio::test]
async fn damage_to_a_block_costs_that_block_and_no_other() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    logs.settle().await.expect("settled");
    flip(&site.file("zst"), 50);
    is_damaged(&logs.read(attempt(), 0, 100).await);
    drop(logs);
    let logs = site.open();
    let status = logs.status(attempt()).await.expect("a status");
    assert_eq!(status.end, END.bytes);
    is_damaged(&logs.read(attempt(), 10, 100).await);
    // The first block ends with the fourth chunk.
    let rest = logs.read(attempt(), chunks()[4].offset, 100).await;
    assert_eq!(rest.expect("readable")[0], chunks()[4]);
    logs.remove(attempt()).await.expect("a damaged log can go");
    assert!(site.files().is_empty());
}

#[tokio::test]
async fn damage_to_the_index_is_reported() {
    let whole = {
        let site = Site::new();
        let logs = site.open();
        write(&logs).await;
        logs.settle().await.expect("settled");
        fs::read(site.file("zst")).expect("bytes").len()
    };
    // From the end: the magic number, a number of frames, an entry of the seek table, a digest, the head of the index.
    for back in [1, 9, 30, 90, 140, 380, 400] {
        let site = Site::new();
        let logs = site.open();
        write(&logs).await;
        logs.settle().await.expect("settled");
        drop(logs);
        flip(&site.file("zst"), whole - back);
        let logs = site.open();
        is_damaged(&logs.status(attempt()).await);
        is_damaged(&logs.read(attempt(), 0, 100).await);
        logs.remove(attempt()).await.expect("a damaged log can go");
    }
}

#[tokio::test]
async fn sealed_file_that_is_cut_off_or_of_another_attempt_is_reported() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    logs.settle().await.expect("settled");
    drop(logs);
    let path = site.file("zst");
    let bytes = fs::read(&path).expect("bytes");
    for length in [0, 8, 100, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).expect("a stump");
        is_damaged(&site.open().status(attempt()).await);
    }
    fs::write(&path, &bytes).expect("the file");
    let other = AttemptId::new(attempt().job, attempt().number.next());
    let name = format!("{}.{}.zst", other.job, other.number);
    fs::rename(&path, path.with_file_name(name)).expect("a new name");
    is_damaged(&site.open().status(other).await);
}

#[tokio::test]
async fn damaged_segments_are_not_compressed() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    flip(&site.file("log"), 200_000);
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Damaged { .. })),
        "{settled:?}"
    );
    assert!(site.endings().contains(&"log".to_owned()));
    let rest = logs.read(attempt(), chunks()[8].offset, 100).await;
    assert_eq!(rest.expect("readable")[0], chunks()[8]);
}

#[tokio::test]
async fn damaged_file_is_not_archived() {
    let site = Site::new();
    let logs = site.open();
    write(&logs).await;
    logs.settle().await.expect("settled");
    drop(logs);
    flip(&site.file("zst"), 50);
    let logs = site.open_with_archive();
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Damaged { .. })),
        "{settled:?}"
    );
    assert_eq!(site.endings(), ["zst"]);
}

#[tokio::test]
async fn archive_that_is_away_is_waited_for_and_hinders_nobody() {
    let site = Site::new();
    let logs = site.open_with_archive();
    write(&logs).await;
    logs.settle().await.expect("settled");
    let (here, away) = (site.archive_path(), site.archive.path().join("away"));
    fs::rename(&here, &away).expect("a new name");

    let answer = logs.read(attempt(), 0, 100).await;
    let Err(LogReadError::Storage { problem }) = &answer else {
        panic!("{answer:?}");
    };
    assert!(problem.contains("not at hand"), "{problem}");
    let status = logs.status(attempt()).await;
    assert_eq!(status, Ok(LogStatus::sealed(END.bytes, END)), "known here");

    // The empty place where it should be mounted is no archive either.
    fs::create_dir(&here).expect("a directory");
    let other = AttemptId::new(attempt().job, attempt().number.next());
    let appended = logs.append(EPOCH, other, chunks()).await;
    appended.expect("an append");
    logs.seal(EPOCH, other, END).await.expect("a seal");
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Archive { .. })),
        "{settled:?}"
    );
    assert!(files_below(&here).is_empty(), "something was put there");
    let read = logs.read(other, 0, 100).await.expect("it is here still");
    assert_eq!(read[0], chunks()[0]);

    // A removal does not wait for it.
    logs.remove(attempt()).await.expect("a removal");
    assert_eq!(logs.status(attempt()).await, Ok(LogStatus::open(0)));

    fs::remove_dir(&here).expect("it is empty");
    fs::rename(&away, &here).expect("its name again");
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["archived"]);
    assert_eq!(files_below(&here).len(), 2, "the marker, and the other log");
    let read = logs.read(other, 0, 100).await.expect("readable");
    assert_eq!(read[0], chunks()[0]);
}

/// An archive that gives back something else than it got, as long as it is said to.
#[derive(Debug)]
struct Liar {
    archive: DirectoryArchive,
    lies: AtomicBool,
}

#[async_trait]
impl LogArchive for Liar {
    async fn begin(&self) -> Result<(), ArchiveError> {
        self.archive.begin().await
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), ArchiveError> {
        self.archive.put(name, file).await
    }

    async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let read = self.archive.read(name, range).await?;
        let mut read = read.to_vec();
        if let Some(last) = read.last_mut()
            && self.lies.load(Ordering::Acquire)
        {
            *last ^= 1;
        }
        Ok(read.into())
    }

    async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        self.archive.remove(name).await
    }
}

#[tokio::test]
async fn log_stays_until_its_archive_gives_back_what_it_got() {
    let site = Site::new();
    let liar = Arc::new(Liar {
        archive: DirectoryArchive::new(site.archive_path()),
        lies: AtomicBool::new(true),
    });
    let mut options = LogOptions::default();
    options.archive = Some(Arc::clone(&liar) as _);
    let logs = FileLogs::open_with(site.logs.path(), options).expect("the directory is ours");
    write(&logs).await;
    let settled = logs.settle().await;
    assert!(
        matches!(settled, Err(SettleError::Archive { .. })),
        "{settled:?}"
    );
    let _ = site.file("zst");
    is_whole(&logs).await;
    liar.lies.store(false, Ordering::Release);
    logs.settle().await.expect("settled");
    assert_eq!(site.endings(), ["archived"]);
    is_whole(&logs).await;
}

#[tokio::test]
async fn damage_in_the_archive_is_known_by_digest() {
    let site = Site::new();
    let logs = site.open_with_archive();
    write(&logs).await;
    logs.settle().await.expect("settled");
    let archived = files_below(&site.archive_path());
    let archived = archived.iter().find(|path| path.extension().is_some());
    let archived = archived.expect("an archived log");
    let bytes = fs::read(archived).expect("bytes");

    // A block, with the rest left readable.
    flip(archived, 50);
    is_damaged(&logs.read(attempt(), 0, 100).await);
    let rest = logs.read(attempt(), chunks()[8].offset, 100).await;
    assert_eq!(rest.expect("readable")[0], chunks()[8]);
    drop(logs);

    // Its index.
    fs::write(archived, &bytes).expect("the file");
    flip(archived, bytes.len() - 140);
    is_damaged(&site.open_with_archive().read(attempt(), 0, 100).await);

    // All of it, or what follows its middle.
    fs::write(archived, &bytes[..bytes.len() / 2]).expect("a half");
    is_damaged(&site.open_with_archive().read(attempt(), 0, 100).await);
    fs::remove_file(archived).expect("a removal");
    is_damaged(&site.open_with_archive().read(attempt(), 0, 100).await);

    // The pointer.
    flip(&site.file("archived"), 60);
    is_damaged(&site.open_with_archive().status(attempt()).await);
}

#[tokio::test]
async fn logs_are_read_while_they_are_moved() {
    let site = Site::new();
    let logs = Arc::new(site.open_with_archive());
    write(&logs).await;
    let mover = Arc::clone(&logs);
    let moving = tokio::spawn(async move { mover.settle().await });
    while !moving.is_finished() {
        is_whole(&logs).await;
    }
    moving.await.expect("no panic").expect("settled");
    is_whole(&logs).await;
    assert_eq!(site.endings(), ["archived"]);
}

#[tokio::test]
async fn dropped_settling_leaves_the_log_whole() {
    let site = Site::new();
    let logs = site.open_with_archive();
    write(&logs).await;
    for _ in 0..20 {
        // Polled once and dropped.
        drop(futures_util::future::poll_immediate(logs.settle()).await);
        is_whole(&logs).await;
    }
    drop(logs);
    let logs = site.open_with_archive();
    logs.settle().await.expect("settled");
    is_whole(&logs).await;
    assert_eq!(logs.usage().await.expect("the usage").logs, 1);
}
