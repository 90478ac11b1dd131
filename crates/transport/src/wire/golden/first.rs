//! The frames of the first release.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jobyard_core::*;

use super::samples::{at, attempt, facts, protocol, residue, tags, uuid};
use super::{golden, recorded};
use crate::generated::v1;
use crate::wire::{control_error, id_bytes, master_frames, refusal, stop_request, worker_frames};

fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new(
        "process",
        r#"{"command":["make","test"]}"#,
    ));
    spec.name = Some("unit tests".to_owned());
    spec.requirements = vec!["os=linux|darwin".parse().unwrap(), "rust".parse().unwrap()];
    spec.worker = Some("builder-1".to_owned());
    spec.queue = "ci".to_owned();
    spec.resources.slots = 2;
    spec.timeout = Some(Duration::from_mins(10));
    spec.grace = Duration::from_millis(2_500);
    spec.infra_retries = 5;
    spec.repeatable = true;
    spec.labels = BTreeMap::from([("branch".to_owned(), "main".to_owned())]);
    spec.log_limit = 64 << 20;
    spec.merge = true;
    spec.validate().unwrap()
}

fn report(number: u32, outcome: Outcome) -> AttemptReport {
    let mut report = AttemptReport::new(attempt(number), outcome, at(9_000_000));
    report.started_at = Some(at(1_000_000));
    report.log = LogEnd {
        bytes: 4_096,
        dropped: 17,
    };
    report.residue = residue();
    report
}

fn outcomes() -> Vec<Outcome> {
    let exits = [Some(Exit::Exited(3)), Some(Exit::Signaled(15)), None];
    let mut outcomes = vec![
        Outcome::Succeeded,
        Outcome::Failed {
            exit: Exit::Exited(-1),
        },
        Outcome::Failed {
            exit: Exit::Signaled(9),
        },
    ];
    outcomes.extend(exits.map(|exit| Outcome::TimedOut { exit }));
    outcomes.extend(exits.map(|exit| Outcome::Cancelled { exit }));
    let causes = [
        StartFailure::NotFound,
        StartFailure::NotExecutable,
        StartFailure::BadDirectory,
        StartFailure::ArgumentsTooLong,
        StartFailure::BadConfig,
    ];
    outcomes.extend(causes.map(|cause| Outcome::StartFailed { cause }));
    let reasons = [
        InfraReason::WorkerLost,
        InfraReason::WorkerRestarted,
        InfraReason::NeverStarted,
        InfraReason::WorkerRemoved,
        InfraReason::NoResources,
        InfraReason::WorkerFault,
        InfraReason::Forced,
    ];
    outcomes.extend(reasons.map(|reason| Outcome::Infra { reason }));
    outcomes
}

#[test]
fn opening_of_a_session() {
    let boot = |number| BootId::from_uuid(uuid(number));
    let mut hello = Hello::new(boot(1), boot(2), facts(), tags(), 16);
    hello.protocol = protocol();
    hello.accepting = true;
    hello.max_epoch = Epoch(41);
    hello.inventory = vec![
        Held::new(attempt(1), HeldState::Accepted),
        Held::new(
            attempt(2),
            HeldState::Running {
                pid: Some(4242),
                started_at: at(5),
            },
        ),
        Held::new(
            attempt(3),
            HeldState::Finished(report(3, Outcome::Succeeded)),
        ),
    ];
    let frame = v1::WorkerFrame {
        open: Some(v1::OpenSession {
            hello: Some(hello.clone().into()),
            link: id_bytes(uuid(3)),
        }),
        messages: Vec::new(),
    };
    let open = recorded("worker_frame_open", &frame).open.unwrap();
    assert_eq!(Hello::try_from(open.hello.unwrap()), Ok(hello));
    assert_eq!(open.link, id_bytes(uuid(3)));
}

#[test]
fn messages_of_a_worker() {
    let mut messages = vec![
        WorkerMessage::Heartbeat,
        WorkerMessage::Started {
            attempt: attempt(1),
            pid: Some(4242),
            at: at(5),
        },
        WorkerMessage::Accepting(true),
    ];
    let reports = (1..).zip(outcomes());
    messages.extend(reports.map(|(number, it)| WorkerMessage::Finished(report(number, it))));
    let reasons = [
        DeclineReason::Stopping,
        DeclineReason::Full,
        DeclineReason::Stale,
        DeclineReason::JournalFailed,
    ];
    messages.extend(reasons.map(|reason| WorkerMessage::Declined {
        attempt: attempt(9),
        reason,
    }));
    let frames = worker_frames(messages.clone());
    assert_eq!(frames.len(), 1);
    let frame = recorded("worker_frame_messages", &frames[0]);
    assert_eq!(Vec::<WorkerMessage>::try_from(frame), Ok(messages));
}

