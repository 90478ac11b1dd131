//! What comes from a peer that means no good: nothing panics, and what is outside the limits is refused by name.

use jobyard_core::*;
use proptest::prelude::*;
use prost::Message;

use super::{InvalidMessage, QueuePage};
use crate::generated::v1;

/// Decodes and checks; neither may panic.
fn try_read<W, C>(bytes: &[u8])
where
    W: Message + Default,
    C: TryFrom<W, Error = InvalidMessage>,
{
    if let Ok(wire) = W::decode(bytes) {
        let _ = C::try_from(wire);
    }
}

fn try_all(bytes: &[u8]) {
    try_read::<v1::Hello, Hello>(bytes);
    try_read::<v1::WorkerFrame, Vec<WorkerMessage>>(bytes);
    try_read::<v1::MasterFrame, Vec<MasterMessage>>(bytes);
    try_read::<v1::UploadFrame, UploadFrame>(bytes);
    try_read::<v1::UploadAnswer, UploadAnswer>(bytes);
    try_read::<v1::EnrollRequest, EnrolRequest>(bytes);
    try_read::<v1::EnrollResponse, Enrolled>(bytes);
    try_read::<v1::NewJob, NewJob>(bytes);
    try_read::<v1::ListJobsRequest, JobQuery>(bytes);
    try_read::<v1::ListJobsResponse, JobPage>(bytes);
    try_read::<v1::LogsRequest, LogQuery>(bytes);
    try_read::<v1::LogsResponse, Vec<LogItem>>(bytes);
    try_read::<v1::Explanation, Explanation>(bytes);
    try_read::<v1::Worker, Worker>(bytes);
    try_read::<v1::SetQueueRequest, (String, QueueChange)>(bytes);
    try_read::<v1::ListQueuesResponse, QueuePage>(bytes);
    try_read::<v1::CreateTokenRequest, NewToken>(bytes);
    try_read::<v1::CreateTokenResponse, CreatedToken>(bytes);
    try_read::<v1::StatusResponse, MasterStatus>(bytes);
    try_read::<v1::AuditResponse, AuditPage>(bytes);
    try_read::<v1::EventsResponse, Vec<Event>>(bytes);
    try_read::<v1::SetWorkerRequest, (String, WorkerCommand)>(bytes);
    try_read::<v1::AttemptReport, AttemptReport>(bytes);
    try_read::<v1::Outcome, Outcome>(bytes);
    if let Ok(detail) = v1::ErrorDetail::decode(bytes) {
        let _ = super::refusal(detail.clone());
        let _ = super::control_error(detail);
    }
}

/// The recorded messages: a start that gets deeper than random bytes do.
fn recorded() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "bin"))
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        try_all(&bytes);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        file in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let files = recorded();
        let mut bytes = files[file.index(files.len())].clone();
        if !bytes.is_empty() {
            for (place, byte) in places {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        try_all(&bytes);
    }
}

fn attempt() -> v1::AttemptId {
    v1::AttemptId {
        job: super::id_bytes(uuid::Uuid::from_u128(1)),
        number: 1,
    }
}

fn refused<W, C>(wire: W, field: &str)
where
    C: TryFrom<W, Error = InvalidMessage>,
{
    match C::try_from(wire) {
        Ok(_) => panic!("{field} is outside its limits"),
        Err(error) => assert_eq!(error.field, field, "{error}"),
    }
}

#[test]
fn attempts_without_a_sound_id_are_refused() {
    let mut zero = attempt();
    zero.number = 0;
    refused::<_, AttemptId>(zero, "number");
    let mut short = attempt();
    short.job = bytes::Bytes::from_static(b"short");
    refused::<_, AttemptId>(short, "job");
}

#[test]
fn frames_with_too_many_or_no_messages_are_refused() {
    let heartbeat = v1::WorkerMessage {
        kind: Some(v1::worker_message::Kind::Heartbeat(v1::Nothing {})),
        complaints: None,
    };
    let frame = |number| v1::WorkerFrame {
        open: None,
        messages: vec![heartbeat.clone(); number],
    };
    refused::<_, Vec<WorkerMessage>>(frame(MAX_FRAME_MESSAGES + 1), "messages");
    refused::<_, Vec<WorkerMessage>>(frame(0), "messages");
    let unknown = v1::WorkerFrame {
        open: None,
        messages: vec![v1::WorkerMessage::default()],
    };
    refused::<_, Vec<WorkerMessage>>(unknown, "messages[0].kind");
}

