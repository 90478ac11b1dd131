//! What is in the certificates: exactly what the profile says, whatever the request asks for.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::time::Duration;

use jobyard_core::{CertAuthority, CertSerial, IssueError, Profile, Role};
use jobyard_pki::{BACKDATE, CLIENT_LIFETIME, KeyRequest};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SanType,
};
use support::{Cluster, DAY, block_on, seconds, worker_profile};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, ParsedExtension};

fn parse(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let names = certificate
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value;
    let uri = |name: &GeneralName<'a>| match name {
        GeneralName::URI(uri) => *uri,
        other => panic!("not a URI: {other}"),
    };
    names.general_names.iter().map(uri).collect()
}

#[test]
fn leaf_has_one_name_one_purpose_and_no_power() {
    let cluster = Cluster::new();
    let id = cluster.authority.cluster();
    let ada = Profile::Client {
        name: "ada".to_owned(),
        role: Role::Operator,
    };
    let worker = "worker/00000000-0000-0000-0000-000000000001";
    for (profile, path, server) in [
        (Profile::Master, "master", true),
        (worker_profile(1), worker, false),
        (ada, "client/operator/ada", false),
    ] {
        let issued = cluster.issue(&KeyRequest::generate().unwrap(), &profile);
        let leaf = parse(&issued.certificates[0]);
        assert_eq!(uris(&leaf), [format!("spiffe://{id}/{path}")]);
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((usage.server_auth, usage.client_auth), (server, !server));
        assert!(!usage.any && usage.other.is_empty());
        assert!(!leaf.basic_constraints().unwrap().unwrap().value.ca);
        let key_usage = leaf.key_usage().unwrap().unwrap().value;
        assert!(key_usage.digital_signature() && key_usage.flags == 1);
        let has_issuer_key = |ext: &ParsedExtension<'_>| matches!(ext, ParsedExtension::AuthorityKeyIdentifier(id) if id.key_identifier.is_some());
        assert!(
            leaf.extensions()
                .iter()
                .any(|ext| has_issuer_key(ext.parsed_extension()))
        );
        assert_eq!(CertSerial::from_bytes(leaf.raw_serial()), issued.serial);
    }
}

#[test]
fn intermediates_are_bound_to_one_purpose_and_to_leaves() {
    let cluster = Cluster::new();
    let request = KeyRequest::generate().unwrap();
    let root = &cluster.authority.trust_bundle().roots[0];
    let root = parse(root);
    let constraints = root.basic_constraints().unwrap().unwrap().value;
    assert_eq!(
        (constraints.ca, constraints.path_len_constraint),
        (true, Some(1))
    );
    for (profile, server) in [(Profile::Master, true), (worker_profile(1), false)] {
        let issued = cluster.issue(&request, &profile);
        assert_eq!(issued.certificates.len(), 2, "leaf and intermediate");
        let intermediate = parse(&issued.certificates[1]);
        let constraints = intermediate.basic_constraints().unwrap().unwrap().value;
        assert_eq!(
            (constraints.ca, constraints.path_len_constraint),
            (true, Some(0))
        );
        let usage = intermediate.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((usage.server_auth, usage.client_auth), (server, !server));
        assert!(
            intermediate
                .key_usage()
                .unwrap()
                .unwrap()
                .value
                .key_cert_sign()
        );
        assert_eq!(intermediate.issuer(), root.subject());
    }
}

#[test]
fn serials_are_random_and_long() {
    let cluster = Cluster::new();
    let request = KeyRequest::generate().unwrap();
    let serials: std::collections::BTreeSet<CertSerial> = (0..20)
        .map(|_| cluster.issue(&request, &worker_profile(1)).serial)
        .collect();
    assert_eq!(serials.len(), 20, "also for the same key");
    assert!(serials.iter().any(|serial| serial.as_str().len() == 32));
}

