//! `jobyard simulate` as a program: it needs a file, and neither a profile nor a master.

use std::path::Path;
use std::process::{Command, Output};

fn simulate(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobyard"))
        .arg("simulate")
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env_remove("JOBYARD_PROFILE")
        .output()
        .expect("the program runs")
}

#[test]
fn a_load_needs_no_master_s10() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = tempfile::tempdir().expect("a directory");
    let load = root.join("examples/loads/two_teams.toml");
    let load = load.to_str().expect("a path that is text");
    let output = simulate(home.path(), &[load, "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["jobs"], 314);
    assert_eq!(report["queues"][1]["queue"], "release");
}

#[test]
fn a_wrong_load_is_one_sentence_and_exit_2() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("load.toml"), "[[worker]]\nname = \"a\"\n").expect("written");
    let output = simulate(home.path(), &["load.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("load.toml, line 1"), "{said}");
    assert!(said.contains("`worker` is not known"), "{said}");
}
