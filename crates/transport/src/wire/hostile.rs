//! What comes from a peer that means no good: nothing panics, and what is outside the limits is refused by name.

use jobyard_core::*;
use proptest::prelude::*;
use prost::Message;

use super::InvalidMessage;
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
    try_read::<v1::CreateTokenRequest, NewToken>(bytes);
    try_read::<v1::CreateTokenResponse, CreatedToken>(bytes);
    try_read::<v1::StatusResponse, MasterStatus>(bytes);
    try_read::<v1::AuditResponse, AuditPage>(bytes);
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
    };
    let frame = |number| v1::WorkerFrame {
        open: None,
        messages: vec![heartbeat.clone(); number],
    };
    refused::<_, Vec<WorkerMessage>>(frame(MAX_FRAME_MESSAGES + 1), "messages");
    refused::<_, Vec<WorkerMessage>>(frame(0), "messages");
    let unknown = v1::WorkerFrame {
        open: None,
        messages: vec![v1::WorkerMessage { kind: None }],
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
    assert!(changed(|spec| spec.requirements = vec!["!x".to_owned()]).contains("requirements[0]"));
    let twice = |spec: &mut v1::JobSpec| {
        let entry = v1::Entry {
            key: "k".to_owned(),
            value: String::new(),
        };
        spec.labels = vec![entry.clone(), entry];
    };
    assert!(changed(twice).contains("labels"));
}

#[test]
fn spans_do_not_become_zero_on_the_way() {
    use std::time::Duration;

    assert_eq!(super::field::millis(Duration::ZERO), 0);
    assert_eq!(super::field::millis(Duration::from_nanos(1)), 1);
    assert_eq!(super::field::millis(Duration::MAX), u64::MAX);
}
