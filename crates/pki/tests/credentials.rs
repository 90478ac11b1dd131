//! What a peer keeps on its disk.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;

use bytes::Bytes;
use jobyard_core::{CertAuthority, Timestamp};
use jobyard_pki::{
    CLIENT_LIFETIME, Credentials, CredentialsError, Door, KeyRequest, LoadCredentialsError,
    client_config,
};
use proptest::prelude::*;
use support::{Cluster, DAY, Handshake, csr_key, seconds, worker_profile};

fn join(cluster: &Cluster, request: &KeyRequest) -> Credentials {
    let issued = cluster.issue(request, &worker_profile(1));
    let roots = cluster.authority.trust_bundle().roots;
    request
        .complete(&issued.certificates, &roots, cluster.now())
        .unwrap()
}

#[test]
fn saved_credentials_are_private_and_work_after_loading() {
    let cluster = Cluster::new();
    let dir = cluster.home.path().join("worker").join("identity");
    assert!(
        Credentials::load(&dir).unwrap().is_none(),
        "nothing is no error"
    );
    let saved = join(&cluster, &KeyRequest::open_pending(&dir).unwrap());
    saved.save(&dir).unwrap();
    let loaded = Credentials::load(&dir).unwrap().unwrap();
    assert_eq!(loaded.identity(), saved.identity());
    assert_eq!(loaded.cluster(), cluster.authority.cluster());
    assert_eq!(loaded.to_pem(), saved.to_pem());
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        1,
        "the waiting key is gone"
    );
    let config = client_config(&loaded).unwrap();
    Handshake::run(&config, &cluster.tls().config(Door::Main)).expect_success();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dir.clone()), 0o700);
        assert_eq!(mode(dir.join("credentials.pem")), 0o600);
    }
}

#[test]
fn xe10_key_waits_for_its_certificate_across_restarts() {
    let cluster = Cluster::new();
    let first = KeyRequest::open_pending(cluster.home.path()).unwrap();
    let again = KeyRequest::open_pending(cluster.home.path()).unwrap();
    assert_eq!(first.spki_hash(), again.spki_hash());
    assert_eq!(csr_key(&again).spki_hash(), first.spki_hash());
    join(&cluster, &again).save(cluster.home.path()).unwrap();
    let next = KeyRequest::open_pending(cluster.home.path()).unwrap();
    assert_ne!(next.spki_hash(), first.spki_hash());

    fs::write(cluster.home.path().join("pending-key.pem"), "nonsense").unwrap();
    let error = KeyRequest::open_pending(cluster.home.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("pending-key.pem"), "{error}");
}

#[test]
fn answer_for_another_key_or_another_cluster_is_refused() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let (request, other) = (
        KeyRequest::generate().unwrap(),
        KeyRequest::generate().unwrap(),
    );
    let roots = ours.authority.trust_bundle().roots;
    let now = ours.now();
    let issued = ours.issue(&other, &worker_profile(1)).certificates;
    assert_eq!(
        request.complete(&issued, &roots, now).unwrap_err(),
        CredentialsError::WrongKey
    );
    let issued = theirs.issue(&request, &worker_profile(1)).certificates;
    assert_eq!(
        request.complete(&issued, &roots, now).unwrap_err(),
        CredentialsError::ForeignRoot
    );
    let issued = ours.issue(&request, &worker_profile(1)).certificates;
    let incomplete = |result: Result<Credentials, _>| {
        assert!(
            matches!(result, Err(CredentialsError::Incomplete { .. })),
            "{result:?}"
        );
    };
    incomplete(request.complete(&[], &roots, now));
    incomplete(request.complete(&issued, &[], now));
    let nonsense = [Bytes::from_static(b"nonsense")];
    assert!(request.complete(&nonsense, &roots, now).is_err());
    assert!(request.complete(&issued, &nonsense, now).is_err());
    let without_intermediate = request.complete(&issued[..1], &roots, now);
    assert!(matches!(
        without_intermediate,
        Err(CredentialsError::Untrusted { .. })
    ));
}

#[test]
fn xt4_wrong_clock_is_named_with_its_skew() {
    let cluster = Cluster::new();
    let request = KeyRequest::generate().unwrap();
    let issued = cluster.issue(&request, &worker_profile(1)).certificates;
    let roots = cluster.authority.trust_bundle().roots;
    let complete = |shift: i64| {
        let now = Timestamp::from_micros(cluster.now().as_micros() + shift * 1_000_000);
        request.complete(&issued, &roots, now).map(drop)
    };
    assert_eq!(complete(-4 * 60), Ok(()));
    let error = complete(-10 * 60).unwrap_err();
    let CredentialsError::NotYetValid { seconds: skew } = error else {
        panic!("{error}");
    };
    assert!((299..=301).contains(&skew), "{skew}");
    let error = complete(seconds(CLIENT_LIFETIME) + DAY).unwrap_err();
    assert!(matches!(error, CredentialsError::Expired { .. }), "{error}");
}

#[test]
fn broken_files_are_named() {
    let cluster = Cluster::new();
    let dir = cluster.home.path();
    let (worker, other) = (cluster.worker(), cluster.client());
    worker.save(dir).unwrap();
    let path = dir.join("credentials.pem");
    let text = fs::read_to_string(&path).unwrap();
    let foreign = other.to_pem();
    let key_at = |text: &str| text.find("-----BEGIN PRIVATE KEY").unwrap();
    let mixed = format!("{}{}", &text[..key_at(&text)], &foreign[key_at(&foreign)..]);
    for damaged in [
        "",
        &text[..text.len() / 2],
        &text[..key_at(&text)],
        &mixed,
        "\u{0}",
    ] {
        fs::write(&path, damaged).unwrap();
        let error = Credentials::load(dir).unwrap_err();
        assert!(matches!(error, LoadCredentialsError::Broken { .. }));
        assert!(error.to_string().contains("credentials.pem"), "{error}");
    }
}

#[test]
fn pem_reads_back_and_says_when_it_ends() {
    let cluster = Cluster::new();
    let client = cluster.client();
    let read = Credentials::from_pem(&client.to_pem()).unwrap();
    assert_eq!(read.identity(), client.identity());
    let end = read.not_after().unwrap().as_micros() - cluster.now().as_micros();
    let life = seconds(CLIENT_LIFETIME);
    assert!((life - 60..=life).contains(&(end / 1_000_000)), "{end}");
}

#[test]
fn pr1_a_request_holds_no_private_key() {
    let request = KeyRequest::generate().unwrap();
    assert!(request.request_der().len() < 400);
    let shown = format!("{request:?}");
    assert!(
        shown.contains(&request.spki_hash().to_string()) && shown.len() < 150,
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,300}") {
        prop_assert!(Credentials::from_pem(&text).is_err());
    }
}
