//! Control over the wire gives what control in process gives.

#![expect(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the test files share a master; each uses a part of it, and a failure there is one of the test"
)]

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use jobyard_core::{
    Admin, AuditQuery, Caller, ControlError, EventQuery, Fleet, JobQuery, JobState, Jobs, LogQuery,
    MAX_QUEUES, NewJob, NewToken, QueueChange, QueueInfo, QueueSettings, RequestId, Role,
    StopOptions, Submitted, WorkerCommand,
};
use jobyard_transport::{ConnectOptions, GrpcControl};
use uuid::Uuid;

use support::control::{
    attempt_id, audit, events, explanation, job, job_id, log_items, queue, spec, status,
    token_info, worker,
};
use support::{Master, soon};

async fn master() -> (Master, GrpcControl) {
    let master = Master::quiet().await;
    let tls = master.authority.client("anna", Role::Operator);
    let control = GrpcControl::new(master.endpoints(), &tls, ConnectOptions::default()).unwrap();
    (master, control)
}

/// Not what the certificate says.
fn liar() -> Caller {
    Caller::new("root", Role::Admin)
}

#[tokio::test]
async fn jobs_travel_both_ways_whole() {
    let (master, control) = master().await;
    let jobs = vec![
        NewJob::new(job_id(1), spec()),
        NewJob::new(job_id(2), spec()),
    ];
    let submitted = soon(control.submit(&liar(), jobs.clone())).await;
    let expected = vec![
        Submitted::new(job_id(1), false),
        Submitted::new(job_id(2), true),
    ];
    assert_eq!(submitted, Ok(expected));
    assert_eq!(master.control.last().1, format!("submit {jobs:?}"));

    assert_eq!(soon(control.job(&liar(), job_id(1))).await, Ok(job()));
    assert_eq!(soon(control.wait(&liar(), job_id(1))).await, Ok(job()));
    assert_eq!(
        soon(control.explain(&liar(), job_id(1))).await,
        Ok(explanation())
    );

    let mut query = JobQuery::default();
    query.state = Some(JobState::Queued);
    query.queue = Some("ci".to_owned());
    query.labels.insert("a".to_owned(), "b".to_owned());
    query.limit = 7;
    query.after = Some(0);
    let page = soon(control.jobs(&liar(), query.clone())).await.unwrap();
    assert_eq!((page.jobs, page.next), (vec![job(), job()], Some(77)));
    assert_eq!(master.control.last().1, format!("jobs {query:?}"));

    let options = StopOptions::new(Some(Duration::from_millis(5)), true);
    let stopped = soon(control.stop(&liar(), job_id(1), options)).await;
    assert_eq!(stopped, Ok(JobState::Stopping));
    assert_eq!(
        master.control.last().1,
        format!("stop {} {options:?}", job_id(1))
    );
}

#[tokio::test]
async fn output_arrives_byte_by_byte_and_ends() {
    let (master, control) = master().await;
    let mut query = LogQuery::new(job_id(1));
    query.attempt = Some(attempt_id().number);
    query.from = 3;
    query.tail = Some(0);
    query.follow = true;
    let items = soon(control.logs(&liar(), query.clone())).await.unwrap();
    assert_eq!(soon(items.collect::<Vec<_>>()).await, log_items());
    assert_eq!(master.control.last().1, format!("logs {query:?}"));
}

#[tokio::test]
async fn workers_and_tokens_travel_whole() {
    let (master, control) = master().await;
    assert_eq!(
        soon(control.workers(&liar(), true)).await,
        Ok(vec![worker()])
    );
    assert_eq!(soon(control.worker(&liar(), "b")).await, Ok(worker()));
    let removed = soon(control.set_worker(&liar(), "b", WorkerCommand::Remove)).await;
    assert_eq!(removed, Ok(worker()));
    assert_eq!(master.control.last().1, "set_worker b Remove");

    let mut token = NewToken::default();
    token.tags = vec!["rust".parse().unwrap()];
    let created = soon(control.create_token(&liar(), token.clone()))
        .await
        .unwrap();
    assert_eq!(created.info, token_info());
    assert_eq!(created.token.expose(), "secret");
    assert_eq!(master.control.last().1, format!("create_token {token:?}"));
    assert_eq!(soon(control.tokens(&liar())).await, Ok(vec![token_info()]));
    assert_eq!(soon(control.revoke_token(&liar(), "t1")).await, Ok(()));
    assert_eq!(master.control.last().1, "revoke_token t1");
}

#[tokio::test]
async fn queues_travel_whole() {
    let (master, control) = master().await;
    assert_eq!(soon(control.queues(&liar())).await, Ok(vec![queue()]));
    let mut change = QueueChange::default();
    for limit in [None, Some(None), Some(Some(0))] {
        change.max_running = limit;
        let set = soon(control.set_queue(&liar(), "ci", change)).await;
        assert_eq!(set, Ok(queue()));
        let (caller, call) = master.control.last();
        assert_eq!(call, format!("set_queue ci {change:?}"));
        assert!(caller.request.is_some(), "it has an id");
        change.class = Some(-2);
        change.weight = Some(7);
    }
}

