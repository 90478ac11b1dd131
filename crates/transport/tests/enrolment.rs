//! How machines without a certificate get one.

#![expect(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the test files share a master; each uses a part of it, and a failure there is one of the test"
)]

mod support;

use jobyard_core::{ConnectError, EnrolRequest, RefusalReason, SecretText, WorkerFacts};
use jobyard_transport::limits::ENROLMENT_BURST;
use jobyard_transport::{ConnectOptions, GrpcEnrolment};

use support::authority::Authority;
use support::{GOOD_TOKEN, Master, soon, worker_id};

fn enrolment(master: &Master, authority: &Authority) -> GrpcEnrolment {
    let tls = authority.without_certificate();
    GrpcEnrolment::new(master.endpoints(), &tls, ConnectOptions::default()).unwrap()
}

fn request(token: &str) -> EnrolRequest {
    let facts = WorkerFacts::default();
    EnrolRequest::new(SecretText::new(token), b"csr".to_vec(), "builder-1", facts)
}

#[tokio::test]
async fn good_token_makes_a_worker() {
    let master = Master::quiet().await;
    let enrolled = soon(enrolment(&master, &master.authority).enrol(request(GOOD_TOKEN))).await;
    let enrolled = enrolled.unwrap();
    assert_eq!(enrolled.worker, worker_id());
    assert_eq!(enrolled.name, "builder-1 from 127.0.0.1");
    assert_eq!(
        enrolled.certificates,
        vec![bytes::Bytes::from_static(b"csr")]
    );
    assert_eq!(enrolled.roots, vec![bytes::Bytes::from_static(b"root")]);
}

/// XE1
#[tokio::test]
async fn token_is_not_sent_to_a_master_that_is_not_trusted() {
    let master = Master::quiet().await;
    let result = soon(enrolment(&master, &Authority::new()).enrol(request(GOOD_TOKEN))).await;
    assert!(
        matches!(result, Err(ConnectError::Untrusted { .. })),
        "{result:?}"
    );
}

/// XE5
#[tokio::test(start_paused = true)]
async fn address_that_fails_often_has_to_wait() {
    let master = Master::quiet().await;
    let enrolment = enrolment(&master, &master.authority);
    let reason = async || match enrolment.enrol(request("bad")).await {
        Err(ConnectError::Refused(refusal)) => refusal,
        other => panic!("the token is bad: {other:?}"),
    };
    for _ in 0..ENROLMENT_BURST {
        assert_eq!(reason().await.reason, RefusalReason::Unauthenticated);
    }
    let refusal = loop {
        // Time passes in the test as it likes, so that one more may be let in.
        let refusal = reason().await;
        if refusal.reason == RefusalReason::Exhausted {
            break refusal;
        }
    };
    let wait = refusal.retry_after.expect("it says how long");
    tokio::time::advance(wait).await;
    let enrolled = enrolment.enrol(request(GOOD_TOKEN)).await;
    assert!(enrolled.is_ok(), "{enrolled:?}");
}

/// XE14, XE16
#[tokio::test]
async fn request_outside_its_limits_is_refused() {
    let master = Master::quiet().await;
    let enrolment = enrolment(&master, &master.authority);
    let invalid = async |request| match soon(enrolment.enrol(request)).await {
        Err(ConnectError::Refused(refusal)) => {
            assert_eq!(refusal.reason, RefusalReason::Invalid, "{refusal}");
        }
        other => panic!("it lies outside the limits: {other:?}"),
    };
    let mut large = request(GOOD_TOKEN);
    large.certificate_request = vec![0; 17 * 1024];
    invalid(large).await;
    let mut larger = request(GOOD_TOKEN);
    larger.certificate_request = vec![0; 100 * 1024];
    invalid(larger).await;
    let mut path = request(GOOD_TOKEN);
    path.name = "../../x".to_owned();
    invalid(path).await;
}
