use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jobyard_core::{AttemptId, AttemptNumber, Exit, JobId, OutputProgress, Timestamp};
use uuid::Uuid;

use super::*;
use crate::cage::{CageOptions, Cages};
use crate::protocol::{End, JOURNAL, Launch, Mechanism, WorkDir};

fn attempt(number: u32) -> AttemptId {
    let job = JobId::from_uuid(Uuid::from_u128(7));
    AttemptId::new(job, AttemptNumber::new(number).expect("not zero"))
}

fn starting(number: u32) -> Record {
    let mut options = CageOptions::new("test");
    options.mechanism = Some(Mechanism::Subreaper);
    let mut cages = Cages::probe(&options);
    let attempt = attempt(number);
    let dir = WorkDir::at("/".into());
    let launch = Launch::new(attempt, "/x".into(), Vec::new(), dir, "/output".into());
    let cage = cages.take(attempt, &launch).expect("needs nothing").name();
    cages.close();
    Record::Starting {
        attempt,
        cage,
        output: "/output".into(),
    }
}

fn running(number: u32) -> Record {
    Record::Running {
        attempt: attempt(number),
        pid: number,
        start_time: 7,
    }
}

fn end() -> End {
    let at = Timestamp::from_micros(5);
    End::new(Exit::Exited(3), at, OutputProgress::new(0, 9, 0))
}

fn states(dir: &Path) -> Vec<(AttemptId, RememberedState)> {
    let remembered = read(dir).expect("a journal");
    let state = |one: Remembered| (one.attempt, one.state);
    remembered.into_iter().map(state).collect()
}

fn write(dir: &Path, records: &[Record]) -> Journal {
    let mut journal = Journal::create(dir).expect("a directory");
    for record in records {
        append(&mut journal, record).expect("room");
    }
    journal
}

fn append(journal: &mut Journal, record: &Record) -> std::io::Result<()> {
    journal.append(record).expect("it can be written");
    journal.flush()
}

#[test]
fn what_was_written_is_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let exited = |number| Record::Exited {
        attempt: attempt(number),
        exit: Exit::Signaled(9),
        at: Timestamp::from_micros(4),
    };
    let ended = |number| Record::Ended {
        attempt: attempt(number),
        end: end(),
    };
    write(
        dir.path(),
        &[
            starting(1),
            starting(2),
            running(2),
            starting(3),
            running(3),
            exited(3),
            starting(4),
            running(4),
            exited(4),
            ended(4),
            starting(5),
            Record::NotStarted {
                attempt: attempt(5),
            },
            starting(6),
            running(6),
            ended(6),
            Record::Forgotten {
                attempt: attempt(6),
            },
        ],
    );
    let states = states(dir.path());
    assert_eq!(
        states,
        [
            (attempt(1), RememberedState::Starting),
            (
                attempt(2),
                RememberedState::Running {
                    pid: 2,
                    start_time: 7
                }
            ),
            (
                attempt(3),
                RememberedState::Exited {
                    pid: 3,
                    start_time: 7,
                    exit: Exit::Signaled(9),
                    at: Timestamp::from_micros(4)
                }
            ),
            (attempt(4), RememberedState::Ended { pid: 4, end: end() }),
        ]
    );
}

#[test]
fn a_warden_becomes_part_of_the_name_of_the_cage() {
    let dir = tempfile::tempdir().expect("a directory");
    let warden = Record::Warden {
        attempt: attempt(1),
        pid: 70,
        start_time: 71,
    };
    let first = starting(1);
    write(dir.path(), &[first.clone(), warden]);
    let Record::Starting { cage, output, .. } = first else {
        panic!("it is one")
    };
    let remembered = read(dir.path()).expect("a journal");
    assert_eq!(remembered[0].cage, cage.with_warden(70, 71));
    assert_eq!(remembered[0].output, output);
}

#[test]
fn a_line_that_is_torn_or_wrong_is_skipped() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), &[starting(1), starting(2)]);
    let path = dir.path().join(JOURNAL);
    let text = fs::read_to_string(&path).expect("text");
    let wrong = text.replace("/output", "/0utput");
    let (first, second) = text.split_once('\n').expect("two lines");
    let wrong = wrong.lines().next().expect("a line");
    let torn = &second[..second.len() / 2];
    fs::write(&path, format!("{first}\n{wrong}\nx\n\n{torn}")).expect("our file");
    assert_eq!(
        states(dir.path()),
        [(attempt(1), RememberedState::Starting)]
    );
}

