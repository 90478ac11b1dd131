//! What came after the first release: resources, preferences, groups, exclusive tags, settings of queues, and more
//! reasons to wait. Also how peers of the first release read it.

use std::time::Duration;

use jobyard_core::*;
use prost::Message;

use super::samples::{at, attempt, facts, tags, uuid};
use super::{golden, recorded};
use crate::generated::v1;
use crate::wire::{QueuePage, master_frames, set_queue_request};

fn resources(slots: u32) -> Resources {
    let mut resources = Resources::of_slots(slots).with("gpu", 2).with("license", 1);
    resources.cpu_millis = 1_500;
    resources.memory_bytes = 3 << 30;
    resources
}

fn exclusive() -> TagSet {
    TagSet::try_from(vec!["rust".parse().unwrap()]).unwrap()
}

fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command":["make"]}"#));
    spec.requirements = ["!gpu", "os!=windows|darwin", "cores>=8", "mem<64GiB"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    spec.prefer = vec![
        Preference::new("disk=ssd".parse().unwrap(), 10),
        Preference::new("cores>=32".parse().unwrap(), 1_000),
    ];
    spec.priority = -7;
    spec.group = Some(Group::new("deploy/prod", 1));
    spec.resources = resources(2);
    spec.queue_timeout = Some(Duration::from_mins(5));
    spec.validate().unwrap()
}

#[test]
fn jobs_that_ask_for_more() {
    let id = JobId::from_uuid(uuid(0x10));
    golden::<v1::NewJob, _>("new_job_scheduling", &NewJob::new(id, spec()));
    let messages = vec![MasterMessage::Assign(Assignment::new(attempt(1), spec()))];
    let frames = master_frames(messages.clone());
    let frame = recorded("master_frame_assign_scheduling", &frames[0]);
    assert_eq!(Vec::<MasterMessage>::try_from(frame), Ok(messages));
}

#[test]
fn workers_that_have_more() {
    let boot = |number| BootId::from_uuid(uuid(number));
    let mut hello = Hello::new(boot(1), boot(2), facts(), tags(), resources(16));
    // It named no abilities then.
    hello.protocol.features.clear();
    hello.exclusive = exclusive();
    golden::<v1::Hello, _>("hello_scheduling", &hello);
    let mut worker = Worker::new(WorkerId::from_uuid(uuid(5)), "builder-1".to_owned(), at(0));
    worker.tags = tags();
    worker.exclusive = exclusive();
    worker.capacity = resources(16);
    worker.used = resources(17);
    golden::<v1::Worker, _>("worker_scheduling", &worker);
}

#[test]
fn the_end_of_a_job_that_no_worker_can_run() {
    let outcome = Outcome::Infra {
        reason: InfraReason::NoWorker,
    };
    golden::<v1::Outcome, _>("outcome_no_worker", &outcome);
}

#[test]
fn more_reasons_to_wait_and_what_helps() {
    let (requirement, tag): (Requirement, Tag) = ("gpu".parse().unwrap(), "prod".parse().unwrap());
    let (name, worker) = ("builder-1".to_owned(), WorkerId::from_uuid(uuid(5)));
    let reasons = vec![
        WaitReason::FleetMayGrow,
        WaitReason::Excluded {
            tag: tag.clone(),
            workers: 2,
        },
        WaitReason::TooMuch {
            resource: "memory".to_owned(),
            asked: 64 << 30,
            largest: 16 << 30,
        },
        WaitReason::Nearest {
            worker,
            name: name.clone(),
            lacks: vec![
                Lack::Resource {
                    resource: "cpu".to_owned(),
                    asked: 64_000,
                    has: 16_000,
                },
                Lack::Requirement {
                    requirement: requirement.clone(),
                },
                Lack::Exclusive { tag: tag.clone() },
            ],
        },
        WaitReason::QueueFull {
            queue: "ci".to_owned(),
            running: 5,
            limit: 5,
        },
        WaitReason::GroupFull {
            group: "deploy/prod".to_owned(),
            running: 1,
            limit: 1,
        },
        WaitReason::KeptForOthers { workers: 3 },
        WaitReason::Reserved {
            worker,
            name: name.clone(),
        },
        WaitReason::WaitsForWarm { workers: 4 },
        WaitReason::QueuesFirst { queues: 6 },
    ];
    let help = vec![
        Help::Worker {
            requirements: vec![requirement],
            resources: vec![("memory".to_owned(), 64 << 30), ("gpu".to_owned(), 1)],
            name: Some(name.clone()),
        },
        Help::Connect { name: name.clone() },
        Help::Resume { name },
        Help::RaiseQueueLimit {
            queue: "ci".to_owned(),
            above: 5,
        },
        Help::FreeGroup {
            group: "deploy/prod".to_owned(),
        },
        Help::NameTag { tag },
    ];
    let waiting = Explanation::waiting(WaitVerdict::NotKnownYet, reasons).with_help(help);
    golden::<v1::Explanation, _>("explanation_scheduling", &waiting);
}

