//! What came with limits: what attempts used and left behind, endings that name a limit, and workers that complain. Also
//! how peers of the first release read it.

use jobyard_core::*;
use prost::Message;

use super::samples::{at, attempt, facts, tags, uuid};
use super::{golden, recorded};
use crate::generated::v1;
use crate::wire::worker_frames;

fn limits() -> Limits {
    let mut limits = Limits::NONE;
    limits.memory = Some(512 << 20);
    limits.cpu = Some(1_500);
    limits.processes = Some(100);
    limits.read_rate = Some(10 << 20);
    limits.write_rate = Some(4_096);
    limits.open_files = Some(1_024);
    limits.file_size = Some(0);
    limits
}

fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command":["make"]}"#));
    spec.limits = limits();
    spec.validate().unwrap()
}

fn residue() -> Residue {
    let mut usage = Usage::default();
    usage.user_micros = 1_234_567;
    usage.system_micros = 89_000;
    usage.peak_memory_bytes = Some(300 << 20);
    usage.written_bytes = Some(0);
    let mut residue = Residue::default();
    residue.killed = 40;
    residue.processes = vec![
        KilledProcess::new(4_711, "sleep".to_owned()),
        KilledProcess::new(4_712, "\u{1b}[2J\n".to_owned()),
    ];
    residue.limit_hit = Some(LimitKind::Memory);
    residue.unenforced = vec![LimitKind::ReadRate, LimitKind::WriteRate];
    residue.usage = Some(usage);
    residue.output_held_open = true;
    residue
}

fn complaints() -> Vec<Complaint> {
    vec![
        Complaint::new(ComplaintKind::Disk, "1.2 GiB left of the 5 GiB wanted"),
        Complaint::new(ComplaintKind::Memory, "2 % left"),
        Complaint::new(ComplaintKind::Load, "31 on 8 cores"),
        Complaint::new(ComplaintKind::Tainted, "process 77 could not be killed"),
    ]
}

const ENDINGS: [(&str, Outcome); 3] = [
    (
        "outcome_out_of_memory",
        Outcome::OutOfMemory {
            exit: Exit::Signaled(9),
        },
    ),
    (
        "outcome_process_limit",
        Outcome::ProcessLimit {
            exit: Exit::Exited(254),
        },
    ),
    (
        "outcome_limit_not_enforceable",
        Outcome::Infra {
            reason: InfraReason::LimitNotEnforceable,
        },
    ),
];

#[test]
fn jobs_with_limits() {
    let id = JobId::from_uuid(uuid(0x10));
    golden::<v1::NewJob, _>("new_job_limits", &NewJob::new(id, spec()));
}

#[test]
fn endings_that_name_a_limit() {
    for (name, outcome) in ENDINGS {
        golden::<v1::Outcome, _>(name, &outcome);
    }
}

#[test]
fn what_attempts_used_and_left_behind() {
    let (_, outcome) = ENDINGS[0];
    let mut report = AttemptReport::new(attempt(1), outcome, at(9));
    report.residue = residue();
    golden::<v1::AttemptReport, _>("attempt_report_residue", &report);
}

#[test]
fn workers_that_complain() {
    for (name, said) in [
        ("worker_frame_complaints", complaints()),
        ("worker_frame_no_complaints", Vec::new()),
    ] {
        let messages = vec![WorkerMessage::Complaints(said)];
        let frame = recorded(name, &worker_frames(messages.clone())[0]);
        assert_eq!(Vec::<WorkerMessage>::try_from(frame), Ok(messages));
    }
    let mut worker = Worker::new(WorkerId::from_uuid(uuid(5)), "builder-1".to_owned(), at(0));
    worker.complaints = complaints();
    golden::<v1::Worker, _>("worker_complaints", &worker);
}

fn explanation() -> Explanation {
    let said = vec![
        WorkerComplaints::new("builder-1".to_owned(), complaints()),
        WorkerComplaints::new("builder-2".to_owned(), Vec::new()),
    ];
    let reasons = vec![
        WaitReason::Suspended { workers: 1 },
        WaitReason::Complaining { workers: 3, said },
        WaitReason::Behind { jobs: 2 },
    ];
    let name = |name: &str| name.to_owned();
    let help = vec![
        Help::Resume {
            name: name("builder-9"),
        },
        Help::Relieve {
            name: name("builder-1"),
        },
        Help::Relieve {
            name: name("builder-2"),
        },
    ];
    Explanation::waiting(WaitVerdict::NotNow, reasons).with_help(help)
}

#[test]
fn a_reason_to_wait_for_workers_that_complain() {
    golden::<v1::Explanation, _>("explanation_complaints", &explanation());
}

/// What a peer of the first release reads of an outcome.
#[derive(Clone, PartialEq, Message)]
struct FirstOutcome {
    #[prost(message, tag = "2")]
    failed: Option<v1::Exit>,
    #[prost(int32, optional, tag = "6")]
    infra: Option<i32>,
}