#[test]
fn messages_of_a_master() {
    let mut welcome = Welcome::new(
        SessionId::from_uuid(uuid(4)),
        Epoch(42),
        WorkerId::from_uuid(uuid(5)),
        "builder-1".to_owned(),
        Duration::from_secs(5),
        Duration::from_secs(15),
    );
    welcome.protocol = protocol();
    let causes = [
        StopCause::Cancelled,
        StopCause::TimedOut,
        StopCause::WorkerStopping,
    ];
    let grace = Duration::from_millis(1_500);
    welcome.verdicts = vec![(attempt(1), Verdict::Keep), (attempt(2), Verdict::Forget)];
    let stops = causes.map(|cause| (attempt(3), Verdict::Stop { cause, grace }));
    welcome.verdicts.extend(stops);
    let mut assignment = Assignment::new(attempt(1), spec());
    assignment.env = BTreeMap::from([("CACHE".to_owned(), "/var/cache".to_owned())]);
    let mut messages = vec![
        MasterMessage::Welcome(welcome),
        MasterMessage::Heartbeat,
        MasterMessage::Assign(assignment),
        MasterMessage::Forget {
            attempt: attempt(2),
        },
        MasterMessage::Removed,
    ];
    messages.extend(causes.map(|cause| MasterMessage::Stop {
        attempt: attempt(1),
        cause,
        grace,
    }));
    let reasons = [
        ClosingReason::Restarting,
        ClosingReason::Replaced,
        ClosingReason::ProtocolError,
    ];
    messages.extend(reasons.map(MasterMessage::Closing));
    let frames = master_frames(messages.clone());
    assert_eq!(frames.len(), 1);
    let frame = recorded("master_frame", &frames[0]);
    assert_eq!(Vec::<MasterMessage>::try_from(frame), Ok(messages));
}

fn chunk(offset: u64, stream: OutputStream, bytes: &'static [u8]) -> LogChunk {
    LogChunk::new(offset, stream, at(7), Bytes::from_static(bytes))
}

#[test]
fn upload_of_output() {
    let open = v1::UploadFrame {
        kind: Some(v1::upload_frame::Kind::Open(v1::OpenUpload {
            attempt: Some(attempt(2).into()),
            offset: 4_096,
            link: id_bytes(uuid(3)),
        })),
    };
    assert_eq!(recorded("upload_frame_open", &open), open);
    let chunks = vec![
        chunk(4_096, OutputStream::Stdout, b"\0\xffline\n"),
        chunk(4_103, OutputStream::Stderr, b"error"),
    ];
    golden::<v1::UploadFrame, _>("upload_frame_chunks", &UploadFrame::Chunks(chunks));
    let end = LogEnd {
        bytes: 4_108,
        dropped: 1,
    };
    golden::<v1::UploadFrame, _>("upload_frame_end", &UploadFrame::End(end));
    golden::<v1::UploadAnswer, _>("upload_answer_resume_at", &UploadAnswer::ResumeAt(4_000));
    golden::<v1::UploadAnswer, _>("upload_answer_durable", &UploadAnswer::Durable(4_108));
    golden::<v1::UploadAnswer, _>("upload_answer_sealed", &UploadAnswer::Sealed);
}

#[test]
fn enrolment() {
    let request = EnrolRequest::new(
        SecretText::new("example-token"),
        b"\x30\x82csr".to_vec(),
        "builder-1",
        facts(),
    );
    let wire = recorded("enroll_request", &v1::EnrollRequest::from(request.clone()));
    let read = EnrolRequest::try_from(wire).unwrap();
    assert_eq!(read.token.expose(), "example-token");
    assert_eq!(read.certificate_request, request.certificate_request);
    assert_eq!((read.name, read.facts), (request.name, request.facts));
    let enrolled = Enrolled::new(
        WorkerId::from_uuid(uuid(5)),
        "builder-1".to_owned(),
        vec![Bytes::from_static(b"leaf"), Bytes::from_static(b"issuer")],
        vec![Bytes::from_static(b"root")],
    );
    golden::<v1::EnrollResponse, _>("enroll_response", &enrolled);
}

