//! A worker comes back to what an earlier life left.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Master, Session, assignment, attempt, config, start, within};
use jobyard_core::{
    AttemptId, BootId, ExecutionTrace, HeldState, InfraReason, LogEnd, Outcome, OutputStream,
    Timestamp,
};
use jobyard_worker::agent::{JournalEntry, ShutdownMode};
use jobyard_worker::journal::Journal;
use jobyard_worker::spool::Spool;
use jobyard_worker::{StartWorkerError, Worker, facts};
use uuid::Uuid;

const LOST: Outcome = Outcome::Infra {
    reason: InfraReason::WorkerRestarted,
};

/// Writes the journal of a life that was killed.
fn journal(data: &Path, entries: &[JournalEntry]) {
    let (mut journal, _) = Journal::open(&data.join("journal")).unwrap();
    journal.append(entries).unwrap();
}

fn accepted(attempt: AttemptId, boot: BootId) -> JournalEntry {
    let spec = assignment(attempt, "sleep 1000").spec;
    JournalEntry::Accepted {
        attempt,
        spec,
        env: [].into(),
        boot,
    }
}

fn print(data: &Path, attempt: AttemptId, bytes: &'static [u8]) {
    let mut spool = Spool::open(&data.join("spool")).unwrap();
    let at = Timestamp::from_micros(0);
    spool
        .log(attempt, 1000)
        .write(OutputStream::Stdout, at, &bytes.into());
}

/// When the kernel says that a process started: the 22nd field of its `stat`, counted behind the name.
fn start_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, behind_name) = stat.rsplit_once(") ").unwrap();
    behind_name.split(' ').nth(19).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_runs_of_an_attempt_is_killed_and_reported_with_its_output() {
    let data = tempfile::tempdir().unwrap();
    // As an earlier life would have started it: a group of its own, with a child.
    let mut left = Command::new("sh")
        .args(["-c", "sleep 1000 & echo ready; wait"])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(left.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let a = attempt(1);
    let trace = Some(ExecutionTrace::new(left.id(), start_time(left.id())));
    let at = Timestamp::from_micros(5);
    let started = JournalEntry::Started {
        attempt: a,
        pid: Some(left.id()),
        trace,
        at,
    };
    journal(data.path(), &[accepted(a, facts::boot_id()), started]);
    print(data.path(), a, b"printed before");

    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let report = match session.hello.inventory[0].state.clone() {
        HeldState::Finished(report) => report,
        _ => session.finished(a).await,
    };
    // What it had in its pipe, nobody knows.
    assert_eq!((report.outcome, report.log), (LOST, LogEnd::UNKNOWN));
    assert!(report.residue.killed >= 1, "{report:?}");
    let status = tokio::task::spawn_blocking(move || left.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.signal(), Some(9));
    let log = master.log(a, |log| log.end.is_some()).await;
    assert_eq!(log.bytes, b"printed before");
    drop(worker);
}

#[tokio::test]
async fn after_a_reboot_nothing_is_looked_for_and_everything_is_reported() {
    let data = tempfile::tempdir().unwrap();
    let a = attempt(1);
    journal(
        data.path(),
        &[accepted(a, BootId::from_uuid(Uuid::from_u128(1)))],
    );
    print(data.path(), a, b"before");
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let HeldState::Finished(report) = &session.hello.inventory[0].state else {
        panic!("{:?}", session.hello)
    };
    assert_eq!((report.outcome, report.log), (LOST, LogEnd::UNKNOWN));
    assert_eq!(
        master.log(a, |log| log.end.is_some()).await.bytes,
        b"before"
    );
    session.forget(a).await;
    drop(worker);
}

#[tokio::test]
async fn a_report_that_nobody_confirmed_is_repeated_by_the_next_life() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session.assign(a, "echo out; exit 3").await;
    session.started(a).await;
    let report = session.finished(a).await;
    drop(session);
    let _unwelcome = Session::next(&mut sessions).await;
    worker.shutdown(ShutdownMode::Stop).await;
    worker.shutdown(ShutdownMode::Stop).await;
    within(worker.wait()).await;

    let worker = start(data.path(), &master).await;
    let session = Session::open(&mut sessions).await;
    assert_eq!(
        session.hello.inventory[0].state,
        HeldState::Finished(report)
    );
    assert_eq!(master.log(a, |log| log.end.is_some()).await.bytes, b"out\n");
    drop(worker);
}

#[tokio::test]
async fn a_torn_journal_costs_only_its_last_line() {
    let data = tempfile::tempdir().unwrap();
    let a = attempt(1);
    journal(
        data.path(),
        &[accepted(a, BootId::from_uuid(Uuid::from_u128(1)))],
    );
    let path = data.path().join("journal");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(b"0badc0de {\"accep").unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let session = Session::next(&mut sessions).await;
    assert_eq!(session.hello.inventory.len(), 1);
    drop(worker);
}

#[tokio::test]
async fn two_workers_never_share_a_data_directory() {
    let data = tempfile::tempdir().unwrap();
    let (master, _sessions) = Master::new();
    let first = start(data.path(), &master).await;
    let error = Worker::start(config(data.path(), &master))
        .await
        .unwrap_err();
    assert!(matches!(error, StartWorkerError::Lock(_)), "{error}");
    assert!(error.to_string().contains("another worker uses"), "{error}");
    first.shutdown(ShutdownMode::Stop).await;
    within(first.wait()).await;
    start(data.path(), &master).await;
}
