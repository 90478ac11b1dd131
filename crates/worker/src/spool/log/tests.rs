use std::sync::Arc;

use jobyard_core::{AttemptNumber, JobId};
use uuid::Uuid;

use super::*;
use crate::spool::{ReadError, SpoolReader};

const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn attempt() -> AttemptId {
    AttemptId::new(JobId::from_uuid(Uuid::from_u128(1)), AttemptNumber::FIRST)
}

fn log_in(dir: &Path, limit: u64) -> Arc<SpoolLog> {
    let mut log = SpoolLog::new(attempt(), dir.join("a"), limit);
    log.segment_bytes = 1000;
    Arc::new(log)
}

fn put(log: &SpoolLog, bytes: &[u8]) {
    log.write(OutputStream::Stdout, AT, &Bytes::copy_from_slice(bytes));
}

fn read(log: &Arc<SpoolLog>, from: u64) -> Result<Vec<u8>, ReadError> {
    let mut reader = SpoolReader::new(Arc::clone(log), from);
    let mut all = Vec::new();
    loop {
        let chunks = reader.read(700)?;
        if chunks.is_empty() {
            return Ok(all);
        }
        for chunk in chunks {
            assert_eq!(chunk.offset, from + all.len() as u64);
            all.extend_from_slice(&chunk.bytes);
        }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}

#[test]
fn output_of_which_nobody_has_seen_the_end_has_none_unless_more_would_have_been_dropped() {
    let base = tempfile::tempdir().expect("a directory");
    for (limit, end) in [
        (9, LogEnd::UNKNOWN),
        (
            2,
            LogEnd {
                bytes: 2,
                dropped: 1,
            },
        ),
    ] {
        let log = log_in(&base.path().join(limit.to_string()), limit);
        put(&log, b"abc");
        log.cut_short();
        assert_eq!(log.close(), end);
        assert_eq!(log.progress().end, limit.min(3), "what is there stays");
    }
}

#[test]
fn without_output_there_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), 100);
    assert_eq!(log.close(), LogEnd::default());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn read_from_any_offset_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    let all = pattern(5_000);
    for part in all.chunks(333) {
        put(&log, part);
    }
    assert!(fs::read_dir(dir.path().join("a")).unwrap().count() > 3);
    for from in [0, 1, 332, 333, 334, 999, 1000, 1332, 4999, 5000] {
        assert_eq!(
            read(&log, from as u64).unwrap(),
            &all[from..],
            "from {from}"
        );
    }
}

#[test]
fn large_writes_become_chunks_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    let all = pattern(3 * MAX_CHUNK_BYTES + 5);
    put(&log, &all);
    let chunks = SpoolReader::new(Arc::clone(&log), 0)
        .read(usize::MAX)
        .unwrap();
    assert_eq!(chunks.len(), 4);
    assert_eq!(read(&log, 0).unwrap(), all);
}

#[test]
fn count_what_exceeds_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), 10);
    put(&log, b"0123456789abc");
    put(&log, b"de");
    assert_eq!(
        log.close(),
        LogEnd {
            bytes: 10,
            dropped: 5
        }
    );
    assert_eq!(read(&log, 0).unwrap(), b"0123456789");
}

#[test]
fn a_disk_that_refuses_costs_output_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // A file stands where the directory of the attempt should be made.
    fs::write(dir.path().join("a"), b"").unwrap();
    let log = log_in(dir.path(), u64::MAX);
    put(&log, b"lost");
    fs::remove_file(dir.path().join("a")).unwrap();
    put(&log, b"lost as well, since a log has no holes");
    assert_eq!(
        log.close(),
        LogEnd {
            bytes: 0,
            dropped: 42
        }
    );
}

#[test]
fn a_torn_tail_is_cut_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    put(&log, &pattern(1500));
    put(&log, b"0123456789");
    drop(log);
    let last = dir.path().join("a").join(format!("{:020}", 1500));
    let whole = fs::read(&last).unwrap();
    for cut in 0..whole.len() {
        fs::write(&last, &whole[..cut]).unwrap();
        let log = SpoolLog::recover(attempt(), dir.path().join("a"), u64::MAX).unwrap();
        assert_eq!(log.progress().end, 1500, "cut at {cut}");
        let log = Arc::new(log);
        put(&log, b"other");
        assert_eq!(read(&log, 1500).unwrap(), b"other", "cut at {cut}");
    }
    fs::write(&last, &whole).unwrap();
    let log = SpoolLog::recover(attempt(), dir.path().join("a"), u64::MAX).unwrap();
    assert_eq!(log.progress().end, 1510);
}

#[test]
fn trim_deletes_what_the_master_has_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    let all = pattern(3_500);
    for part in all.chunks(500) {
        put(&log, part);
    }
    log.trim(1_999);
    assert_eq!(log.first(), 1_000);
    assert_eq!(read(&log, 1_000).unwrap(), &all[1_000..]);
    assert!(matches!(
        read(&log, 999),
        Err(ReadError::Missing { offset: 999 })
    ));
    log.trim(3_500);
    assert_eq!(log.first(), 3_000, "the open segment stays");
    log.close();
    log.trim(3_500);
    assert_eq!(log.first(), 3_500);
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
}

