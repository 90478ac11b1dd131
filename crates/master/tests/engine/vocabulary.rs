//! What tests of the engine speak of: jobs, workers and attempts by their numbers, and what a worker says of them.

use std::time::Duration;

use bytes::Bytes;
use jobyard_core::{
    AttemptId, AttemptNumber, AttemptReport, BootId, ExecutorSpec, Exit, Held, HeldState, Hello,
    JobId, JobOrigin, JobSpec, LogEnd, LogStatus, Outcome, TagSet, Timestamp, WorkerFacts,
    WorkerId,
};
use jobyard_master::engine::Submission;
use jobyard_master::records::{Demand, SpecDigest};
use jobyard_pki::{JoinToken, RootPin, SpkiHash, TOKEN_ENTROPY_BYTES};
use uuid::Uuid;

pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The shortest time that a clock can tell.
pub(crate) const MOMENT: Duration = Duration::from_micros(1);

pub(crate) const fn just_before(time: Duration) -> Duration {
    time.saturating_sub(MOMENT)
}

pub(crate) const fn job(n: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(n))
}

pub(crate) const fn worker(n: u128) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(0x1000 + n))
}

pub(crate) const fn boot(n: u128) -> BootId {
    BootId::from_uuid(Uuid::from_u128(0x2000 + n))
}

pub(crate) fn attempt(n: u128, number: u32) -> AttemptId {
    AttemptId::new(job(n), AttemptNumber::new(number).expect("from 1"))
}

pub(crate) fn name(n: u128) -> String {
    format!("worker-{n}")
}

pub(crate) const fn infra(reason: jobyard_core::InfraReason) -> Outcome {
    Outcome::Infra { reason }
}

pub(crate) const fn exit(code: i32) -> Outcome {
    Outcome::of_exit(Exit::Exited(code))
}

/// An attempt that said so many bytes.
pub(crate) fn report(attempt: AttemptId, outcome: Outcome, bytes: u64) -> AttemptReport {
    let mut report = AttemptReport::new(attempt, outcome, Timestamp::from_micros(77));
    report.log = LogEnd { bytes, dropped: 0 };
    report
}

pub(crate) const fn complete(bytes: u64) -> LogStatus {
    LogStatus::sealed(bytes, LogEnd { bytes, dropped: 0 })
}

/// What was lost after these bytes.
pub(crate) const fn lost_from(bytes: u64) -> LogStatus {
    LogStatus::sealed(
        bytes,
        LogEnd {
            bytes: u64::MAX,
            dropped: 0,
        },
    )
}

pub(crate) fn running(attempt: AttemptId) -> Held {
    let started_at = Timestamp::from_micros(55);
    Held::new(
        attempt,
        HeldState::Running {
            pid: Some(4),
            started_at,
        },
    )
}

pub(crate) fn accepted(attempt: AttemptId) -> Held {
    Held::new(attempt, HeldState::Accepted)
}

pub(crate) fn ended(report: AttemptReport) -> Held {
    Held::new(report.attempt, HeldState::Finished(report))
}

pub(crate) fn hello(slots: u32, inventory: Vec<Held>) -> Hello {
    let mut tags = TagSet::new();
    tags.insert("executor=process".parse().expect("a tag"))
        .expect("room");
    let mut hello = Hello::new(boot(1), boot(2), WorkerFacts::default(), tags, slots);
    hello.inventory = inventory;
    hello
}

pub(crate) fn draft(text: &str) -> JobSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", text));
    spec.grace = GRACE;
    spec
}

pub(crate) fn submission(n: u128, spec: JobSpec) -> Submission {
    let spec = spec.validate().expect("a valid spec");
    let spec_json = serde_json::to_vec(&spec).expect("JSON");
    Submission {
        id: job(n),
        demand: Demand::of(&spec),
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        digest: SpecDigest(String::from_utf8_lossy(&spec_json).into_owned()),
        spec_json: Bytes::from(spec_json),
        origin: JobOrigin::Manual,
        known: None,
    }
}

/// A token that this number determines.
pub(crate) fn token(seed: u8) -> JoinToken {
    JoinToken::from_entropy(
        vec![RootPin::from_bytes([3; 32])],
        &[seed; TOKEN_ENTROPY_BYTES],
    )
    .expect("a token")
}

pub(crate) const fn key(n: u8) -> SpkiHash {
    SpkiHash::from_bytes([n; 32])
}
