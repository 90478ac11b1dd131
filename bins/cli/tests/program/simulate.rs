//! `jobyard simulate` as a program: it needs a file, and neither a profile nor a master.

use std::path::Path;

use crate::{home, jobyard, stderr};

#[test]
fn a_load_needs_no_master_s10() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = home();
    let load = root.join("examples/loads/two_teams.toml");
    let load = load.to_str().expect("a path that is text");
    let output = jobyard(home.path(), &["simulate", load, "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["jobs"], 314);
    assert_eq!(report["queues"][1]["queue"], "release");
}

#[test]
fn a_wrong_load_is_one_sentence_and_exit_2() {
    let home = home();
    std::fs::write(home.path().join("load.toml"), "[[worker]]\nname = \"a\"\n").expect("written");
    let output = jobyard(home.path(), &["simulate", "load.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("load.toml, line 1"), "{said}");
    assert!(said.contains("`worker` is not known"), "{said}");
}