fn job() -> Job {
    let mut job = Job::new(
        JobId::from_uuid(uuid(0x10)),
        spec(),
        7,
        at(0),
        "anna".to_owned(),
    );
    job.state = JobState::Finished;
    job.outcome = Some(Outcome::Succeeded);
    job.finished_at = Some(at(10));
    let states = [
        LogState::Uploading,
        LogState::Complete,
        LogState::LostFrom(12),
    ];
    job.attempts = (1..)
        .zip(states)
        .map(|(number, log)| {
            let worker = WorkerId::from_uuid(uuid(5));
            let mut it = Attempt::new(attempt(number), worker, "builder-1".to_owned(), at(1));
            it.pid = Some(4242);
            it.started_at = Some(at(2));
            it.finished_at = Some(at(9));
            it.outcome = Some(Outcome::Infra {
                reason: InfraReason::WorkerLost,
            });
            it.log_bytes = 12;
            it.log = log;
            it.log_dropped = 3;
            it.residue = Some(residue());
            it
        })
        .collect();
    job
}

#[test]
fn jobs() {
    let id = JobId::from_uuid(uuid(0x10));
    golden::<v1::NewJob, _>("new_job", &NewJob::new(id, spec()));
    golden::<v1::Submitted, _>("submitted", &Submitted::new(id, true));
    golden::<v1::Job, _>("job", &job());
    let mut query = JobQuery::default();
    query.state = Some(JobState::Blocked);
    query.queue = Some("ci".to_owned());
    query.labels = BTreeMap::from([("branch".to_owned(), "main".to_owned())]);
    query.limit = 50;
    query.after = Some(1_000);
    golden::<v1::ListJobsRequest, _>("list_jobs_request", &query);
    golden::<v1::ListJobsResponse, _>("list_jobs_response", &JobPage::new(vec![job()], Some(6)));
    let options = StopOptions::new(Some(Duration::from_secs(3)), true);
    let stop = recorded("stop_job_request", &stop_request(id, options));
    assert_eq!(StopOptions::try_from(stop), Ok(options));
}

#[test]
fn output_for_followers() {
    let mut query = LogQuery::new(JobId::from_uuid(uuid(0x10)));
    query.attempt = Some(attempt(2).number);
    query.from = 4_096;
    query.tail = Some(100);
    query.follow = true;
    golden::<v1::LogsRequest, _>("logs_request", &query);
    let mut log = LogStatus::open(12);
    log.state = LogState::LostFrom(12);
    log.dropped = 3;
    let items = vec![
        LogItem::Chunk {
            attempt: attempt(2),
            chunk: chunk(0, OutputStream::Stderr, b"text"),
        },
        LogItem::AttemptEnd {
            attempt: attempt(2),
            log,
        },
        LogItem::End {
            outcome: Some(Outcome::Succeeded),
        },
    ];
    let wire = recorded("logs_response", &v1::LogsResponse::from(items.clone()));
    assert_eq!(Vec::<LogItem>::try_from(wire), Ok(items));
}

#[test]
fn where_output_for_followers_begins() {
    let begin = LogItem::Begin {
        attempt: attempt(2),
        from: 4_096,
    };
    let text = LogItem::Chunk {
        attempt: attempt(2),
        chunk: chunk(4_096, OutputStream::Stdout, b"text"),
    };
    for (name, items) in [
        ("logs_response_begin", vec![begin.clone()]),
        ("logs_response_begin_and_text", vec![begin, text]),
    ] {
        let wire = recorded(name, &v1::LogsResponse::from(items.clone()));
        assert_eq!(Vec::<LogItem>::try_from(wire), Ok(items));
    }
}

/// A client of the first release reads the items, which it knows, and nothing else.
#[test]
fn where_output_begins_is_nothing_to_earlier_clients() {
    let begin = LogItem::Begin {
        attempt: attempt(2),
        from: 4_096,
    };
    assert!(v1::LogsResponse::from(vec![begin]).items.is_empty());
}

