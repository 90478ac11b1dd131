//! What came with leases that a worker keeps by itself, retries, drains and events. Also how peers of the first release
//! read it.

use std::time::Duration;

use jobyard_core::*;
use prost::Message;

use super::samples::{at, attempt, uuid};
use super::{golden, recorded};
use crate::generated::v1;
use crate::wire::{control_error, master_frames, set_worker_request};

fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command":["deploy"]}"#));
    spec.retries = 3;
    spec.retry_on = [1, 75, 143].into();
    spec.on_disconnect = OnDisconnect::Stop;
    spec.validate().unwrap()
}

const ENDINGS: [(&str, InfraReason, v1::InfraReason); 2] = [
    (
        "outcome_lease_expired",
        InfraReason::LeaseExpired,
        v1::InfraReason::WorkerLost,
    ),
    (
        "outcome_worker_drained",
        InfraReason::WorkerDrained,
        v1::InfraReason::WorkerRemoved,
    ),
];

#[test]
fn jobs_that_are_tried_again() {
    let id = JobId::from_uuid(uuid(0x10));
    golden::<v1::NewJob, _>("new_job_retries", &NewJob::new(id, spec()));
    let mut job = Job::new(id, spec(), 7, at(0), "anna".to_owned());
    let of = JobId::from_uuid(uuid(0x11));
    job.origin = JobOrigin::Retry { of };
    job.retry_at = Some(at(90));
    let worker = WorkerId::from_uuid(uuid(5));
    let mut second = Attempt::new(attempt(2), worker, "builder-1".to_owned(), at(5));
    let outcome = Outcome::of_exit(Exit::Exited(75));
    second.retry = Some(Retry::new(AttemptNumber::FIRST, outcome, RetryBudget::User));
    job.attempts = vec![second];
    golden::<v1::Job, _>("job_retried", &job);
}

#[test]
fn endings_by_a_lease_or_a_drain() {
    for (name, reason, _) in ENDINGS {
        golden::<v1::Outcome, _>(name, &Outcome::Infra { reason });
    }
}

fn orders() -> Vec<MasterMessage> {
    let id = |number| uuid(number);
    let mut welcome = Welcome::new(
        SessionId::from_uuid(id(1)),
        Epoch(3),
        WorkerId::from_uuid(id(5)),
        "builder-1".to_owned(),
        Duration::from_secs(10),
        Duration::from_mins(1),
    );
    welcome.protocol = super::samples::protocol();
    welcome.margin = Duration::from_secs(20);
    welcome.draining = true;
    let stop = |cause| MasterMessage::Stop {
        attempt: attempt(1),
        cause,
        grace: Duration::from_secs(10),
    };
    vec![
        MasterMessage::Welcome(welcome),
        MasterMessage::Draining(true),
        MasterMessage::Draining(false),
        stop(StopCause::Drained),
        stop(StopCause::LeaseExpired),
    ]
}

#[test]
fn a_worker_that_drains() {
    let frame = recorded("master_frame_draining", &master_frames(orders())[0]);
    assert_eq!(Vec::<MasterMessage>::try_from(frame), Ok(orders()));
    let to = WorkerCommand::Drain {
        deadline: Some(Duration::from_mins(5)),
    };
    let wire = recorded(
        "set_worker_request_drain",
        &set_worker_request("builder-1", to),
    );
    let read = <(String, WorkerCommand)>::try_from(wire);
    assert_eq!(read, Ok(("builder-1".to_owned(), to)));
}

#[test]
fn a_reason_to_wait_for_the_next_attempt() {
    let reasons = vec![WaitReason::RetryWait {
        left: Duration::from_millis(7_500),
        after: AttemptNumber::FIRST,
    }];
    let waits = Explanation::waiting(WaitVerdict::NotNow, reasons);
    golden::<v1::Explanation, _>("explanation_retry_wait", &waits);
}

#[test]
fn events() {
    let what = Happening::AttemptFinished {
        job_id: JobId::from_uuid(uuid(0x10)),
        attempt: AttemptNumber::FIRST,
        worker_id: WorkerId::from_uuid(uuid(5)),
        outcome: Outcome::of_exit(Exit::Exited(75)),
    };
    golden::<v1::Event, _>("event", &Event::new(41, at(9), what));
    let query = EventQuery::new(Some(42), true);
    let wire = recorded("events_request", &v1::EventsRequest::from(query));
    assert_eq!(EventQuery::from(wire), query);
    let gone = ControlError::Gone { oldest: 1_000 };
    let wire = recorded("error_detail_gone", &v1::ErrorDetail::from(&gone));
    assert_eq!(control_error(wire), Some(gone));
}

#[test]
fn a_happening_that_is_not_known_yet_is_handed_on() {
    let text = r#"{"kind":"moon_rose","phase":"full"}"#;
    let wire = v1::Event {
        seq: 1,
        at_us: 2,
        happening: text.to_owned(),
    };
    let event = Event::try_from(wire.clone()).unwrap();
    assert!(matches!(&event.what, Happening::Other { kind, .. } if kind == "moon_rose"));
    assert_eq!(v1::Event::from(event), wire);
}

/// What a worker of the first release reads of an order to stop.
#[derive(Clone, PartialEq, Message)]
struct FirstStopOrder {
    #[prost(enumeration = "v1::StopCause", tag = "1")]
    cause: i32,
}

/// What a client of the first release reads of a reason.
#[derive(Clone, PartialEq, Message)]
struct FirstReason {
    #[prost(uint64, optional, tag = "10")]
    behind: Option<u64>,
}

#[test]
fn peers_of_the_first_release_read_the_nearest_that_they_know() {
    for (name, reason, nearest) in ENDINGS {
        let wire = v1::Outcome::from(Outcome::Infra { reason });
        let infra = v1::outcome::Kind::Infra(nearest.into());
        assert_eq!(wire.kind, Some(infra), "{name}");
        let known = InfraReason::try_from(nearest).unwrap();
        let budget = |reason| Outcome::Infra { reason }.rule().budget;
        assert_eq!(budget(reason), budget(known), "{name}");
    }
    for order in &orders()[3..] {
        let wire = v1::MasterMessage::from(order.clone());
        let Some(v1::master_message::Kind::Stop(stop)) = wire.kind else {
            panic!("an order to stop");
        };
        let order = stop.order.unwrap().encode_to_vec();
        let first = FirstStopOrder::decode(&order[..]).unwrap();
        assert_eq!(first.cause(), v1::StopCause::WorkerStopping);
    }
    let wire = v1::WaitReason::from(WaitReason::RetryWait {
        left: Duration::from_secs(1),
        after: AttemptNumber::FIRST,
    });
    let first = FirstReason::decode(&wire.encode_to_vec()[..]).unwrap();
    assert_eq!(first.behind, Some(0));
}