#[test]
fn validity_begins_a_little_ago_and_ends_with_the_issuer() {
    let cluster = Cluster::new();
    let request = KeyRequest::generate().unwrap();
    let now = cluster.now().as_micros() / 1_000_000;
    let issued = cluster.issue(&request, &worker_profile(1));
    let leaf = parse(&issued.certificates[0]);
    let begin = leaf.validity().not_before.timestamp() + seconds(BACKDATE);
    let end = leaf.validity().not_after.timestamp();
    assert!(
        (now..now + 60).contains(&begin),
        "{begin} is not about {now}"
    );
    assert_eq!(end - begin, seconds(CLIENT_LIFETIME));
    assert_eq!(issued.not_after.as_micros(), end * 1_000_000);

    let late = cluster.at(seconds(jobyard_pki::AUTHORITY_LIFETIME) - DAY);
    let issued = late.issue(&request, &worker_profile(1));
    let (leaf, issuer) = (
        parse(&issued.certificates[0]),
        parse(&issued.certificates[1]),
    );
    assert_eq!(leaf.validity().not_after, issuer.validity().not_after);
}

#[test]
fn xe12_nothing_but_the_key_is_taken_from_a_request() {
    let cluster = Cluster::new();
    let mut greedy = CertificateParams::new(vec!["master.example.org".to_owned()]).unwrap();
    let other = "spiffe://00000000-0000-0000-0000-000000000001/master";
    greedy
        .subject_alt_names
        .push(SanType::URI(other.to_owned().try_into().unwrap()));
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    greedy.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::Any,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let request = greedy.serialize_request(&key).unwrap();
    let issued = block_on(cluster.authority.issue(request.der(), &worker_profile(1))).unwrap();

    let leaf = parse(&issued.certificates[0]);
    assert_eq!(
        leaf.public_key().subject_public_key.data.as_ref(),
        key.public_key_raw()
    );
    assert_eq!(uris(&leaf).len(), 1);
    assert!(uris(&leaf)[0].ends_with("/worker/00000000-0000-0000-0000-000000000001"));
    assert!(!leaf.is_ca());
    assert_eq!(leaf.key_usage().unwrap().unwrap().value.flags, 1);
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let text = String::from_utf8_lossy(&issued.certificates[0]);
    assert!(!text.contains("example.org") && !text.contains("rcgen"));
}

#[test]
fn bad_requests_are_the_requesters_fault() {
    let cluster = Cluster::new();
    let request = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::default()
            .serialize_request(&key)
            .unwrap()
            .der()
            .to_vec()
    };
    let mut forged = request(&PKCS_ED25519);
    *forged.last_mut().unwrap() ^= 1;
    let mut trailing = request(&PKCS_ED25519);
    trailing.push(0);
    let oversized = vec![0x30; jobyard_core::MAX_CERTIFICATE_REQUEST_BYTES + 1];
    let odd = [request(&PKCS_RSA_SHA256), request(&PKCS_ECDSA_P384_SHA384)];
    for der in [forged, trailing, oversized, Vec::new()]
        .into_iter()
        .chain(odd)
    {
        let refused = block_on(cluster.authority.issue(&der, &worker_profile(1)));
        assert!(
            matches!(refused, Err(IssueError::BadRequest { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn xe16_client_names_that_need_escaping_are_refused() {
    let cluster = Cluster::new();
    let request = KeyRequest::generate().unwrap();
    for name in ["", "a/b", "../x", "a b", "x\0", &"x".repeat(65)] {
        let profile = Profile::Client {
            name: name.to_owned(),
            role: Role::Viewer,
        };
        let refused = block_on(cluster.authority.issue(request.request_der(), &profile));
        assert!(
            matches!(refused, Err(IssueError::BadRequest { .. })),
            "{name:?}"
        );
    }
}

#[test]
fn lifetimes_nest() {
    assert!(CLIENT_LIFETIME < jobyard_pki::AUTHORITY_LIFETIME);
    assert!(jobyard_pki::SERVER_LIFETIME < jobyard_pki::AUTHORITY_LIFETIME);
    assert!(jobyard_pki::AUTHORITY_LIFETIME < jobyard_pki::ROOT_LIFETIME);
    assert_eq!(BACKDATE, Duration::from_mins(5));
}