#[test]
fn chunks_outside_their_limits_are_refused() {
    let chunk = |offset, bytes| v1::LogChunk {
        offset,
        stream: v1::OutputStream::Stdout.into(),
        at_us: i64::MIN,
        data: vec![0; bytes].into(),
    };
    refused::<_, LogChunk>(chunk(0, 0), "data");
    refused::<_, LogChunk>(chunk(0, MAX_CHUNK_BYTES + 1), "data");
    refused::<_, LogChunk>(chunk(u64::MAX, 1), "offset");
    let mut unknown = chunk(0, 1);
    unknown.stream = 9;
    refused::<_, LogChunk>(unknown, "stream");
}

#[test]
fn held_attempt_with_the_report_of_another_is_refused() {
    let mut other = attempt();
    other.number = 2;
    let done = v1::Outcome {
        kind: Some(v1::outcome::Kind::Succeeded(v1::Nothing {})),
        ..v1::Outcome::default()
    };
    let report = v1::AttemptReport {
        attempt: Some(other),
        outcome: Some(done),
        log: Some(v1::LogEnd::default()),
        residue: Some(v1::Residue::default()),
        ..v1::AttemptReport::default()
    };
    let held = v1::Held {
        attempt: Some(attempt()),
        state: Some(v1::held::State::Finished(report)),
    };
    refused::<_, Held>(held, "finished.attempt");
}

#[test]
fn specs_are_checked_anew() {
    let spec = JobSpec::new(ExecutorSpec::new("process", "{}"));
    let valid = spec.validate().unwrap();
    let changed = |change: fn(&mut v1::JobSpec)| {
        let mut wire = v1::JobSpec::from(&valid);
        change(&mut wire);
        ValidSpec::try_from(wire)
            .expect_err("it is outside its limits")
            .to_string()
    };
    assert!(changed(|spec| spec.slots = 0).contains("slots"));
    assert!(changed(|spec| spec.grace_ms = u64::MAX).contains("grace"));
    let term = |spec: &mut v1::JobSpec| spec.requirements = vec!["!x=y".to_owned()];
    assert!(changed(term).contains("requirements[0]"));
    let twice = |spec: &mut v1::JobSpec| {
        let entry = v1::Entry {
            key: "k".to_owned(),
            value: String::new(),
        };
        spec.labels = vec![entry.clone(), entry];
    };
    assert!(changed(twice).contains("labels"));
}

fn preference(tag: &str, weight: u32) -> v1::Preference {
    v1::Preference {
        tag: tag.to_owned(),
        weight,
    }
}

fn named(counts: &[(&str, u64)]) -> v1::Amounts {
    let count = |(key, value): &(&str, u64)| v1::Count {
        key: (*key).to_owned(),
        value: *value,
    };
    v1::Amounts {
        counts: counts.iter().map(count).collect(),
        ..v1::Amounts::default()
    }
}

/// Amounts that are refused, and where.
fn bad_amounts() -> Vec<(v1::Amounts, &'static str)> {
    let names: Vec<_> = (0..=MAX_NAMED_RESOURCES)
        .map(|at| format!("r{at}"))
        .collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let amounts = |cpu_millis, memory_bytes| v1::Amounts {
        cpu_millis,
        memory_bytes,
        counts: Vec::new(),
    };
    vec![
        (named(&[("cpu", 1)]), ""),
        (named(&[("slots", 1)]), ""),
        (named(&[("GPU", 1)]), ""),
        (named(&[("", 1)]), ""),
        (named(&[("a b", 1)]), ""),
        (named(&[("\u{1b}[2J", 1)]), ""),
        (named(&[("gpu", MAX_AMOUNT + 1)]), ""),
        (named(&[("gpu", 1), ("gpu", 1)]), ".counts"),
        (named(&many), ".counts"),
        (amounts(u64::MAX, 0), ""),
        (amounts(0, MAX_AMOUNT + 1), ""),
    ]
}

