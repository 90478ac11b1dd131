//! The door to join: the newcomer knows a pin, the server must prove itself before anything is said.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/rogue.rs"]
mod rogue;
mod support;

use std::io::{Read, Write};

use jobyard_pki::{
    ALPN_ENROLL, ALPN_H2, Door, JoinToken, RootPin, client_config, enrolment_client_config,
    master_of_chain,
};
use rustls::version::TLS13;
use rustls::{CertificateError, Error};
use rustls_pki_types::CertificateDer;
use support::{Cluster, Handshake, parts};

fn token(cluster: &Cluster) -> JoinToken {
    JoinToken::mint(vec![cluster.authority.root_pin()]).unwrap()
}

/// What a newcomer with the token of `cluster` makes of a server.
fn meet(cluster: &Cluster, server: &std::sync::Arc<rustls::ServerConfig>) -> Handshake {
    Handshake::run(
        &enrolment_client_config(token(cluster).pins()).unwrap(),
        server,
    )
}

#[test]
fn newcomer_who_knows_only_the_pin_finds_its_master() {
    let cluster = Cluster::new();
    let mut done = meet(&cluster, &cluster.tls().config(Door::Enrolment));
    done.expect_success();
    assert_eq!(done.client.alpn_protocol(), Some(ALPN_ENROLL));
    let chain: Vec<_> = done
        .client
        .peer_certificates()
        .unwrap()
        .iter()
        .map(|der| bytes::Bytes::copy_from_slice(der))
        .collect();
    assert_eq!(master_of_chain(&chain), Ok(cluster.authority.cluster()));

    done.client.writer().write_all(b"hello").unwrap();
    let mut wire = Vec::new();
    done.client.write_tls(&mut wire).unwrap();
    done.server.read_tls(&mut wire.as_slice()).unwrap();
    done.server.process_new_packets().unwrap();
    let mut heard = [0; 5];
    done.server.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[test]
fn any_of_several_pins_is_enough() {
    let cluster = Cluster::new();
    let pins = [RootPin::from_bytes([7; 32]), cluster.authority.root_pin()];
    let config = enrolment_client_config(&pins).unwrap();
    Handshake::run(&config, &cluster.tls().config(Door::Enrolment)).expect_success();
}

#[test]
fn xe1_man_in_the_middle_with_its_own_authority_hears_nothing() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let done = meet(&ours, &theirs.tls().config(Door::Enrolment));
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(done.expect_client_refuses(), &unknown);
}

#[test]
fn xe1_man_in_the_middle_who_adds_the_true_root_hears_nothing() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let (mut chain, key) = parts(&theirs.master());
    // The root and the intermediates of a cluster are no secret.
    chain.extend(parts(&ours.master()).0.into_iter().skip(1));
    let done = meet(&ours, &rogue::server(chain, key, ALPN_ENROLL));
    assert!(matches!(
        done.expect_client_refuses(),
        Error::InvalidCertificate(_)
    ));
}

#[test]
fn xe1_worker_of_the_same_cluster_cannot_take_newcomers() {
    let cluster = Cluster::new();
    for credentials in [cluster.worker(), cluster.client()] {
        let (chain, key) = parts(&credentials);
        let done = meet(&cluster, &rogue::server(chain, key, ALPN_ENROLL));
        assert!(matches!(
            done.expect_client_refuses(),
            Error::InvalidCertificate(_)
        ));
    }
}

#[test]
fn server_that_does_not_show_its_root_is_refused() {
    let cluster = Cluster::new();
    let (mut chain, key) = parts(&cluster.master());
    chain.pop();
    let done = meet(&cluster, &rogue::server(chain, key, ALPN_ENROLL));
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(done.expect_client_refuses(), &unknown);
}

#[test]
fn xt10_chain_of_many_certificates_is_refused() {
    let cluster = Cluster::new();
    let (mut chain, key) = parts(&cluster.master());
    let root: CertificateDer<'static> = chain[2].clone();
    chain.extend(std::iter::repeat_n(root, 30));
    let done = meet(&cluster, &rogue::server(chain, key, ALPN_ENROLL));
    assert!(matches!(
        done.expect_client_refuses(),
        Error::InvalidCertificate(_)
    ));
}

#[test]
fn newcomer_does_not_speak_to_the_main_door_nor_a_worker_to_the_other() {
    let cluster = Cluster::new();
    let done = meet(&cluster, &cluster.tls().config(Door::Main));
    assert_eq!(done.expect_server_refuses(), &Error::NoApplicationProtocol);
    let worker = client_config(&cluster.worker()).unwrap();
    let done = Handshake::run(&worker, &cluster.tls().config(Door::Enrolment));
    assert_eq!(done.expect_server_refuses(), &Error::NoApplicationProtocol);
}

#[test]
fn door_is_chosen_from_the_hello_alone() {
    let cluster = Cluster::new();
    let tls = cluster.tls();
    for (alpn, door) in [
        (ALPN_H2, Some(Door::Main)),
        (ALPN_ENROLL, Some(Door::Enrolment)),
        (b"http/1.1".as_slice(), None),
    ] {
        let config = rogue::client(None, &[&TLS13], alpn);
        let mut client = rustls::ClientConnection::new(config, jobyard_pki::server_name()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        let accepted = acceptor.accept().ok().flatten().unwrap();
        assert_eq!(tls.door(&accepted.client_hello()), door);
        assert_eq!(
            accepted.client_hello().server_name(),
            None,
            "no host name is sent"
        );
    }
}