/// What a master of the first release reads of a worker's message.
#[derive(Clone, PartialEq, Message)]
struct FirstWorkerMessage {
    #[prost(message, tag = "1")]
    heartbeat: Option<v1::Nothing>,
}

/// What a client of the first release reads of a reason.
#[derive(Clone, PartialEq, Message)]
struct FirstReason {
    #[prost(uint32, optional, tag = "8")]
    suspended: Option<u32>,
}

#[test]
fn peers_of_the_first_release_read_the_nearest_that_they_know() {
    for (name, outcome) in ENDINGS {
        let first = FirstOutcome::decode(&v1::Outcome::from(outcome).encode_to_vec()[..]).unwrap();
        assert_eq!(first.failed, outcome.exit().map(Into::into), "{name}");
        let is_infra = first
            .infra
            .map(|reason| v1::InfraReason::try_from(reason).unwrap());
        let infra = matches!(outcome, Outcome::Infra { .. });
        let nearest = infra.then_some(v1::InfraReason::WorkerFault);
        assert_eq!(is_infra, nearest, "{name}");
    }
    let message = v1::WorkerMessage::from(WorkerMessage::Complaints(complaints()));
    let first = FirstWorkerMessage::decode(&message.encode_to_vec()[..]).unwrap();
    assert_eq!(first.heartbeat, Some(v1::Nothing {}));
    let wire = v1::Explanation::from(explanation());
    let first = FirstReason::decode(&wire.reasons[1].encode_to_vec()[..]).unwrap();
    assert_eq!(first.suspended, Some(3));
    assert_eq!(wire.help.len(), 1, "nothing that they would refuse");
}

#[test]
fn the_nearest_reason_is_paid_from_the_same_budget() {
    let budget = |reason| Outcome::Infra { reason }.rule().budget;
    assert_eq!(
        budget(InfraReason::LimitNotEnforceable),
        budget(InfraReason::WorkerFault)
    );
}

#[test]
fn what_a_later_version_adds_is_left_out() {
    let mut wire = v1::Residue::from(residue());
    wire.limit_hit = 50;
    wire.unenforced.push(50);
    let mut expected = residue();
    expected.limit_hit = None;
    assert_eq!(Residue::try_from(wire), Ok(expected));
    let mut outcome = v1::Outcome::from(ENDINGS[0].1);
    outcome.limit = 50;
    let exit = Exit::Signaled(9);
    assert_eq!(Outcome::try_from(outcome), Ok(Outcome::Failed { exit }));
    let mut outcome = v1::Outcome::from(ENDINGS[2].1);
    outcome.infra_in_full = 50;
    let reason = InfraReason::WorkerFault;
    assert_eq!(Outcome::try_from(outcome), Ok(Outcome::Infra { reason }));
    let worker = Worker::new(WorkerId::from_uuid(uuid(5)), "builder-1".to_owned(), at(0));
    let mut wire = v1::Worker::from(worker.clone());
    wire.complaints = vec![v1::Complaint {
        kind: 50,
        text: "too hot".to_owned(),
    }];
    assert_eq!(Worker::try_from(wire), Ok(worker));
}

#[test]
fn an_inventory_with_everything_in_it_fits_into_a_frame() {
    let boot = |number| BootId::from_uuid(uuid(number));
    let mut hello = Hello::new(boot(1), boot(2), facts(), tags(), 16);
    let mut residue = residue();
    let process = KilledProcess::new(u32::MAX, "x".repeat(64));
    residue.processes = vec![process; MAX_LISTED_PROCESSES];
    residue.unenforced = LimitKind::ALL.to_vec();
    let mut usage = Usage::default();
    usage.user_micros = u64::MAX;
    usage.system_micros = u64::MAX;
    usage.peak_memory_bytes = Some(u64::MAX);
    usage.read_bytes = Some(u64::MAX);
    usage.written_bytes = Some(u64::MAX);
    residue.usage = Some(usage);
    let mut report = AttemptReport::new(attempt(1), ENDINGS[0].1, at(9));
    report.started_at = Some(at(1));
    report.log = LogEnd {
        bytes: u64::MAX,
        dropped: u64::MAX,
    };
    report.residue = residue;
    hello.inventory = vec![Held::new(attempt(1), HeldState::Finished(report)); MAX_INVENTORY];
    let wire = v1::Hello::from(hello);
    assert!(wire.encoded_len() < crate::limits::MAX_MESSAGE_BYTES);
    let read = Hello::try_from(wire).unwrap();
    let listed = |held: &Held| match &held.state {
        HeldState::Finished(report) => (report.residue.killed, report.residue.processes.len()),
        _ => panic!("it is finished"),
    };
    assert_eq!(listed(&read.inventory[0]), (40, MAX_LISTED_PROCESSES));
    assert_eq!(listed(&read.inventory[MAX_INVENTORY - 1]), (40, 0));
}