#[test]
fn where_nobody_wrote_nothing_is_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(read(dir.path()).expect("no file is no error"), []);
}

#[test]
fn a_large_journal_is_written_anew_without_the_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(JOURNAL);
    let mut journal = write(dir.path(), &[starting(1), running(1)]).with_large(10_000);
    let length = || fs::metadata(&path).expect("a file").len();
    let mut largest = 0;
    for number in 2..200 {
        let attempt = attempt(number);
        for record in [
            starting(number),
            running(number),
            Record::Forgotten { attempt },
        ] {
            append(&mut journal, &record).expect("room");
            largest = largest.max(length());
        }
    }
    assert!(largest < 11_000, "{largest}");
    let running = RememberedState::Running {
        pid: 1,
        start_time: 7,
    };
    assert_eq!(states(dir.path()), [(attempt(1), running)]);
    append(&mut journal, &starting(300)).expect("room");
    assert_eq!(states(dir.path()).len(), 2);
    let left: Vec<PathBuf> = fs::read_dir(dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("one").path())
        .collect();
    assert_eq!(left, [path], "no other file");
}

#[test]
fn a_journal_that_cannot_be_written_anew_is_tried_again_when_it_has_grown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(JOURNAL);
    let new = path.with_extension("new");
    // A file that takes nothing, as a full disk does.
    std::os::unix::fs::symlink("/dev/full", &new).expect("a link");
    let mut journal = write(dir.path(), &[starting(1)]).with_large(10_000);
    let length = || fs::metadata(&path).expect("a file").len();
    let mut largest = 0;
    for number in 2.. {
        let attempt = attempt(number);
        for record in [starting(number), Record::Forgotten { attempt }] {
            append(&mut journal, &record).expect("room");
        }
        if length() < largest {
            break;
        }
        largest = length();
        let is_tried = largest > 10_000;
        assert_eq!(fs::symlink_metadata(&new).is_err(), is_tried, "{largest}");
    }
    assert!((12_000..13_000).contains(&largest), "{largest}");
}

#[test]
fn what_could_not_be_written_is_written_with_the_next() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = write(dir.path(), &[starting(1)]);
    // A file that takes nothing, as a full disk does.
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("it is always there");
    let mut journal = journal.with_file(full);
    assert!(append(&mut journal, &running(1)).is_err());
    append(&mut journal, &starting(2)).expect("room");
    let running = RememberedState::Running {
        pid: 1,
        start_time: 7,
    };
    assert_eq!(
        states(dir.path()),
        [
            (attempt(1), running),
            (attempt(2), RememberedState::Starting)
        ]
    );
}

#[test]
fn what_happens_at_once_is_written_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = write(dir.path(), &[starting(1)]);
    for record in [running(1), starting(2)] {
        journal.append(&record).expect("it can be written");
    }
    assert_eq!(
        states(dir.path()),
        [(attempt(1), RememberedState::Starting)]
    );
    journal.flush().expect("room");
    assert_eq!(states(dir.path()).len(), 2);
}

#[test]
fn a_start_that_could_not_be_written_and_was_not_made_is_not_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("it is always there");
    let mut journal = write(dir.path(), &[]).with_file(full);
    assert!(append(&mut journal, &starting(1)).is_err());
    let not_started = Record::NotStarted {
        attempt: attempt(1),
    };
    append(&mut journal, &not_started).expect("room");
    append(&mut journal, &starting(2)).expect("room");
    assert_eq!(
        states(dir.path()),
        [(attempt(2), RememberedState::Starting)]
    );
}

#[test]
fn a_journal_with_nothing_to_tell_is_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let attempt = attempt(1);
    let forgotten = Record::Forgotten { attempt };
    write(dir.path(), &[starting(1), running(1), forgotten]).close();
    assert!(!dir.path().join(JOURNAL).exists());
    write(dir.path(), &[starting(1)]).close();
    let mut file = OpenOptions::new();
    let file = file.append(true).open(dir.path().join(JOURNAL));
    file.expect("it is kept").flush().expect("our file");
}

#[test]
fn time_that_was_over_is_remembered_for_whoever_buries_the_launcher() {
    let dir = tempfile::tempdir().expect("a directory");
    let expired = Record::Expired {
        attempt: attempt(1),
    };
    let records = [starting(1), running(1), expired, starting(2), running(2)];
    let _journal = write(dir.path(), &records);
    let remembered = read(dir.path()).expect("a journal");
    let expired: Vec<_> = remembered.iter().map(|one| one.expired).collect();
    assert_eq!(expired, [true, false]);
}
