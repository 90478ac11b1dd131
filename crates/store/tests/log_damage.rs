//! Segment files after a crash, and after worse.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use jobyard_core::{
    AppendError, Appended, AttemptId, AttemptNumber, Epoch, JobId, LogChunk, LogEnd, LogReadError,
    LogStatus, LogStore, MAX_CHUNK_BYTES, OutputStream, Timestamp,
};
use jobyard_store::{FileLogs, OpenLogsError};
use tempfile::TempDir;

const EPOCH: Epoch = Epoch(1);

fn attempt() -> AttemptId {
    AttemptId::new(
        JobId::from_uuid(uuid::Uuid::from_u128(0xabcd)),
        AttemptNumber::FIRST,
    )
}

fn chunk(offset: u64, bytes: &'static [u8]) -> LogChunk {
    let at = Timestamp::from_micros(1);
    LogChunk::new(offset, OutputStream::Stdout, at, bytes.into())
}

fn open(directory: &TempDir) -> FileLogs {
    FileLogs::open(directory.path()).expect("the directory is ours")
}

/// Three appends of six bytes each, every one of them durable before the next.
async fn written() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let logs = open(&directory);
    for (offset, bytes) in [(0, b"first "), (6, b"second"), (12, b" third")] {
        let answer = logs
            .append(EPOCH, attempt(), vec![chunk(offset, bytes)])
            .await;
        answer.expect("an append");
    }
    directory
}

/// The segment files, in order.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory.join("ab/cd"))
        .expect("the directory of the job")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
}

fn flip(path: &Path, position: usize) {
    let mut bytes = fs::read(path).expect("a segment");
    bytes[position] ^= 1;
    fs::write(path, bytes).expect("a segment");
}

fn cut(path: &Path, by: u64) {
    let file = OpenOptions::new().write(true).open(path);
    let file = file.expect("a segment");
    let length = file.metadata().expect("its length").len();
    file.set_len(length - by).expect("a shorter segment");
}

async fn text(logs: &FileLogs) -> String {
    let chunks = logs.read(attempt(), 0, 1_000).await.expect("a read");
    let bytes = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec());
    String::from_utf8(bytes.collect()).expect("text")
}

/// The segment header, and frames of 32 + 6 bytes.
const HEADER: usize = 40;
const FRAME: usize = 38;

#[tokio::test]
async fn torn_tail_is_cut_off_wherever_it_was_torn() {
    for by in 1..=FRAME as u64 {
        let directory = written().await;
        let segment = &segments(directory.path())[0];
        cut(segment, by);
        let logs = open(&directory);
        let status = logs.status(attempt()).await;
        assert_eq!(status, Ok(LogStatus::open(12)), "{by} bytes are missing");
        assert_eq!(text(&logs).await, "first second");
        let length = fs::metadata(segment).expect("the segment").len();
        assert_eq!(length, (HEADER + 2 * FRAME) as u64);
        assert_eq!(logs.usage().await.expect("the usage").bytes, length);
        let again = logs
            .append(EPOCH, attempt(), vec![chunk(12, b" third")])
            .await;
        assert_eq!(again, Ok(Appended::Durable { to: 18 }));
        drop(logs);
        assert_eq!(text(&open(&directory)).await, "first second third");
    }
}

#[tokio::test]
async fn spoilt_last_append_is_cut_off() {
    let directory = written().await;
    flip(&segments(directory.path())[0], HEADER + 2 * FRAME + 35);
    assert_eq!(text(&open(&directory)).await, "first second");
}

#[tokio::test]
async fn append_of_several_frames_torn_in_the_middle_is_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let logs = open(&directory);
    let chunks = vec![
        chunk(0, b"first "),
        chunk(6, b"second"),
        chunk(12, b" third"),
    ];
    logs.append(EPOCH, attempt(), chunks)
        .await
        .expect("an append");
    drop(logs);
    // A power cut may leave later blocks of one write and lose earlier ones.
    flip(&segments(directory.path())[0], HEADER + FRAME + 35);
    assert_eq!(text(&open(&directory)).await, "first ");
}

#[tokio::test]
async fn segment_that_was_hardly_begun_is_removed() {
    for length in [0, 1, HEADER as u64 - 1] {
        let directory = written().await;
        let segment = &segments(directory.path())[0];
        let file = OpenOptions::new().write(true).open(segment);
        file.expect("a segment").set_len(length).expect("a stump");
        let logs = open(&directory);
        assert_eq!(logs.status(attempt()).await, Ok(LogStatus::open(0)));
        assert!(segments(directory.path()).is_empty());
        let usage = logs.usage().await.expect("the usage");
        assert_eq!((usage.logs, usage.bytes), (0, 0));
        let again = logs
            .append(EPOCH, attempt(), vec![chunk(0, b"first ")])
            .await;
        assert_eq!(again, Ok(Appended::Durable { to: 6 }));
    }
}