#[test]
fn what_a_spec_asks_of_the_order_is_checked() {
    let valid = JobSpec::default().validate().unwrap();
    let refuse = |field: &str, change: &dyn Fn(&mut v1::JobSpec)| {
        let mut wire = v1::JobSpec::from(&valid);
        change(&mut wire);
        let error = ValidSpec::try_from(wire).expect_err(field).to_string();
        assert!(
            error.trim_start_matches(": ").starts_with(field),
            "{field}: {error}"
        );
    };
    for priority in [MAX_PRIORITY + 1, -MAX_PRIORITY - 1, i32::MIN, i32::MAX] {
        refuse("priority", &|spec| spec.priority = priority);
    }
    let long = "x".repeat(MAX_JOB_NAME_BYTES + 1);
    for (key, limit) in [
        ("", 1),
        ("..", 1),
        ("a\nb", 1),
        (long.as_str(), 1),
        ("deploy", 0),
        ("deploy", MAX_GROUP_LIMIT + 1),
    ] {
        let key = key.to_owned();
        let group = v1::Group { key, limit };
        refuse("group", &|spec| spec.group = Some(group.clone()));
    }
    refuse("prefer", &|spec| {
        spec.prefer = vec![preference("ssd", 1); MAX_PREFERENCES + 1];
    });
    refuse("prefer[1].tag", &|spec| {
        spec.prefer = vec![preference("ssd", 1), preference("mem>lots", 1)];
    });
    for weight in [0, MAX_PREFERENCE_WEIGHT + 1] {
        refuse("prefer (weight)", &|spec| {
            spec.prefer = vec![preference("ssd", weight)];
        });
    }
    for (amounts, within) in bad_amounts() {
        refuse(&format!("resources{within}"), &|spec| {
            spec.resources = Some(amounts.clone());
        });
    }
    for millis in [0, u64::MAX] {
        refuse("queue_timeout", &|spec| {
            spec.queue_timeout_ms = Some(millis);
        });
    }
}

#[test]
fn what_a_worker_offers_is_checked() {
    let boot = |number| BootId::from_uuid(uuid::Uuid::from_u128(number));
    let facts = WorkerFacts::default();
    let hello = v1::Hello::from(Hello::new(boot(1), boot(2), facts, TagSet::new(), 1));
    for (amounts, within) in bad_amounts() {
        let mut wire = hello.clone();
        wire.capacity = Some(amounts);
        refused::<_, Hello>(wire, &format!("capacity{within}"));
    }
    let mut wire = hello.clone();
    wire.slots = MAX_WORKER_SLOTS + 1;
    refused::<_, Hello>(wire, "slots");
    let mut wire = hello.clone();
    wire.exclusive = vec!["gpu".to_owned(), "a b".to_owned()];
    refused::<_, Hello>(wire, "exclusive[1]");
    let mut wire = hello;
    wire.exclusive = vec!["gpu".to_owned(); MAX_TAGS + 1];
    refused::<_, Hello>(wire, "exclusive");
}

#[test]
fn settings_of_queues_outside_their_limits_are_refused() {
    let refuse = |field: &str, change: fn(&mut v1::SetQueueRequest)| {
        let mut wire = super::set_queue_request("ci", QueueChange::default());
        change(&mut wire);
        refused::<_, (String, QueueChange)>(wire, field);
    };
    refuse("queue", |wire| wire.queue.clear());
    refuse("queue", |wire| wire.queue = "../x".to_owned());
    refuse("class", |wire| wire.class = Some(MAX_QUEUE_CLASS + 1));
    refuse("class", |wire| wire.class = Some(i32::MIN));
    refuse("weight", |wire| wire.weight = Some(0));
    refuse("weight", |wire| wire.weight = Some(MAX_QUEUE_WEIGHT + 1));
    let queue = v1::Queue {
        name: "ci".to_owned(),
        weight: 1,
        ..v1::Queue::default()
    };
    let page = |queues, next: Option<&str>| v1::ListQueuesResponse {
        queues,
        next: next.map(str::to_owned),
    };
    refused::<_, QueuePage>(page(vec![queue.clone(); MAX_QUEUES + 1], None), "queues");
    refused::<_, QueuePage>(page(vec![queue.clone()], Some("cd")), "next");
    refused::<_, QueuePage>(page(Vec::new(), Some("")), "next");
    refused::<_, QueuePage>(page(vec![v1::Queue::default()], None), "queues[0].weight");
}

