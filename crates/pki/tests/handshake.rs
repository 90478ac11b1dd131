//! The main door: mutual TLS between a master and its workers and clients.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/rogue.rs"]
mod rogue;
mod support;

use jobyard_core::{Authenticator, PeerIdentity};
use jobyard_pki::{
    ALPN_ENROLL, ALPN_H2, CLIENT_LIFETIME, ClusterAuthenticator, Credentials, Door, ServerTls,
    client_config,
};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error, HandshakeKind};
use support::{Cluster, DAY, Handshake, parts, seconds};

fn connect(server: &ServerTls, client: &Credentials) -> Handshake {
    Handshake::run(&client_config(client).unwrap(), &server.config(Door::Main))
}

#[test]
fn worker_and_client_are_let_in_and_known_by_their_certificate() {
    let cluster = Cluster::new();
    let tls = cluster.tls();
    let authenticator = ClusterAuthenticator::new(cluster.authority.cluster());
    for credentials in [cluster.worker(), cluster.client()] {
        let done = connect(&tls, &credentials);
        done.expect_success();
        assert_eq!(done.server.alpn_protocol(), Some(ALPN_H2));
        let chain: Vec<_> = done
            .server
            .peer_certificates()
            .unwrap()
            .iter()
            .map(|der| bytes::Bytes::copy_from_slice(der))
            .collect();
        assert_eq!(
            authenticator.identify(&chain).as_ref(),
            Ok(credentials.identity())
        );
    }
}

#[test]
fn xt1_no_client_certificate_is_refused_by_the_server() {
    let stranger = rogue::client(None, &[&TLS13], ALPN_H2);
    let done = Handshake::run(&stranger, &Cluster::new().tls().config(Door::Main));
    assert_eq!(
        done.expect_server_refuses(),
        &Error::NoCertificatesPresented
    );
}

#[test]
fn xt2_foreign_cluster_is_refused_by_both_ends() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let done = connect(&ours.tls(), &theirs.worker());
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(done.expect_client_refuses(), &unknown);
    // A stranger that does not mind whom it talks to.
    let stranger = rogue::client(Some(parts(&theirs.worker())), &[&TLS13], ALPN_H2);
    let done = Handshake::run(&stranger, &ours.tls().config(Door::Main));
    assert_eq!(done.expect_server_refuses(), &unknown);
}

#[test]
fn xt3_tls_1_2_is_refused_at_both_doors() {
    let cluster = Cluster::new();
    for (door, alpn) in [(Door::Main, ALPN_H2), (Door::Enrolment, ALPN_ENROLL)] {
        let old = rogue::client(Some(parts(&cluster.worker())), &[&TLS12], alpn);
        let done = Handshake::run(&old, &cluster.tls().config(door));
        assert!(matches!(
            done.expect_server_refuses(),
            Error::PeerIncompatible(_)
        ));
        assert_eq!(cluster.tls().config(door).max_early_data_size, 0);
    }
}

#[test]
fn xt4_expired_certificate_is_refused_by_the_server() {
    let cluster = Cluster::made(-seconds(CLIENT_LIFETIME) - DAY);
    let expired = cluster.worker();
    let cluster = cluster.at(0);
    let done = connect(&cluster.tls(), &expired);
    let error = done.expect_server_refuses();
    assert!(
        matches!(
            error,
            Error::InvalidCertificate(CertificateError::ExpiredContext { .. })
        ),
        "{error}"
    );
}

#[test]
fn xt4_expired_master_is_refused_by_the_client() {
    let cluster = Cluster::made(-seconds(CLIENT_LIFETIME) - DAY);
    let expired = cluster.tls();
    let done = connect(&expired, &cluster.at(0).worker());
    let error = done.expect_client_refuses();
    assert!(
        matches!(
            error,
            Error::InvalidCertificate(CertificateError::ExpiredContext { .. })
        ),
        "{error}"
    );
}

#[test]
fn xt4_certificate_of_a_clock_ahead_by_four_minutes_holds_by_ten_does_not() {
    let cluster = Cluster::new().at(4 * 60);
    connect(&cluster.tls(), &cluster.worker()).expect_success();
    let cluster = cluster.at(0);
    let tls = cluster.tls();
    let early = cluster.at(10 * 60).worker();
    let done = connect(&tls, &early);
    let error = done.expect_server_refuses();
    assert!(
        matches!(
            error,
            Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })
        ),
        "{error}"
    );
}

#[test]
fn xt5_master_certificate_is_refused_as_a_client() {
    let cluster = Cluster::new();
    assert!(
        client_config(&cluster.master()).is_err(),
        "our own client does not even try"
    );
    let posing = rogue::client(Some(parts(&cluster.master())), &[&TLS13], ALPN_H2);
    let done = Handshake::run(&posing, &cluster.tls().config(Door::Main));
    assert!(matches!(
        done.expect_server_refuses(),
        Error::InvalidCertificate(_)
    ));
}

#[test]
fn pr18_worker_or_client_cannot_pose_as_the_master() {
    let cluster = Cluster::new();
    let honest = client_config(&cluster.worker()).unwrap();
    for credentials in [cluster.worker(), cluster.client()] {
        assert!(
            ServerTls::new(&credentials).is_err(),
            "our own server does not even try"
        );
        let (chain, key) = parts(&credentials);
        let done = Handshake::run(&honest, &rogue::server(chain, key, ALPN_H2));
        assert!(matches!(
            done.expect_client_refuses(),
            Error::InvalidCertificate(_)
        ));
    }
}

#[test]
fn xt8_no_ticket_is_ever_issued_and_no_session_resumed() {
    let cluster = Cluster::new();
    let server = cluster.tls().config(Door::Main);
    // This client would resume if it could: it keeps the library's default session store.
    let eager = rogue::client(Some(parts(&cluster.worker())), &[&TLS13], ALPN_H2);
    let ours = client_config(&cluster.worker()).unwrap();
    for client in [&eager, &eager, &eager, &ours, &ours] {
        let done = Handshake::run(client, &server);
        done.expect_success();
        assert_eq!(done.client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(done.client.tls13_tickets_received(), 0);
    }
    assert_eq!(server.send_tls13_tickets, 0);
    assert!(!server.session_storage.can_cache());
}

#[test]
fn replaced_certificate_is_shown_from_the_next_handshake_on() {
    let cluster = Cluster::new();
    let (tls, worker) = (cluster.tls(), cluster.worker());
    let leaf = |done: &Handshake| done.client.peer_certificates().unwrap()[0].clone();
    let before = connect(&tls, &worker);
    let renewed = cluster.master();
    tls.replace(&renewed).unwrap();
    let after = connect(&tls, &worker);
    after.expect_success();
    assert_ne!(leaf(&before), leaf(&after));
    assert_eq!(leaf(&after), parts(&renewed).0[0]);
    assert!(
        tls.replace(&Cluster::new().master()).is_err(),
        "never that of another cluster"
    );
    assert!(tls.replace(&worker).is_err(), "never that of a worker");
    assert_eq!(leaf(&connect(&tls, &worker)), leaf(&after));
}

#[test]
fn only_a_master_has_the_identity_of_a_master() {
    let cluster = Cluster::new();
    let id = cluster.authority.cluster();
    assert_eq!(
        cluster.master().identity(),
        &PeerIdentity::Master { cluster: id }
    );
    assert!(matches!(
        cluster.worker().identity(),
        PeerIdentity::Worker { .. }
    ));
    assert!(matches!(
        cluster.client().identity(),
        PeerIdentity::Client { .. }
    ));
}
