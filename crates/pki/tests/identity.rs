//! Leaves that an authority of ours would never write are refused, whoever signed them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/rogue.rs"]
mod rogue;
mod support;

use std::str::FromStr;

use bytes::Bytes;
use jobyard_core::{Authenticator, ClusterId, IdentityError, PeerIdentity};
use jobyard_pki::{ALPN_H2, ClusterAuthenticator, Door, client_config};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::version::TLS13;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use support::{Cluster, Handshake};

const CLUSTER: &str = "018f0000-0000-7000-8000-000000000abc";
const WORKER: &str = "018f0000-0000-7000-8000-000000000001";

fn authenticator() -> ClusterAuthenticator {
    ClusterAuthenticator::new(ClusterId::from_str(CLUSTER).unwrap())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.to_owned().try_into().unwrap())
}

/// A good leaf of a worker of `cluster`, to be spoilt.
fn worker_leaf(cluster: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(&format!("spiffe://{cluster}/worker/{WORKER}"))];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn identify(params: &CertificateParams) -> Result<PeerIdentity, IdentityError> {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    authenticator().identify(&[Bytes::copy_from_slice(certificate.der())])
}

#[test]
fn good_leaf_is_accepted() {
    let identity = identify(&worker_leaf(CLUSTER)).unwrap();
    assert!(matches!(identity, PeerIdentity::Worker { id, .. } if id.to_string() == WORKER));
}

#[test]
fn every_departure_from_our_form_is_refused() {
    type Spoil = (&'static str, fn(&mut CertificateParams));
    let spoils: &[Spoil] = &[
        ("no purpose", |leaf| leaf.extended_key_usages.clear()),
        ("both purposes", |leaf| {
            leaf.extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }),
        ("any purpose", |leaf| {
            leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::Any);
        }),
        ("foreign purpose", |leaf| {
            leaf.extended_key_usages
                .push(ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 9]));
        }),
        ("wrong purpose", |leaf| {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        ("authority", |leaf| {
            leaf.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }),
        ("silent about authority", |leaf| leaf.is_ca = IsCa::NoCa),
        ("no key usage", |leaf| leaf.key_usages.clear()),
        ("may sign certificates", |leaf| {
            leaf.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }),
        ("no name", |leaf| leaf.subject_alt_names.clear()),
        ("two names", |leaf| {
            leaf.subject_alt_names.push(uri("spiffe://x/master"));
        }),
        ("a host name too", |leaf| {
            leaf.subject_alt_names
                .push(SanType::DnsName("a.example".try_into().unwrap()));
        }),
        ("a host name only", |leaf| {
            leaf.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
        }),
        ("unknown extension", |leaf| {
            leaf.custom_extensions = vec![CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 4, 1, 9],
                vec![5, 0],
            )];
        }),
        ("master's name", |leaf| {
            leaf.subject_alt_names = vec![uri(&format!("spiffe://{CLUSTER}/master"))];
        }),
        ("other cluster", |leaf| {
            *leaf = worker_leaf("018f0000-0000-7000-8000-000000000abd");
        }),
    ];
    for (what, spoil) in spoils {
        let mut leaf = worker_leaf(CLUSTER);
        spoil(&mut leaf);
        let refused = identify(&leaf);
        assert!(
            matches!(refused, Err(IdentityError::Unacceptable { .. })),
            "{what}: {refused:?}"
        );
    }
}

#[test]
fn no_certificate_and_trailing_bytes_are_refused() {
    assert_eq!(authenticator().identify(&[]), Err(IdentityError::Missing));
    let key = KeyPair::generate().unwrap();
    let mut der = worker_leaf(CLUSTER)
        .self_signed(&key)
        .unwrap()
        .der()
        .to_vec();
    der.push(0);
    assert!(authenticator().identify(&[der.into()]).is_err());
}

/// Signs `params` with the key in one of the cluster's files: the worst thief.
fn signed_with_stolen(
    cluster: &Cluster,
    file: &str,
    params: &CertificateParams,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let (certificate, key) = cluster.stolen(file);
    let issuer = Issuer::from_ca_cert_der(&certificate, key).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    (
        vec![leaf.into(), certificate],
        PrivateKeyDer::from(leaf_key),
    )
}

#[test]
fn pr18_key_that_signs_clients_cannot_make_a_master() {
    let cluster = Cluster::new();
    let id = cluster.authority.cluster();
    let mut params = worker_leaf(CLUSTER);
    params.subject_alt_names = vec![uri(&format!("spiffe://{id}/master"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let honest = client_config(&cluster.worker()).unwrap();
    let (chain, key) = signed_with_stolen(&cluster, "clients.pem", &params);
    Handshake::run(&honest, &rogue::server(chain, key, ALPN_H2)).expect_client_refuses();
    // The same leaf from the right intermediate shows that only the signer was wrong.
    let (chain, key) = signed_with_stolen(&cluster, "servers.pem", &params);
    Handshake::run(&honest, &rogue::server(chain, key, ALPN_H2)).expect_success();
}

#[test]
fn pr18_key_that_signs_masters_cannot_make_a_worker() {
    let cluster = Cluster::new();
    let params = worker_leaf(&cluster.authority.cluster().to_string());
    let door = cluster.tls().config(Door::Main);
    let connect = |file| {
        let identity = signed_with_stolen(&cluster, file, &params);
        Handshake::run(&rogue::client(Some(identity), &[&TLS13], ALPN_H2), &door)
    };
    connect("servers.pem").expect_server_refuses();
    connect("clients.pem").expect_success();
}

#[test]
fn leaf_of_a_foreign_form_fails_in_the_handshake_even_from_the_right_signer() {
    let cluster = Cluster::new();
    let mut params = worker_leaf(&cluster.authority.cluster().to_string());
    params.extended_key_usages.clear();
    let identity = signed_with_stolen(&cluster, "clients.pem", &params);
    let posing = rogue::client(Some(identity), &[&TLS13], ALPN_H2);
    let done = Handshake::run(&posing, &cluster.tls().config(Door::Main));
    let error = done.expect_server_refuses().to_string();
    assert!(error.contains("purpose"), "{error}");
}

#[test]
fn intermediate_cannot_make_another_authority() {
    let cluster = Cluster::new();
    let (certificate, key) = cluster.stolen("clients.pem");
    let issuer = Issuer::from_ca_cert_der(&certificate, key).unwrap();
    let mut below = CertificateParams::default();
    below.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    below.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let below_key = KeyPair::generate().unwrap();
    let below_certificate = below.signed_by(&below_key, &issuer).unwrap();
    let below_issuer = Issuer::from_params(&below, below_key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = worker_leaf(&cluster.authority.cluster().to_string())
        .signed_by(&leaf_key, &below_issuer)
        .unwrap();
    let chain = vec![leaf.into(), below_certificate.into(), certificate];
    let posing = rogue::client(
        Some((chain, PrivateKeyDer::from(leaf_key))),
        &[&TLS13],
        ALPN_H2,
    );
    Handshake::run(&posing, &cluster.tls().config(Door::Main)).expect_server_refuses();
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        prop_assert!(authenticator().identify(&[bytes.into()]).is_err());
    }

    #[test]
    fn a_damaged_leaf_never_panics(at in 0_usize..1000, flip in 1_u8..) {
        let key = KeyPair::generate().unwrap();
        let mut der = worker_leaf(CLUSTER).self_signed(&key).unwrap().der().to_vec();
        let at = at % der.len();
        der[at] ^= flip;
        let _ = authenticator().identify(&[der.into()]);
    }
}