#[test]
fn explanations() {
    let requirement: Requirement = "gpu=a100|h100".parse().unwrap();
    let reasons = vec![
        WaitReason::NoWorkers,
        WaitReason::FleetUnknown,
        WaitReason::RequirementUnmet {
            requirement: requirement.clone(),
            failing: 3,
            workers: 4,
        },
        WaitReason::NamedWorkerUnknown {
            worker: "builder-9".to_owned(),
        },
        WaitReason::TooMuch {
            resource: "slots".to_owned(),
            asked: 64,
            largest: 16,
        },
        WaitReason::Nearest {
            worker: WorkerId::from_uuid(uuid(5)),
            name: "builder-1".to_owned(),
            lacks: vec![Lack::Requirement { requirement }],
        },
        WaitReason::Silent { workers: 1 },
        WaitReason::Suspended { workers: 2 },
        WaitReason::Busy { workers: 3 },
        WaitReason::Behind { jobs: 1_000 },
    ];
    let waiting = Explanation::waiting(WaitVerdict::NotNow, reasons);
    golden::<v1::Explanation, _>("explanation", &waiting);
    let running = Explanation::not_waiting(JobState::Running);
    golden::<v1::Explanation, _>("explanation_running", &running);
}

#[test]
fn workers_and_tokens() {
    let mut worker = Worker::new(WorkerId::from_uuid(uuid(5)), "builder-1".to_owned(), at(0));
    worker.admin = AdminState::Draining;
    worker.contact = Contact::Connected;
    worker.facts = facts();
    worker.address = "192.0.2.1:50000".to_owned();
    worker.tags = tags();
    worker.capacity.slots = 16;
    worker.used.slots = 3;
    worker.attempts = vec![attempt(1), attempt(2)];
    worker.env = BTreeMap::from([("CACHE".to_owned(), "/var/cache".to_owned())]);
    worker.last_contact = Some(at(3));
    golden::<v1::Worker, _>("worker", &worker);
    let mut token = NewToken::default();
    token.uses = 10;
    token.ttl = Duration::from_hours(1);
    token.tags = vec!["rust".parse().unwrap()];
    golden::<v1::CreateTokenRequest, _>("create_token_request", &token);
    let mut info = TokenInfo::new("ab12".to_owned(), at(0), at(1), 9);
    info.revoked = true;
    info.tags = token.tags;
    golden::<v1::TokenInfo, _>("token_info", &info);
}

#[test]
fn status_and_audit() {
    let mut status = MasterStatus::default();
    status.name = "ci".to_owned();
    status.version = "0.1.0".to_owned();
    status.epoch = Epoch(42);
    status.started_at = at(0);
    status.listen = Some("192.0.2.1:7411".parse().unwrap());
    status.store = "sqlite:/var/lib/jobyard".to_owned();
    status.workers = BTreeMap::from([("active".to_owned(), 2)]);
    status.jobs = BTreeMap::from([("queued".to_owned(), 5)]);
    status.queues = BTreeMap::from([("ci".to_owned(), 5)]);
    status.finished = 1_000;
    status.logs = LogUsage::new(10, 1 << 30);
    golden::<v1::StatusResponse, _>("status_response", &status);
    let mut query = AuditQuery::default();
    query.limit = 10;
    query.after = Some(99);
    golden::<v1::AuditRequest, _>("audit_request", &query);
    let mut entry = AuditEntry::new(at(0), "anna", "token.create", "ab12", "ok");
    entry.seq = 98;
    golden::<v1::AuditResponse, _>("audit_response", &AuditPage::new(vec![entry], Some(98)));
}

#[test]
fn errors() {
    let mut refused = Refusal::new(RefusalReason::Exhausted, "too much at once");
    refused.retry_after = Some(Duration::from_millis(1_500));
    let wire = recorded("error_detail_refusal", &v1::ErrorDetail::from(&refused));
    assert_eq!(refusal(wire), Some(refused));
    let forbidden = ControlError::Forbidden {
        name: "anna".to_owned(),
        role: Role::Viewer,
        needed: "submitter".to_owned(),
    };
    let wire = recorded("error_detail_forbidden", &v1::ErrorDetail::from(&forbidden));
    assert_eq!(control_error(wire), Some(forbidden));
    let missing = ControlError::no_job(JobId::from_uuid(uuid(0x10)));
    let wire = recorded("error_detail_not_found", &v1::ErrorDetail::from(&missing));
    assert_eq!(control_error(wire), Some(missing));
    let invalid = ControlError::invalid("jobs[0].spec", "slots: 0 is not between 1 and 4096");
    let wire = recorded("error_detail_invalid", &v1::ErrorDetail::from(&invalid));
    assert_eq!(control_error(wire), Some(invalid));
}