#[test]
fn reasons_outside_their_limits_are_refused() {
    use v1::wait_reason::Kind;

    let refuse = |kind, field: &str| {
        let reason = v1::WaitReason {
            kind: Some(kind),
            ..v1::WaitReason::default()
        };
        refused::<_, WaitReason>(reason, field);
    };
    let nearest = |all_lacks| {
        Kind::Nearest(v1::NearestWorker {
            worker: super::id_bytes(uuid::Uuid::nil()),
            all_lacks,
            ..v1::NearestWorker::default()
        })
    };
    let nothing = v1::Lack { kind: None };
    refuse(nearest(vec![nothing.clone()]), "nearest.all_lacks[0].kind");
    refuse(nearest(vec![nothing; 4096]), "nearest.all_lacks");
    let excluded = v1::Excluded {
        tag: "a|b".to_owned(),
        workers: 1,
    };
    refuse(Kind::Excluded(excluded), "excluded.tag");
    let full = v1::Full {
        name: "\u{1b}[2J".to_owned(),
        ..v1::Full::default()
    };
    refuse(Kind::QueueFull(full.clone()), "queue_full.name");
    refuse(Kind::GroupFull(full), "group_full.name");
    let reserved = v1::ReservedWorker::default();
    refuse(Kind::Reserved(reserved), "reserved.worker");
    let worker = v1::NeededWorker {
        resources: vec![v1::Count::default(); 64],
        ..v1::NeededWorker::default()
    };
    let help = v1::Help {
        kind: Some(v1::help::Kind::Worker(worker)),
    };
    refused::<_, Help>(help, "worker.resources");
}

#[test]
fn limits_outside_their_limits_are_refused() {
    let valid = JobSpec::default().validate().unwrap();
    for change in [
        |limits: &mut v1::Limits| limits.memory = Some(0),
        |limits: &mut v1::Limits| limits.memory = Some(u64::MAX),
        |limits: &mut v1::Limits| limits.cpu = Some(0),
        |limits: &mut v1::Limits| limits.processes = Some(0),
        |limits: &mut v1::Limits| limits.read_rate = Some(1),
        |limits: &mut v1::Limits| limits.write_rate = Some(MAX_LIMIT + 1),
        |limits: &mut v1::Limits| limits.open_files = Some(2),
        |limits: &mut v1::Limits| limits.file_size = Some(MAX_LIMIT + 1),
    ] {
        let mut limits = v1::Limits::default();
        change(&mut limits);
        let mut wire = v1::JobSpec::from(&valid);
        wire.limits = Some(limits);
        let error = ValidSpec::try_from(wire).expect_err("it is outside");
        assert!(error.to_string().contains("limits."), "{error}");
    }
}

#[test]
fn residues_outside_their_limits_are_refused() {
    let process = |bytes| v1::KilledProcess {
        pid: 1,
        name: "x".repeat(bytes),
    };
    let with = |processes| v1::Residue {
        processes,
        ..v1::Residue::default()
    };
    let many = with(vec![process(1); MAX_LISTED_PROCESSES + 1]);
    refused::<_, Residue>(many, "processes");
    let long = with(vec![process(64), process(65)]);
    refused::<_, Residue>(long, "processes[1].name");
    let unenforced = |unenforced| v1::Residue {
        unenforced,
        ..v1::Residue::default()
    };
    refused::<_, Residue>(unenforced(vec![1, 0]), "unenforced");
    refused::<_, Residue>(unenforced(vec![1; 4096]), "unenforced");
}

#[test]
fn a_name_that_a_job_gave_a_process_does_not_end_the_session() {
    let wire = v1::KilledProcess {
        pid: 1,
        name: "\u{1b}]0;x\u{7}\n\0".to_owned(),
    };
    let name = wire.name.clone();
    assert_eq!(
        KilledProcess::try_from(wire),
        Ok(KilledProcess::new(1, name))
    );
}

