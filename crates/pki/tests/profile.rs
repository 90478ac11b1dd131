//! Client profiles: what is written is read back, and what is not ours is refused with its place.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use jobyard_pki::{ClientProfile, InvalidMasters, ProfileError};
use support::Cluster;

fn saved(dir: &Path) -> PathBuf {
    let cluster = Cluster::new();
    let masters = vec!["127.0.0.1:7411".to_owned(), "[::1]:7411".to_owned()];
    let path = dir.join("admin.toml");
    let profile = ClientProfile::new(masters, cluster.client()).unwrap();
    profile.save(&path).unwrap();
    path
}

/// Changes the text of a file and keeps its mode.
fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, change(text)).unwrap();
}

#[test]
fn profile_reads_back_what_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    let profile = ClientProfile::load(&path).unwrap();
    assert_eq!(profile.masters(), ["127.0.0.1:7411", "[::1]:7411"]);
    profile.save(&path).unwrap();
    let again = ClientProfile::load(&path).unwrap();
    assert_eq!(
        again.credentials().identity(),
        profile.credentials().identity()
    );
}

#[cfg(unix)]
#[test]
fn refuse_profile_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = ClientProfile::load(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn refuse_unknown_key_with_file_and_line_and_without_quoting_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    edit(&path, |text| text + "master = \"typo\"\n");
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    let error = ClientProfile::load(&path).unwrap_err().to_string();
    assert!(error.contains("admin.toml"), "{error}");
    assert!(error.contains(&format!("line {lines}")), "{error}");
    assert!(error.contains("`master`"), "{error}");

    edit(&path, |text| text.replace("\"\"\"\nmaster", "\nmaster"));
    let error = ClientProfile::load(&path).unwrap_err();
    let text = fs::read_to_string(&path).unwrap();
    let key_line = text.lines().rev().nth(4).unwrap();
    assert!(matches!(error, ProfileError::Syntax { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(key_line), "{error}");
}

#[test]
fn say_when_there_is_none_and_when_it_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let missing = ClientProfile::load(&dir.path().join("other.toml")).unwrap_err();
    assert!(matches!(missing, ProfileError::Missing { .. }), "{missing}");
    let path = saved(dir.path());
    edit(&path, |text| {
        text.replacen("BEGIN CERTIFICATE", "BEGIN X", 1)
    });
    let broken = ClientProfile::load(&path).unwrap_err();
    assert!(
        matches!(broken, ProfileError::Credentials { .. }),
        "{broken}"
    );
}

#[test]
fn refuse_masters_that_are_no_addresses() {
    let cluster = Cluster::new();
    for address in ["", "host", "host:", ":7411", "host:0", "a b:1", "x\"y:1"] {
        let refused = ClientProfile::new(vec![address.to_owned()], cluster.client());
        assert!(
            matches!(refused, Err(InvalidMasters::Address { .. })),
            "{address}"
        );
    }
    let none = ClientProfile::new(Vec::new(), cluster.client());
    assert!(matches!(none, Err(InvalidMasters::Number { count: 0 })));
}