#[tokio::test]
async fn damage_to_durable_bytes_is_reported_and_nothing_is_written() {
    for position in [
        0,
        30,
        HEADER + 1,
        HEADER + 35,
        HEADER + FRAME,
        HEADER + FRAME + 35,
    ] {
        let directory = written().await;
        let segment = &segments(directory.path())[0];
        flip(segment, position);
        let before = fs::read(segment).expect("the segment");
        let logs = open(&directory);
        for answer in [
            logs.status(attempt()).await.map(drop),
            logs.watch(attempt(), 0).await.map(drop),
            logs.read(attempt(), 0, 100).await.map(drop),
        ] {
            assert!(
                matches!(answer, Err(LogReadError::Damaged { .. })),
                "byte {position}: {answer:?}"
            );
        }
        let append = logs
            .append(EPOCH, attempt(), vec![chunk(0, b"first ")])
            .await;
        assert!(
            matches!(append, Err(AppendError::Damaged { .. })),
            "byte {position}: {append:?}"
        );
        assert_eq!(fs::read(segment).expect("the segment"), before);
        logs.remove(attempt()).await.expect("a damaged log can go");
        assert_eq!(logs.status(attempt()).await, Ok(LogStatus::open(0)));
    }
}

#[tokio::test]
async fn damage_behind_a_reader_is_reported() {
    let directory = written().await;
    let logs = open(&directory);
    assert_eq!(text(&logs).await, "first second third");
    let segment = &segments(directory.path())[0];
    flip(segment, HEADER + FRAME + 35);
    let answer = logs.read(attempt(), 0, 1_000).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
    cut(segment, FRAME as u64);
    let answer = logs.read(attempt(), 12, 1_000).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn damage_to_a_sealed_log_is_reported() {
    let directory = written().await;
    let logs = open(&directory);
    let end = LogEnd {
        bytes: 18,
        dropped: 0,
    };
    logs.seal(EPOCH, attempt(), end).await.expect("a seal");
    drop(logs);
    flip(&segments(directory.path())[0], HEADER + 2 * FRAME + 35);
    let answer = open(&directory).status(attempt()).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
}

/// Twenty mebibytes: three segments.
async fn long() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let logs = open(&directory);
    let bytes = vec![7; MAX_CHUNK_BYTES];
    let chunks = (0..320).map(|index| {
        let offset = index * MAX_CHUNK_BYTES as u64;
        let at = Timestamp::from_micros(1);
        LogChunk::new(offset, OutputStream::Stderr, at, bytes.clone().into())
    });
    let answer = logs.append(EPOCH, attempt(), chunks.collect()).await;
    answer.expect("an append");
    directory
}

#[tokio::test]
async fn damage_to_an_earlier_segment_spoils_only_reads_of_it() {
    let directory = long().await;
    let files = segments(directory.path());
    assert_eq!(files.len(), 3);
    cut(&files[1], 1);
    let logs = open(&directory);
    let end = 320 * MAX_CHUNK_BYTES as u64;
    assert_eq!(logs.status(attempt()).await, Ok(LogStatus::open(end)));
    let mut next = 0;
    let refused = loop {
        match logs.read(attempt(), next, 1_000_000).await {
            Ok(chunks) => next = chunks.last().expect("more is held").end(),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogReadError::Damaged { .. }), "{refused}");
    let last = logs.read(attempt(), end - 5, 100).await.expect("a read");
    assert_eq!(last.last().map(LogChunk::end), Some(end));
}

#[tokio::test]
async fn missing_segment_is_reported() {
    let directory = long().await;
    let files = segments(directory.path());
    fs::remove_file(&files[0]).expect("a removal");
    let answer = open(&directory).status(attempt()).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );

    let directory = long().await;
    let files = segments(directory.path());
    fs::remove_file(&files[1]).expect("a removal");
    let logs = open(&directory);
    let middle = 8 * 1_024 * 1_024 + 100_000;
    let answer = logs.read(attempt(), middle, 100).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn segment_under_another_name_is_reported() {
    let directory = written().await;
    let segment = &segments(directory.path())[0];
    let other = AttemptId::new(attempt().job, AttemptNumber::FIRST.next());
    let name = format!("{}.{}.{:020}.log", other.job, other.number, 0);
    fs::rename(segment, segment.with_file_name(name)).expect("a new name");
    let answer = open(&directory).status(other).await;
    assert!(
        matches!(answer, Err(LogReadError::Damaged { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn directory_belongs_to_one_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let logs = open(&directory);
    let second = FileLogs::open(directory.path());
    assert!(
        matches!(second, Err(OpenLogsError::Held { .. })),
        "{second:?}"
    );
    drop(logs);
    open(&directory);
}