#[tokio::test]
async fn readers_are_woken_by_output_and_by_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    let mut progress = log.watch();
    let writer = Arc::clone(&log);
    let task = tokio::task::spawn_blocking(move || put(&writer, b"x"));
    let seen = *progress
        .wait_for(|progress| progress.end == 1)
        .await
        .unwrap();
    assert_eq!(seen.closed, None);
    task.await.unwrap();
    log.close();
    let seen = *progress
        .wait_for(|progress| progress.closed.is_some())
        .await
        .unwrap();
    assert_eq!(
        seen.closed,
        Some(LogEnd {
            bytes: 1,
            dropped: 0
        })
    );
}

/// Another process, as far as this one can see: it writes into the place that a log offers.
fn launcher(log: &SpoolLog) -> jobyard_launcher::spool::SpoolWriter {
    let place = log.place();
    jobyard_launcher::spool::SpoolWriter::new(place.dir, place.limit).with_segment_bytes(1000)
}

#[test]
fn follow_what_a_launcher_writes_and_end_where_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), 4_000);
    let mut writer = launcher(&log);
    let all = pattern(5_000);
    for part in all.chunks(300) {
        writer.write(OutputStream::Stdout, AT, Bytes::copy_from_slice(part));
    }
    log.follow(writer.progress());
    assert_eq!(log.first(), 0);
    assert_eq!(read(&log, 0).unwrap(), &all[..4_000]);
    // It is the only writer.
    put(&log, b"nobody sees this");
    assert_eq!(read(&log, 3_999).unwrap().len(), 1);
    log.follow(OutputProgress::default());
    let end = log.close();
    assert_eq!((end.bytes, end.dropped), (4_000, 1_000 + 16));
}

#[test]
fn segments_that_a_launcher_did_not_mention_are_found_and_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    let mut writer = launcher(&log);
    let all = pattern(5_500);
    for (number, part) in all.chunks(500).enumerate() {
        writer.write(OutputStream::Stdout, AT, Bytes::copy_from_slice(part));
        if number == 0 {
            log.follow(writer.progress());
        }
    }
    log.follow(writer.progress());
    assert_eq!(read(&log, 2_250).unwrap(), &all[2_250..]);
    log.trim(3_100);
    assert_eq!(log.first(), 3_000);
    assert_eq!(read(&log, 3_000).unwrap(), &all[3_000..]);
    log.close();
    log.trim(5_500);
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
}

#[test]
fn the_torn_tail_of_a_writer_that_lives_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a");
    fs::create_dir(&place).unwrap();
    let chunks = [b"first".as_slice(), b"second"].map(Bytes::from_static);
    let first = frame::encode(&LogChunk::new(
        0,
        OutputStream::Stdout,
        AT,
        chunks[0].clone(),
    ));
    let second = frame::encode(&LogChunk::new(
        5,
        OutputStream::Stderr,
        AT,
        chunks[1].clone(),
    ));
    for cut in 0..second.len() {
        let file = segment_path(&place, 0);
        fs::write(&file, [&first, &second[..cut]].concat()).unwrap();
        let log = Arc::new(SpoolLog::recover(attempt(), place.clone(), u64::MAX).unwrap());
        assert_eq!(log.progress().end, 5, "cut at {cut}");
        assert_eq!(read(&log, 0).unwrap(), b"first");
        let mut reader = SpoolReader::new(Arc::clone(&log), 0);
        assert_eq!(reader.read(100).unwrap().len(), 1);
        // The writer goes on where it was.
        let mut writer = OpenOptions::new().append(true).open(&file).unwrap();
        writer.write_all(&second[cut..]).unwrap();
        assert_eq!(reader.read(100).unwrap(), [], "nobody has said so yet");
        log.follow(OutputProgress::new(0, 11, 0));
        let rest = reader.read(100).unwrap();
        assert_eq!(rest[0].bytes, chunks[1], "cut at {cut}");
        assert_eq!(log.close().bytes, 11);
    }
}

#[test]
fn what_was_found_without_a_whole_frame_is_deleted_too() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a");
    fs::create_dir(&place).unwrap();
    fs::write(segment_path(&place, 0), b"torn").unwrap();
    let log = SpoolLog::recover(attempt(), place.clone(), 10).unwrap();
    assert!(log.has_files());
    log.remove();
    assert!(!place.exists());
}

/// Whether somebody was told since the last question.
fn was_told(shortage: &Notify) -> bool {
    std::pin::pin!(shortage.notified()).enable()
}

#[test]
fn what_is_dropped_before_the_limit_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let shortage = Arc::new(Notify::new());
    let log =
        |name: &str| SpoolLog::new(attempt(), dir.path().join(name), 100).with_shortage(&shortage);
    let at_limit = log("a");
    put(&at_limit, &pattern(101));
    let followed_to_limit = log("b");
    followed_to_limit.follow(OutputProgress::new(0, 100, 7));
    assert!(!was_told(&shortage), "that is what limits are for");

    fs::write(dir.path().join("c"), "no directory").unwrap();
    let refused = log("c");
    put(&refused, b"lost");
    assert!(was_told(&shortage));
    put(&refused, b"lost");
    assert!(!was_told(&shortage), "that is known");
    let followed = log("d");
    followed.follow(OutputProgress::new(0, 99, 0));
    assert!(!was_told(&shortage));
    followed.follow(OutputProgress::new(0, 99, 7));
    assert!(was_told(&shortage));
    followed.follow(OutputProgress::new(0, 99, 8));
    assert!(!was_told(&shortage));
}

