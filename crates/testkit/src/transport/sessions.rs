//! How sessions come and go.

use std::time::Duration;

use futures_util::future::join;
use jobyard_core::{
    ConnectError, Held, HeldState, LinkError, MAX_AMOUNT, MasterMessage, Refusal, RefusalReason,
    Resources, TagSet, Timestamp, Transport, WorkerMessage,
};

use super::TransportFactory;
use super::desk::{attempt, cluster, hello, session, welcome, worker};

/// The master sees who comes and what it says, and its welcome is the first that the worker hears.
pub async fn hello_arrives_and_the_welcome_comes_first(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let mut said = hello();
    said.inventory = vec![
        Held::new(attempt(1), HeldState::Accepted),
        Held::new(
            attempt(2),
            HeldState::Running {
                pid: Some(99),
                started_at: Timestamp::from_micros(-5),
            },
        ),
    ];
    said.accepting = false;
    said.tags = tags(&["os=linux", "pool", "pool=prod"]);
    said.exclusive = tags(&["pool=prod"]);
    said.capacity = Resources::of_slots(3).with("gpu", 2).with("license", 1);
    said.capacity.cpu_millis = 2_500;
    said.capacity.memory_bytes = MAX_AMOUNT;
    let master = async {
        let mut end = desk.session().await;
        let message = MasterMessage::Welcome(welcome());
        end.link
            .sender
            .send(vec![message])
            .await
            .expect("the worker listens");
        end
    };
    let (opened, end) = join(transport.connect(said.clone()), master).await;
    let mut opened = opened.expect("the master takes the session");
    assert_eq!(end.hello, said, "the hello arrives as it was");
    assert_eq!(end.peer.id, worker(), "the transport says who it is");
    let heard = opened.control.receiver.receive().await;
    assert_eq!(
        heard,
        Ok(vec![MasterMessage::Welcome(welcome())]),
        "the welcome comes first"
    );
}

fn tags(texts: &[&str]) -> TagSet {
    let tags = texts.iter().map(|text| text.parse().expect("a tag"));
    TagSet::try_from(tags.collect::<Vec<_>>()).expect("few tags")
}

/// A refusal keeps its reason, its sentence and its time.
pub async fn refused_session_says_why(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let mut refusal = Refusal::new(
        RefusalReason::Incompatible,
        "upgrade the worker: 10 % too old, and \u{fc}n\u{ef}code",
    );
    refusal.retry_after = Some(Duration::from_secs(90));
    let master = async { desk.session().await.refuse(refusal.clone()) };
    let (refused, ()) = join(refused(&*transport), master).await;
    assert_eq!(refused, refusal, "the refusal arrives whole");
}

/// Whoever is no member of the cluster has no session.
pub async fn worker_that_is_no_member_is_refused(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    desk.set_member(false);
    let refused = refused(&*transport).await;
    assert_eq!(refused.reason, RefusalReason::Removed);
}

/// The refusal of a session, which may come from `connect` or from the first `receive`.
async fn refused(transport: &dyn Transport) -> Refusal {
    let mut session = match transport.connect(hello()).await {
        Ok(session) => session,
        Err(ConnectError::Refused(refusal)) => return refusal,
        Err(error) => panic!("a refusal is not a failure: {error}"),
    };
    match session.control.receiver.receive().await {
        Err(LinkError::Refused(refusal)) => refusal,
        other => panic!("the session was refused, not {other:?}"),
    }
}

/// At most one session of a worker lives.
pub async fn newer_session_ends_the_older(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut older, mut older_end) = session(&desk, &*transport).await;
    let (mut newer, mut newer_end) = session(&desk, &*transport).await;
    let (at_worker, at_master) = join(
        older.control.receiver.receive(),
        older_end.link.receiver.receive(),
    )
    .await;
    assert!(
        at_worker.is_err(),
        "the worker's older link is over: {at_worker:?}"
    );
    assert!(
        at_master.is_err(),
        "the master's older link is over: {at_master:?}"
    );
    drop((older, older_end));
    let heartbeat = vec![WorkerMessage::Heartbeat];
    let sent = newer.control.sender.send(heartbeat.clone()).await;
    sent.expect("the newer session lives");
    let heard = newer_end.link.receiver.receive().await;
    assert_eq!(heard, Ok(heartbeat), "the newer session lives");
}

/// A worker that drops its session is missed.
pub async fn worker_that_goes_ends_its_session(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (opened, mut end) = session(&desk, &*transport).await;
    drop(opened);
    let heard = end.link.receiver.receive().await;
    assert!(heard.is_err(), "the session is over: {heard:?}");
}

/// What was said before the handler returns still arrives; then the link is closed.
pub async fn master_that_returns_ends_the_session(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    let last = vec![MasterMessage::Heartbeat];
    let sent = end.link.sender.send(last.clone()).await;
    sent.expect("the worker listens");
    drop(end);
    assert_eq!(opened.control.receiver.receive().await, Ok(last));
    for _ in 0..2 {
        let over = opened.control.receiver.receive().await;
        assert_eq!(over, Err(LinkError::Closed), "the link was closed in order");
    }
}

/// Membership is checked with each message.
pub async fn removed_worker_is_cut_at_its_next_message(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    let (mut opened, mut end) = session(&desk, &*transport).await;
    desk.set_member(false);
    let sent = opened
        .control
        .sender
        .send(vec![WorkerMessage::Heartbeat])
        .await;
    sent.expect("nobody has told the worker yet");
    let heard = end.link.receiver.receive().await;
    assert!(heard.is_err(), "the message is not handed over: {heard:?}");
    match opened.control.receiver.receive().await {
        Err(LinkError::Refused(refusal)) => assert_eq!(refusal.reason, RefusalReason::Removed),
        other => panic!("the worker learns that it was removed, not {other:?}"),
    }
}

/// A session after a session.
pub async fn worker_may_come_again(factory: &dyn TransportFactory) {
    let (desk, transport) = cluster(factory).await;
    for _ in 0..3 {
        let (mut opened, mut end) = session(&desk, &*transport).await;
        let said = vec![WorkerMessage::Accepting(true)];
        let sent = opened.control.sender.send(said.clone()).await;
        sent.expect("the session is fresh");
        assert_eq!(end.link.receiver.receive().await, Ok(said));
    }
}
