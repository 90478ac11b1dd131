//! Output reaches the master byte by byte, whatever happens on the way.

use crate::gate::Gate;
use crate::support::{Log, Master, Session, attempt, start};
use jobyard_core::Outcome;

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_mebibytes_arrive_identical() {
    let data = tempfile::tempdir().unwrap();
    let source = data.path().join("random");
    let status = std::process::Command::new("sh")
        .args(["-c", "head -c 10485760 /dev/urandom > \"$0\""])
        .arg(&source)
        .status()
        .unwrap();
    assert!(status.success());
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session
        .assign(a, &format!("cat {}", source.display()))
        .await;
    session.started(a).await;
    let report = session.finished(a).await;
    assert_eq!(
        (report.outcome, report.log.bytes),
        (Outcome::Succeeded, 10 * MIB as u64)
    );
    let log = master.log(a, |log| log.end.is_some()).await;
    assert!(
        log.bytes == std::fs::read(source).unwrap(),
        "other bytes than were written"
    );
    assert_eq!(log.resumed_at, [0]);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_uploads_resume_at_the_offset_that_the_master_has() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    *master.break_after.lock().unwrap() = Some(700 * 1024);
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session.assign(a, "seq 1 400000").await;
    session.started(a).await;
    session.finished(a).await;
    master.log(a, |log| log.resumed_at.len() >= 3).await;
    // The session breaks as well; the next one goes on.
    drop(session);
    *master.break_after.lock().unwrap() = None;
    let mut session = Session::open(&mut sessions).await;
    let log = master.log(a, |log| log.end.is_some()).await;
    let lines: Vec<String> = (1..=400_000).map(|line| line.to_string()).collect();
    let wanted = lines.join("\n") + "\n";
    assert!(log.bytes == wanted.as_bytes(), "{} bytes", log.bytes.len());
    assert!(
        log.resumed_at.windows(2).all(|pair| pair[0] <= pair[1]),
        "{:?}",
        log.resumed_at
    );
    session.forget(a).await;
    drop(worker);
}

#[tokio::test]
async fn output_is_seen_while_it_is_printed() {
    let data = tempfile::tempdir().unwrap();
    let gate = Gate::new(data.path());
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session
        .assign(a, &format!("echo first; {}; echo last", gate.read()))
        .await;
    session.started(a).await;
    // The job waits at the gate until somebody has read its first line.
    let log = master.log(a, |log| !log.bytes.is_empty()).await;
    assert_eq!(log.bytes, b"first\n");
    gate.say("gate\n").await;
    session.finished(a).await;
    let log = master.log(a, |log| log.end.is_some()).await;
    assert_eq!(log.bytes, b"first\ngate\nlast\n");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_master_has_made_durable_is_deleted() {
    const DURABLE: u64 = 9 * MIB as u64;
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    *master.durable_at_most.lock().unwrap() = Some(DURABLE);
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session.assign(a, "head -c 20971520 /dev/zero").await;
    session.started(a).await;
    session.finished(a).await;
    // It has more than it calls durable, and the worker cannot know why.
    let more = |log: &Log| log.bytes.len() as u64 > DURABLE;
    master.log(a, more).await;
    let dir = data.path().join("spool").join(format!("{}.1", a.job));
    let segments = std::fs::read_dir(dir).unwrap().flatten();
    let starts = segments.map(|file| file.file_name().to_str().unwrap().parse::<u64>().unwrap());
    let mut starts: Vec<u64> = starts.collect();
    starts.sort_unstable();
    assert!(starts[0] <= DURABLE, "{starts:?}");
    assert!(
        starts
            .windows(2)
            .all(|pair| pair[1] - pair[0] < 9 * MIB as u64),
        "{starts:?}"
    );

    *master.durable_at_most.lock().unwrap() = None;
    drop(session);
    let _session = Session::open(&mut sessions).await;
    let log = master.log(a, |log| log.end.is_some()).await;
    assert_eq!(log.bytes.len(), 20 * MIB);
    drop(worker);
}