#[test]
fn complaints_outside_their_limits_are_refused() {
    let complaint = |kind, bytes| v1::Complaint {
        kind,
        text: "x".repeat(bytes),
    };
    for (complaints, within) in [
        (vec![complaint(1, 1); MAX_COMPLAINTS + 1], ""),
        (
            vec![complaint(1, 1), complaint(1, MAX_COMPLAINT_BYTES + 1)],
            "[1].text",
        ),
        (vec![complaint(50, MAX_COMPLAINT_BYTES + 1)], "[0].text"),
        (vec![complaint(0, 1)], "[0].kind"),
    ] {
        let field = format!("complaints{within}");
        let message = v1::WorkerMessage {
            kind: None,
            complaints: Some(v1::Complaints {
                complaints: complaints.clone(),
            }),
        };
        refused::<_, WorkerMessage>(message, &field);
        let said = v1::WorkerComplaints {
            name: "a".to_owned(),
            complaints,
        };
        let reason = |said| v1::WaitReason {
            kind: Some(v1::wait_reason::Kind::Suspended(1)),
            complaining: Some(v1::Complaining { said }),
            ..v1::WaitReason::default()
        };
        let field = format!("complaining.said[0].{field}");
        refused::<_, WaitReason>(reason(vec![said]), &field);
        let many = vec![v1::WorkerComplaints::default(); MAX_COMPLAINING + 1];
        refused::<_, WaitReason>(reason(many), "complaining.said");
    }
    let explanation = v1::Explanation {
        state: v1::JobState::Queued.into(),
        relieve: vec!["\u{1b}[2J".to_owned()],
        ..v1::Explanation::default()
    };
    refused::<_, Explanation>(explanation, "relieve");
}

#[test]
fn spans_do_not_become_zero_on_the_way() {
    use std::time::Duration;

    assert_eq!(super::field::millis(Duration::ZERO), 0);
    assert_eq!(super::field::millis(Duration::from_nanos(1)), 1);
    assert_eq!(super::field::millis(Duration::MAX), u64::MAX);
}

#[test]
fn leases_retries_and_events_outside_their_limits_are_refused() {
    let welcome = |margin_ms| v1::Welcome {
        protocol: Some(v1::Protocol::default()),
        session: super::id_bytes(uuid::Uuid::nil()),
        worker: super::id_bytes(uuid::Uuid::nil()),
        heartbeat_ms: 1,
        lease_ms: 60_000,
        margin_ms,
        ..v1::Welcome::default()
    };
    assert!(Welcome::try_from(welcome(Some(59_999))).is_ok());
    refused::<_, Welcome>(welcome(Some(60_000)), "margin");
    refused::<_, Welcome>(welcome(Some(u64::MAX)), "margin");
    let retry = |after, budget| v1::Retry {
        after,
        outcome: Some(Outcome::Succeeded.into()),
        budget,
    };
    refused::<_, Retry>(retry(0, 2), "after");
    refused::<_, Retry>(retry(1, 0), "budget");
    refused::<_, Retry>(retry(1, 99), "budget");
    let spec = |retry_on: &[u32], on_disconnect| v1::JobSpec {
        executor: "process".to_owned(),
        queue: "a".to_owned(),
        slots: 1,
        retry_on: retry_on.to_vec(),
        on_disconnect,
        ..v1::JobSpec::default()
    };
    assert!(ValidSpec::try_from(spec(&[1, 255, 255], 2)).is_ok());
    refused::<_, ValidSpec>(spec(&[256], 0), "retry_on");
    refused::<_, ValidSpec>(spec(&[], 99), "on_disconnect");
    let zero = ValidSpec::try_from(spec(&[0], 0)).expect_err("it is no failure");
    assert!(zero.to_string().contains("retry_on"), "{zero}");
    let event = |happening: &str| v1::Event {
        seq: 1,
        at_us: 1,
        happening: happening.to_owned(),
    };
    refused::<_, Event>(event(""), "happening");
    refused::<_, Event>(event("{}"), "happening");
    refused::<_, Event>(event(&"[".repeat(10_000)), "happening");
    refused::<_, Event>(event(&" ".repeat(100_000)), "happening");
    let set = |to| v1::SetWorkerRequest {
        worker: "a".to_owned(),
        to,
        deadline_ms: Some(u64::MAX),
    };
    let drain = v1::WorkerCommand::Drain.into();
    refused::<_, (String, WorkerCommand)>(set(drain), "deadline");
    refused::<_, (String, WorkerCommand)>(set(0), "to");
    refused::<_, (String, WorkerCommand)>(set(99), "to");
}
