//! The authority's directory: made once, loaded later, never half.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::sync::Arc;

use jobyard_core::{CertAuthority, IssueError, Profile, RotateError, RotationPhase};
use jobyard_pki::{AUTHORITY_LIFETIME, LocalAuthority, OpenAuthorityError};
use support::{Cluster, DAY, ShiftedClock, block_on, open, seconds};

const FILES: [&str; 3] = ["root.pem", "servers.pem", "clients.pem"];

fn reopen(cluster: &Cluster) -> Result<LocalAuthority, OpenAuthorityError> {
    LocalAuthority::open_or_create(&cluster.dir(), Arc::new(ShiftedClock(0)))
}

#[test]
fn opened_again_it_is_the_same_authority() {
    let cluster = Cluster::new();
    let again = reopen(&cluster).unwrap();
    assert_eq!(again.trust_bundle(), cluster.authority.trust_bundle());
    assert_eq!(again.cluster(), cluster.authority.cluster());
    assert_eq!(again.root_pin(), cluster.authority.root_pin());
    assert_eq!(again.trust_bundle().cluster, again.cluster());
}

#[test]
fn two_authorities_share_nothing() {
    let (one, two) = (Cluster::new(), Cluster::new());
    assert_ne!(one.authority.cluster(), two.authority.cluster());
    assert_ne!(one.authority.root_pin(), two.authority.root_pin());
}

#[cfg(unix)]
#[test]
fn directory_and_files_are_private_even_where_an_open_directory_waited() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("pki");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    open(&dir, 0);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.clone()), 0o700);
    for file in FILES {
        assert_eq!(mode(dir.join(file)), 0o600, "{file}");
    }
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        1,
        "nothing staged is left"
    );

    fs::set_permissions(dir.join("clients.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = LocalAuthority::open_or_create(&dir, Arc::new(ShiftedClock(0))).unwrap_err();
    assert!(error.to_string().contains("clients.pem"), "{error}");
}

#[test]
fn crash_while_it_was_made_leaves_no_trace() {
    let home = tempfile::tempdir().unwrap();
    let staged = home.path().join("pki.new");
    fs::create_dir(&staged).unwrap();
    fs::write(staged.join("root.pem"), "half").unwrap();
    open(&home.path().join("pki"), 0);
    assert!(!staged.exists());
}

#[test]
fn missing_file_is_named_and_nothing_is_made_anew() {
    for file in FILES {
        let cluster = Cluster::new();
        fs::remove_file(cluster.dir().join(file)).unwrap();
        let error = reopen(&cluster).unwrap_err();
        assert!(
            matches!(error, OpenAuthorityError::Missing { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(file), "{error}");
        assert!(!cluster.dir().join(file).exists());
    }
}

#[test]
fn broken_file_is_named() {
    for file in FILES {
        for damage in [
            |text: &str| text[..text.len() / 2].to_owned(),
            |_: &str| String::new(),
        ] {
            let cluster = Cluster::new();
            let path = cluster.dir().join(file);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, damage(&text)).unwrap();
            let error = reopen(&cluster).unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
        }
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let cases = [
        ("servers.pem", "clients.pem"),
        ("clients.pem", "servers.pem"),
        ("root.pem", "clients.pem"),
    ];
    for (from, to) in cases {
        let cluster = Cluster::new();
        fs::copy(cluster.dir().join(from), cluster.dir().join(to)).unwrap();
        let error = reopen(&cluster).unwrap_err().to_string();
        assert!(error.contains(to), "{from} as {to}: {error}");
    }
    for file in FILES {
        let (ours, theirs) = (Cluster::new(), Cluster::new());
        fs::copy(theirs.dir().join(file), ours.dir().join(file)).unwrap();
        assert!(reopen(&ours).is_err(), "{file} of another cluster");
    }
    // The certificate of one, the key of another.
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let path = ours.dir().join("servers.pem");
    let text = fs::read_to_string(&path).unwrap();
    let foreign = fs::read_to_string(theirs.dir().join("servers.pem")).unwrap();
    let key_at = |text: &str| text.find("-----BEGIN PRIVATE KEY").unwrap();
    let mixed = format!("{}{}", &text[..key_at(&text)], &foreign[key_at(&foreign)..]);
    fs::write(&path, mixed).unwrap();
    let error = reopen(&ours).unwrap_err().to_string();
    assert!(error.contains("private key is not the one"), "{error}");
}

#[test]
fn expired_intermediate_opens_but_does_not_sign() {
    let cluster = Cluster::made(-seconds(AUTHORITY_LIFETIME) - DAY).at(0);
    let request = jobyard_pki::KeyRequest::generate().unwrap();
    let refused = block_on(
        cluster
            .authority
            .issue(request.request_der(), &Profile::Master),
    );
    assert!(
        matches!(refused, Err(IssueError::Unavailable { .. })),
        "{refused:?}"
    );
}

#[test]
fn rotation_is_refused() {
    let refused = block_on(Cluster::new().authority.rotate(RotationPhase::Announced));
    assert_eq!(refused, Err(RotateError::Unsupported));
}

#[test]
fn bundle_is_newer_than_nothing_and_never_changes() {
    let cluster = Cluster::new();
    let authority = &cluster.authority;
    let generation = authority.trust_bundle().generation;
    block_on(authority.trust_bundle_changed(generation - 1));
    let changed = std::pin::pin!(authority.trust_bundle_changed(generation));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(changed.poll(&mut context).is_pending());
}

#[test]
fn debug_shows_no_key() {
    let cluster = Cluster::new();
    let shown = format!("{:?} {:?}", cluster.authority, cluster.worker());
    assert!(!shown.to_lowercase().contains("key"), "{shown}");
}