#[test]
fn queues_and_their_settings() {
    let mut settings = QueueSettings::default();
    settings.class = -3;
    settings.weight = 20;
    settings.max_running = Some(0);
    let mut queue = QueueInfo::new("ci".to_owned(), settings);
    queue.queued = 1_000_000;
    queue.running = 5;
    queue.ahead_ms = 12_345;
    golden::<v1::Queue, _>("queue", &queue);
    let unset = QueueInfo::new("nightly".to_owned(), QueueSettings::default());
    let page = QueuePage {
        queues: vec![queue, unset],
        next: Some("nightly".to_owned()),
    };
    golden::<v1::ListQueuesResponse, _>("list_queues_response", &page);
    let change = |change: &dyn Fn(&mut QueueChange)| {
        let mut it = QueueChange::default();
        change(&mut it);
        it
    };
    let changes = [
        (
            "set_queue_request",
            change(&|it| {
                it.class = Some(-3);
                it.weight = Some(20);
                it.max_running = Some(Some(0));
            }),
        ),
        (
            "set_queue_request_unlimited",
            change(&|it| it.max_running = Some(None)),
        ),
        ("set_queue_request_nothing", change(&|_| {})),
    ];
    for (name, change) in changes {
        let wire = recorded(name, &set_queue_request("ci", change));
        let read = <(String, QueueChange)>::try_from(wire);
        assert_eq!(read, Ok(("ci".to_owned(), change)), "{name}");
    }
}

/// What a master of the first release reads of a hello.
#[derive(Clone, PartialEq, Message)]
struct FirstHello {
    #[prost(string, repeated, tag = "5")]
    tags: Vec<String>,
    #[prost(uint32, tag = "6")]
    slots: u32,
}

/// What a worker or client of the first release reads of a spec.
#[derive(Clone, PartialEq, Message)]
struct FirstSpec {
    #[prost(string, repeated, tag = "4")]
    requirements: Vec<String>,
    #[prost(uint32, tag = "7")]
    slots: u32,
    #[prost(bool, tag = "14")]
    merge: bool,
}

/// What a client of the first release reads of the worker that comes nearest.
#[derive(Clone, PartialEq, Message)]
struct FirstNearest {
    #[prost(string, repeated, tag = "3")]
    lacks: Vec<String>,
}

#[test]
fn peers_of_the_first_release_read_what_they_know() {
    let boot = |number| BootId::from_uuid(uuid(number));
    let hello = Hello::new(boot(1), boot(2), facts(), tags(), resources(16));
    let first = FirstHello::decode(&v1::Hello::from(hello).encode_to_vec()[..]).unwrap();
    assert_eq!((first.slots, first.tags.len()), (16, tags().len()));
    let first = FirstSpec::decode(&v1::JobSpec::from(&spec()).encode_to_vec()[..]).unwrap();
    assert_eq!(
        (first.slots, first.requirements.len(), first.merge),
        (2, 4, false)
    );
    let nearest = WaitReason::Nearest {
        worker: WorkerId::from_uuid(uuid(5)),
        name: "builder-1".to_owned(),
        lacks: vec![
            Lack::Exclusive {
                tag: "prod".parse().unwrap(),
            },
            Lack::Requirement {
                requirement: "gpu".parse().unwrap(),
            },
        ],
    };
    let Some(v1::wait_reason::Kind::Nearest(nearest)) = v1::WaitReason::from(nearest).kind else {
        panic!("it is the nearest worker");
    };
    let first = FirstNearest::decode(&nearest.encode_to_vec()[..]).unwrap();
    assert_eq!(first.lacks, ["gpu"]);
}

#[test]
fn hello_of_the_first_release_has_slots_and_nothing_else() {
    let mut hello = v1::Hello::from(Hello::new(
        BootId::from_uuid(uuid(1)),
        BootId::from_uuid(uuid(2)),
        facts(),
        tags(),
        16,
    ));
    assert_eq!(hello.capacity, None);
    assert_eq!(hello.exclusive, Vec::<String>::new());
    // The same as it would be said with words.
    hello.capacity = Some(v1::Amounts::default());
    let hello = Hello::try_from(hello).unwrap();
    assert_eq!(hello.capacity, Resources::of_slots(16));
}

#[test]
fn more_slots_than_the_first_release_could_say_are_told_too() {
    let reason = WaitReason::TooMuch {
        resource: "slots".to_owned(),
        asked: 1 << 40,
        largest: 3,
    };
    let wire = v1::WaitReason::from(reason.clone());
    assert_eq!(WaitReason::try_from(wire), Ok(reason));
}
