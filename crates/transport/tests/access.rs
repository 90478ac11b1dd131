//! Who gets in, and what for.

#![expect(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the test files share a master; each uses a part of it, and a failure there is one of the test"
)]

mod support;

use std::sync::Arc;

use jobyard_core::{
    Admin, Caller, ConnectError, ControlError, Fleet, Hello, Jobs, LinkError, RefusalReason, Role,
    Session, TagSet, Transport, WorkerFacts, WorkerMessage,
};
use jobyard_core::{BootId, Refusal};
use jobyard_transport::{ConnectOptions, GrpcControl, GrpcTransport};
use rustls::ClientConfig;
use uuid::Uuid;

use support::authority::Authority;
use support::control::job_id;
use support::{Master, soon, worker_id};

fn control(master: &Master, tls: &Arc<ClientConfig>) -> GrpcControl {
    GrpcControl::new(master.endpoints(), tls, ConnectOptions::default()).unwrap()
}

fn caller() -> Caller {
    Caller::new("nobody", Role::Viewer)
}

async fn open_session(master: &Master, tls: &Arc<ClientConfig>) -> Result<(), ConnectError> {
    let options = ConnectOptions::default();
    let transport = GrpcTransport::new(master.endpoints(), tls, options).unwrap();
    let boot = BootId::from_uuid(Uuid::from_u128(1));
    let hello = Hello::new(boot, boot, WorkerFacts::default(), TagSet::new(), 1);
    soon(transport.connect(hello)).await.map(|_| ())
}

fn refusal(result: Result<(), ConnectError>) -> Refusal {
    match result {
        Err(ConnectError::Refused(refusal)) => refusal,
        other => panic!("a refusal was due, not {other:?}"),
    }
}

/// XA4
#[tokio::test]
async fn worker_may_not_call_what_is_for_clients() {
    let master = Master::quiet().await;
    let control = control(&master, &master.authority.worker(worker_id()));
    let refused = |result: Option<ControlError>| match result {
        Some(ControlError::Untrusted { problem }) => {
            assert!(problem.contains("is for clients"), "{problem}");
        }
        other => panic!("a worker was let in: {other:?}"),
    };
    refused(soon(control.submit(&caller(), Vec::new())).await.err());
    refused(soon(control.workers(&caller(), true)).await.err());
    refused(soon(control.status(&caller())).await.err());
    assert!(master.control.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn client_may_not_open_a_session() {
    let master = Master::quiet().await;
    let tls = master.authority.client("anna", Role::Admin);
    let refusal = refusal(open_session(&master, &tls).await);
    assert_eq!(refusal.reason, RefusalReason::Forbidden);
    assert!(refusal.message.contains("anna"), "{refusal}");
}

#[tokio::test]
async fn worker_may_open_a_session() {
    let master = Master::quiet().await;
    let tls = master.authority.worker(worker_id());
    open_session(&master, &tls).await.unwrap();
}

#[tokio::test]
async fn worker_that_is_no_member_may_do_nothing() {
    let master = Master::quiet().await;
    let stranger = jobyard_core::WorkerId::from_uuid(Uuid::from_u128(0xbb));
    let tls = master.authority.worker(stranger);
    let refusal = refusal(open_session(&master, &tls).await);
    assert_eq!(refusal.reason, RefusalReason::Removed);
}

/// XT1
#[tokio::test]
async fn peer_without_a_certificate_is_told_so() {
    let master = Master::quiet().await;
    let tls = master.authority.without_certificate();
    let Err(ConnectError::Untrusted { problem }) = open_session(&master, &tls).await else {
        panic!("it has no certificate");
    };
    assert!(problem.contains("asks for a certificate"), "{problem}");
    let error = soon(control(&master, &tls).job(&caller(), job_id(1))).await;
    assert!(
        matches!(error, Err(ControlError::Untrusted { .. })),
        "{error:?}"
    );
}

/// XT2
#[tokio::test]
async fn certificate_of_another_cluster_is_refused() {
    let master = Master::quiet().await;
    let other = Authority::new();
    let tls = other.client_that_trusts(&master.authority);
    let result = open_session(&master, &tls).await;
    assert!(
        matches!(result, Err(ConnectError::Untrusted { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn master_of_another_cluster_is_refused() {
    let master = Master::quiet().await;
    let tls = Authority::new().worker(worker_id());
    let Err(ConnectError::Untrusted { problem }) = open_session(&master, &tls).await else {
        panic!("it is another's master");
    };
    assert!(
        problem.contains("the certificate that the master shows"),
        "{problem}"
    );
}

#[tokio::test]
async fn certificate_that_names_nobody_may_do_nothing() {
    let master = Master::quiet().await;
    let refusal = refusal(open_session(&master, &master.authority.unknown()).await);
    assert_eq!(refusal.reason, RefusalReason::Unauthenticated);
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let tls = Authority::new().client("anna", Role::Viewer);
    let control = GrpcControl::new(vec![address], &tls, ConnectOptions::default()).unwrap();
    let error = soon(control.status(&caller()))
        .await
        .expect_err("nobody is there");
    assert!(error.is_temporary(), "{error}");
}

#[tokio::test]
async fn second_address_is_tried_when_the_first_is_silent() {
    let master = Master::quiet().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    drop(listener);
    let tls = master.authority.client("anna", Role::Viewer);
    let endpoints = vec![silent, master.address.to_string()];
    let control = GrpcControl::new(endpoints, &tls, ConnectOptions::default()).unwrap();
    soon(control.status(&caller()))
        .await
        .expect("the second answers");
}

async fn session(master: &Master) -> Session {
    let options = ConnectOptions::default();
    let tls = master.authority.worker(worker_id());
    let transport = GrpcTransport::new(master.endpoints(), &tls, options).unwrap();
    let boot = BootId::from_uuid(Uuid::from_u128(1));
    let hello = Hello::new(boot, boot, WorkerFacts::default(), TagSet::new(), 1);
    soon(transport.connect(hello)).await.unwrap()
}

#[tokio::test]
async fn sessions_end_when_the_server_is_dropped() {
    let master = Master::quiet().await;
    let mut session = session(&master).await;
    master.server.abort();
    let over = soon(session.control.receiver.receive()).await;
    assert!(
        matches!(over, Err(LinkError::Lost { .. } | LinkError::Closed)),
        "{over:?}"
    );
}

#[tokio::test]
async fn server_that_is_told_to_stop_lets_sessions_end_by_themselves() {
    let mut master = Master::quiet().await;
    let mut session = session(&master).await;
    master.stop.cancel();
    let newcomer = open_session(&master, &master.authority.worker(worker_id())).await;
    assert!(
        matches!(newcomer, Err(ConnectError::Unreachable { .. })),
        "{newcomer:?}"
    );
    let sent = session
        .control
        .sender
        .send(vec![WorkerMessage::Heartbeat])
        .await;
    sent.expect("the session lives on");
    assert!(!master.server.is_finished());
    drop(session);
    soon(&mut master.server)
        .await
        .expect("it returns once the last session is over");
}