#[tokio::test]
async fn more_queues_than_one_answer_holds_arrive() {
    let (master, control) = master().await;
    let queue = |at| QueueInfo::new(format!("q{at:06}"), QueueSettings::default());
    let queues: Vec<_> = (0..=MAX_QUEUES).map(queue).collect();
    *master.control.queues.lock().unwrap() = Some(queues.clone());
    let arrived = soon(control.queues(&liar())).await;
    assert!(
        arrived == Ok(queues),
        "each queue arrives once and in order"
    );
    assert_eq!(master.control.calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn change_of_a_queue_outside_its_limits_is_refused_at_the_door() {
    let (master, control) = master().await;
    let mut change = QueueChange::default();
    let named = soon(control.set_queue(&liar(), "../x", change)).await;
    change.weight = Some(0);
    let weighed = soon(control.set_queue(&liar(), "ci", change)).await;
    for (result, expected) in [(named, "queue"), (weighed, "weight")] {
        match result {
            Err(ControlError::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected} is outside its limits, and not {other:?}"),
        }
    }
    assert!(master.control.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn status_and_audit_travel_whole() {
    let (master, control) = master().await;
    assert_eq!(soon(control.status(&liar())).await, Ok(status()));
    let mut query = AuditQuery::default();
    query.after = Some(3);
    assert_eq!(soon(control.audit(&liar(), query)).await, Ok(audit()));
    assert_eq!(master.control.last().1, format!("audit {query:?}"));
}

#[tokio::test]
async fn events_arrive_in_order_and_an_error_comes_last() {
    let (master, control) = master().await;
    let query = EventQuery::new(Some(41), true);
    let stream = soon(control.events(&liar(), query)).await.unwrap();
    let read: Vec<_> = soon(stream.collect()).await;
    assert_eq!(read, events());
    assert_eq!(master.control.last().1, format!("events {query:?}"));
}

#[tokio::test]
async fn a_drain_keeps_its_deadline_and_a_retry_its_id() {
    let (master, control) = master().await;
    let to = WorkerCommand::Drain {
        deadline: Some(Duration::from_millis(1_500)),
    };
    soon(control.set_worker(&liar(), "w", to)).await.unwrap();
    assert!(master.control.last().1.contains("1.5s"));
    let (old, new) = (job_id(1), job_id(2));
    let submitted = soon(control.retry(&liar(), old, new)).await;
    assert_eq!(submitted, Ok(Submitted::new(new, true)));
    assert_eq!(master.control.last().1, format!("retry {old} {new}"));
    assert!(master.control.last().0.request.is_some());
}

#[tokio::test]
async fn caller_is_who_the_certificate_says() {
    let (master, control) = master().await;
    let mut liar = liar();
    liar.request = Some(RequestId::from_uuid(Uuid::from_u128(42)));
    soon(control.revoke_token(&liar, "t")).await.unwrap();
    let (caller, _) = master.control.last();
    assert_eq!(
        (caller.name.as_str(), caller.role),
        ("anna", Role::Operator)
    );
    assert_eq!(caller.request, liar.request);
}

#[tokio::test]
async fn call_that_changes_something_always_has_an_id() {
    let (master, control) = master().await;
    soon(control.submit(&liar(), Vec::new())).await.unwrap();
    let first = master.control.last().0.request.expect("an id");
    soon(control.submit(&liar(), Vec::new())).await.unwrap();
    assert_ne!(master.control.last().0.request, Some(first));
}

#[tokio::test]
async fn every_error_survives_the_way() {
    let (master, control) = master().await;
    let text = || "w\u{e4}re es so\n".to_owned();
    let errors = [
        ControlError::NotFound {
            what: "job",
            id: text(),
        },
        ControlError::AlreadyExists {
            what: "worker",
            id: text(),
        },
        ControlError::Forbidden {
            name: text(),
            role: Role::Submitter,
            needed: text(),
        },
        ControlError::Invalid {
            field: text(),
            problem: text(),
        },
        ControlError::Conflict { problem: text() },
        ControlError::Gone { oldest: 7 },
        ControlError::Exhausted { problem: text() },
        ControlError::Unavailable { problem: text() },
        ControlError::Untrusted { problem: text() },
        ControlError::Internal { problem: text() },
    ];
    for error in errors {
        *master.control.error.lock().unwrap() = Some(error.clone());
        let result = soon(control.revoke_token(&liar(), "t")).await;
        assert_eq!(result, Err(error));
    }
}

/// XR2
#[tokio::test]
async fn submit_that_is_too_large_is_refused_here_and_there() {
    let (master, control) = master().await;
    let mut spec = spec().to_spec();
    spec.executor.config = "x".repeat(jobyard_core::MAX_CONFIG_BYTES);
    let spec = spec.validate().unwrap();
    let jobs = (0..5).map(|number| NewJob::new(job_id(number), spec.clone()));
    let result = soon(control.submit(&liar(), jobs.collect())).await;
    assert!(
        matches!(result, Err(ControlError::Invalid { .. })),
        "{result:?}"
    );
    // The same size in a field that the client does not look at.
    let result = soon(control.worker(&liar(), &"x".repeat(5 << 20))).await;
    assert!(
        matches!(result, Err(ControlError::Invalid { .. })),
        "{result:?}"
    );
    assert!(master.control.calls.lock().unwrap().is_empty());
}
