//! A worker runs what it is assigned, once, and reports it.

use crate::support::{Master, Session, assignment, attempt, config, start, within, worker_id};
use jobyard_core::{
    Assignment, ExecutorSpec, Exit, HeldState, JobSpec, LogEnd, MasterMessage, Outcome,
    StartFailure, WorkerMessage,
};
use jobyard_worker::agent::ShutdownMode;

#[tokio::test]
async fn run_a_job_and_report_it_with_its_output() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let mut config = config(data.path(), &master);
    config
        .env
        .insert("MINE".to_owned(), "of the worker".to_owned());
    let worker = jobyard_worker::Worker::start(config).await.unwrap();
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    let script = "echo $JOBYARD_JOB_ID $JOBYARD_ATTEMPT $JOBYARD_WORKER_ID $JOBYARD_WORKER_NAME \
                  $JOBYARD_QUEUE $CI $MINE $KEPT; exit 7";
    let mut assignment = assignment(a, script);
    assignment
        .env
        .insert("MINE".to_owned(), "of the master".to_owned());
    assignment.env.insert("KEPT".to_owned(), "kept".to_owned());
    session.say(MasterMessage::Assign(assignment)).await;
    assert!(session.started(a).await > 1);
    let report = session.finished(a).await;
    assert_eq!(
        report.outcome,
        Outcome::Failed {
            exit: Exit::Exited(7)
        }
    );
    let wanted = format!(
        "{} 1 {} builder default true of the worker kept\n",
        a.job,
        worker_id()
    );
    let end = LogEnd {
        bytes: wanted.len() as u64,
        dropped: 0,
    };
    assert_eq!(report.log, end);
    let log = master.log(a, |log| log.end.is_some()).await;
    assert_eq!(
        (String::from_utf8(log.bytes).unwrap(), log.end),
        (wanted, Some(end))
    );
    session.forget(a).await;
    worker.shutdown(ShutdownMode::Stop).await;
    session.left().await;
    within(worker.wait()).await;
}

#[tokio::test]
async fn an_attempt_without_output_opens_no_upload() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let (silent, loud) = (attempt(1), attempt(2));
    for (attempt, script) in [(silent, "true"), (loud, "echo x")] {
        session.assign(attempt, script).await;
        session.started(attempt).await;
        assert_eq!(session.finished(attempt).await.outcome, Outcome::Succeeded);
    }
    master.log(loud, |log| log.end.is_some()).await;
    assert_eq!(master.logs(), 1);
    drop(worker);
}

#[tokio::test]
async fn the_same_assignment_twice_runs_once() {
    let data = tempfile::tempdir().unwrap();
    let marks = data.path().join("marks");
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    let script = format!("echo run >> {}", marks.display());
    session.assign(a, &script).await;
    session.assign(a, &script).await;
    session.started(a).await;
    session.finished(a).await;
    session.assign(a, &script).await;
    session.finished(a).await;
    drop(session);
    let mut session = Session::next(&mut sessions).await;
    assert!(matches!(
        session.hello.inventory[0].state,
        HeldState::Finished(_)
    ));
    session.welcome(Vec::new()).await;
    session.assign(a, &script).await;
    session.finished(a).await;
    session.forget(a).await;
    session.assign(a, &script).await;
    assert!(matches!(
        session.hear().await,
        WorkerMessage::Declined { .. }
    ));
    assert_eq!(std::fs::read_to_string(marks).unwrap(), "run\n");
    drop(worker);
}

#[tokio::test]
async fn a_job_for_an_executor_that_is_not_here_says_so_in_its_output() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    assert!(
        session
            .hello
            .tags
            .contains(&"executor=process".parse().unwrap())
    );
    let a = attempt(1);
    let spec = JobSpec::new(ExecutorSpec::new("container", "{}"))
        .validate()
        .unwrap();
    session
        .say(MasterMessage::Assign(Assignment::new(a, spec)))
        .await;
    let report = session.finished(a).await;
    assert_eq!(
        report.outcome,
        Outcome::StartFailed {
            cause: StartFailure::BadConfig
        }
    );
    let log = master.log(a, |log| log.end.is_some()).await;
    assert!(
        String::from_utf8(log.bytes)
            .unwrap()
            .contains("no executor named container")
    );
    drop(worker);
}

#[tokio::test]
async fn nothing_of_an_attempt_stays_once_it_is_forgotten() {
    let data = tempfile::tempdir().unwrap();
    let (master, mut sessions) = Master::new();
    let worker = start(data.path(), &master).await;
    let mut session = Session::open(&mut sessions).await;
    let a = attempt(1);
    session.assign(a, "echo x; touch file").await;
    session.started(a).await;
    session.finished(a).await;
    master.log(a, |log| log.end.is_some()).await;
    session.forget(a).await;
    worker.shutdown(ShutdownMode::Stop).await;
    within(worker.wait()).await;
    // A second life finds nothing to tell, and has deleted what the first may have left to its background.
    let worker = start(data.path(), &master).await;
    let session = Session::next(&mut sessions).await;
    assert_eq!(session.hello.inventory, []);
    for dir in ["spool", "scratch"] {
        let left = std::fs::read_dir(data.path().join(dir)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{dir}");
    }
    drop(worker);
}
