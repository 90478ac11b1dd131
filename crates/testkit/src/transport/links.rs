//! How messages travel within a session.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join;
use jobyard_core::{
    Assignment, AttemptReport, ClosingReason, DeclineReason, ExecutorSpec, Exit, Group, JobSpec,
    LogEnd, MAX_FRAME_MESSAGES, MasterMessage, Outcome, Preference, Residue, Resources, StopCause,
    Timestamp, Verdict, WorkerMessage,
};

use super::TransportFactory;
use super::desk::{attempt, cluster, session, welcome};

/// Many small batches, both ways at once.
pub async fn messages_arrive_once_and_in_order(factory: &dyn TransportFactory) {
    const MESSAGES: u32 = 2_000;
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let numbered = |number| WorkerMessage::Started {
        attempt: attempt(1),
        pid: Some(number),
        at: Timestamp::default(),
    };
    let send = async {
        let mut next = 0;
        while next < MESSAGES {
            let batch = (next..MESSAGES.min(next + 1 + next % 7)).map(numbered);
            let batch: Vec<_> = batch.collect();
            next += u32::try_from(batch.len()).expect("small");
            opened
                .control
                .sender
                .send(batch)
                .await
                .expect("the master listens");
        }
    };
    let receive = async {
        let mut heard = Vec::new();
        while heard.len() < MESSAGES as usize {
            heard.extend(end.link.receiver.receive().await.expect("more is to come"));
        }
        heard
    };
    let ((), heard) = join(send, receive).await;
    let expected: Vec<_> = (0..MESSAGES).map(numbered).collect();
    assert!(heard == expected, "each message arrives once and in order");
}

/// No frame is longer than the limit, and none is empty.
pub async fn large_batch_arrives_in_frames_of_bounded_length(factory: &dyn TransportFactory) {
    const MESSAGES: usize = 3 * MAX_FRAME_MESSAGES + 1;
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let batch: Vec<_> = (0..MESSAGES)
        .map(|number| MasterMessage::Forget {
            attempt: attempt(number as u128),
        })
        .collect();
    let sent = end.link.sender.send(batch.clone());
    let receive = async {
        let mut heard = Vec::new();
        while heard.len() < MESSAGES {
            let messages = opened.control.receiver.receive().await;
            let messages = messages.expect("more is to come");
            assert!((1..=MAX_FRAME_MESSAGES).contains(&messages.len()));
            heard.extend(messages);
        }
        heard
    };
    let (sent, heard) = join(sent, receive).await;
    sent.expect("the worker listens");
    assert!(heard == batch, "a batch keeps its order");
}

/// An empty batch is not seen by the other side.
pub async fn empty_batch_is_nothing(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let sender = &mut opened.control.sender;
    sender.send(Vec::new()).await.expect("nothing to fail");
    let said = vec![WorkerMessage::Heartbeat];
    sender.send(said.clone()).await.expect("the master listens");
    assert_eq!(end.link.receiver.receive().await, Ok(said));
}

/// `receive` can be dropped while it waits.
pub async fn dropped_receive_loses_nothing(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    for number in 0..100 {
        let early = end.link.receiver.receive().now_or_never();
        assert!(early.is_none(), "nothing was said: {early:?}");
        let said = vec![WorkerMessage::Accepting(number % 2 == 0)];
        let sent = opened.control.sender.send(said.clone()).await;
        sent.expect("the master listens");
        let heard = match end.link.receiver.receive().now_or_never() {
            Some(heard) => heard,
            None => end.link.receiver.receive().await,
        };
        assert_eq!(heard, Ok(said));
    }
}

/// Each kind of message, with its fields.
pub async fn every_kind_of_message_arrives_as_it_was(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let (from_worker, from_master) = (worker_messages(), master_messages());
    let sent = join(
        opened.control.sender.send(from_worker.clone()),
        end.link.sender.send(from_master.clone()),
    );
    let (at_master, at_worker) = sent.await;
    at_master.expect("the master listens");
    at_worker.expect("the worker listens");
    assert_eq!(end.link.receiver.receive().await, Ok(from_worker));
    assert_eq!(opened.control.receiver.receive().await, Ok(from_master));
}

fn worker_messages() -> Vec<WorkerMessage> {
    let at = Timestamp::from_micros(1_700_000_000_000_001);
    let outcome = Outcome::Failed {
        exit: Exit::Signaled(9),
    };
    let mut report = AttemptReport::new(attempt(2), outcome, at);
    report.started_at = Some(Timestamp::from_micros(-1));
    report.log = LogEnd {
        bytes: u64::MAX,
        dropped: 3,
    };
    report.residue = Residue::default();
    report.residue.killed = 2;
    report.residue.output_held_open = true;
    vec![
        WorkerMessage::Heartbeat,
        WorkerMessage::Started {
            attempt: attempt(1),
            pid: None,
            at,
        },
        WorkerMessage::Finished(report),
        WorkerMessage::Declined {
            attempt: attempt(3),
            reason: DeclineReason::JournalFailed,
        },
        WorkerMessage::Accepting(false),
    ]
}

fn master_messages() -> Vec<MasterMessage> {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", r#"{"command":["true"]}"#));
    spec.name = Some("build \\ me".replace(" \\ ", "/"));
    let terms = ["os=linux|darwin", "!gpu", "os!=windows", "mem<64GiB"];
    spec.requirements = terms
        .map(|text| text.parse().expect("a requirement"))
        .to_vec();
    let ssd = "disk=ssd".parse().expect("a requirement");
    spec.prefer = vec![Preference::new(ssd, 7)];
    spec.priority = -3;
    spec.group = Some(Group::new("deploy/prod", 1));
    spec.resources = Resources::of_slots(2).with("license", 1);
    spec.resources.cpu_millis = 250;
    spec.resources.memory_bytes = 1 << 30;
    spec.queue_timeout = Some(Duration::from_secs(90));
    spec.timeout = Some(Duration::from_millis(1));
    spec.labels.insert("team".to_owned(), "\u{e4}".to_owned());
    let spec = spec.validate().expect("a valid spec");
    let mut assignment = Assignment::new(attempt(1), spec);
    assignment.env.insert("KEY".to_owned(), "a=b\n".to_owned());
    let mut again = welcome();
    let stop = Verdict::Stop {
        cause: StopCause::WorkerStopping,
        grace: Duration::ZERO,
    };
    again.verdicts = vec![
        (attempt(1), Verdict::Keep),
        (attempt(2), stop),
        (attempt(3), Verdict::Forget),
    ];
    vec![
        MasterMessage::Welcome(again),
        MasterMessage::Heartbeat,
        MasterMessage::Assign(assignment),
        MasterMessage::Stop {
            attempt: attempt(1),
            cause: StopCause::TimedOut,
            grace: Duration::from_secs(3),
        },
        MasterMessage::Forget {
            attempt: attempt(1),
        },
        MasterMessage::Removed,
        MasterMessage::Closing(ClosingReason::Restarting),
    ]
}