#[test]
fn pieces_are_as_small_as_the_reader_asks() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    let all = pattern(3_000);
    for part in all.chunks(450) {
        put(&log, part);
    }
    let mut reader = SpoolReader::new(Arc::clone(&log), 0);
    let mut read = Vec::new();
    loop {
        let chunks = reader.read(100).unwrap();
        let cost: usize = chunks
            .iter()
            .map(|chunk| chunk.bytes.len() + crate::spool::CHUNK_COST)
            .sum();
        assert!(cost <= 100, "{cost}");
        if chunks.is_empty() {
            break;
        }
        for chunk in chunks {
            assert_eq!(chunk.offset, read.len() as u64);
            read.extend_from_slice(&chunk.bytes);
        }
    }
    assert!(read == all, "{} bytes", read.len());
}

#[test]
fn what_gave_way_is_gone_and_its_end_is_known_in_the_next_life() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    put(&log, &pattern(2_500));
    let other = Arc::new(Budget::new(100));
    let before = read(&log, 0).unwrap().len();
    assert_eq!(before, 2_500);
    log.is_durable(900);
    let claim = log.claim().expect("it takes room");
    assert_eq!((claim.held, claim.owed), (2_500, 1_600));
    log.give_up();
    log.bury();
    assert_eq!(log.claim(), None);
    put(&log, b"more");
    log.follow(OutputProgress::new(2_600, 2_700, 0));
    assert!(matches!(
        read(&log, 900),
        Err(ReadError::Missing { offset: 900 })
    ));
    assert_eq!(
        log.close().bytes,
        2_700,
        "the master learns that it lacks some"
    );

    let found = SpoolLog::recover(attempt(), dir.path().join("a"), u64::MAX).unwrap();
    let found = found.within(&other);
    assert_eq!((found.progress().end, found.claim()), (2_500, None));
    assert!(found.has_files());
    found.remove();
    assert!(!dir.path().join("a").exists());
}

#[test]
fn what_is_forgotten_while_it_is_buried_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    put(&log, b"some");
    log.give_up();
    log.remove();
    log.bury();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn budget_counts_what_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let budget = Arc::new(Budget::new(u64::MAX));
    let mut log = SpoolLog::new(attempt(), dir.path().join("a"), u64::MAX).within(&budget);
    log.segment_bytes = 1000;
    for _ in 0..5 {
        put(&log, &pattern(600));
    }
    assert_eq!(log.claim().unwrap().held, 3_000);
    log.trim(1_500);
    let claim = log.claim().unwrap();
    assert_eq!(claim.held, 1_800, "by whole segments");
    assert_eq!(claim.owed, 1_800, "what is not here cannot be owed");
    log.close();
    log.trim(3_000);
    assert_eq!(log.claim(), None);
}

#[test]
fn what_the_master_had_in_an_earlier_life_is_not_owed() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    for _ in 0..5 {
        put(&log, &pattern(600));
    }
    log.trim(2_500);
    drop(log);
    let log = SpoolLog::recover(attempt(), dir.path().join("a"), u64::MAX).unwrap();
    let log = log.within(&Arc::new(Budget::new(u64::MAX)));
    put(&log, &pattern(100));
    let claim = log.claim().unwrap();
    assert_eq!((claim.held, claim.owed), (700, 700));
    assert_eq!(log.lock().durable, 2_400);
}

#[test]
fn output_whose_files_somebody_else_deleted_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path(), u64::MAX);
    put(&log, &pattern(2_500));
    fs::remove_dir_all(dir.path().join("a")).unwrap();
    assert!(matches!(
        read(&log, 0),
        Err(ReadError::Missing { offset: 0 })
    ));
    let log = log_in(dir.path(), u64::MAX);
    let mut writer = launcher(&log);
    for part in pattern(2_500).chunks(500) {
        writer.write(OutputStream::Stdout, AT, Bytes::copy_from_slice(part));
    }
    log.follow(writer.progress());
    fs::remove_dir_all(dir.path().join("a")).unwrap();
    assert!(matches!(
        read(&log, 0),
        Err(ReadError::Missing { offset: 0 })
    ));
    // The launcher goes on, and makes the directory anew.
    for part in pattern(2_500).chunks(500) {
        writer.write(OutputStream::Stdout, AT, Bytes::copy_from_slice(part));
    }
    log.follow(writer.progress());
    assert!(matches!(
        read(&log, 0),
        Err(ReadError::Missing { offset: 0 })
    ));
    assert_eq!(read(&log, 4_000).unwrap().len(), 1_000);
    log.close();
    log.trim(5_000);
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 0);
}
