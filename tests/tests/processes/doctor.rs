//! `jobyard-worker doctor` says what this machine can do, and tries it.

use std::process::Command;

use jobyard_tests::{Ran, program};

use crate::site::Site;

fn doctor(options: &[&str]) -> Ran {
    let data = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(program("jobyard-worker"));
    command
        .arg("doctor")
        .args(options)
        .arg("--data")
        .arg(data.path());
    Ran::of(&mut command)
}

#[test]
fn xj22_doctor_says_the_same_as_the_tag() {
    let site = Site::of_nobody(&[]);
    let said = doctor(&["--job-user", "nobody"]).ok().text();
    assert!(said.contains("hard"), "{said}");
    assert!(site.offers("containment=hard"));
    let said = doctor(&["--containment", "subreaper"]).ok().text();
    assert!(said.contains("best-effort"), "{said}");
}

#[test]
fn doctor_answers_programs_as_well() {
    let said = doctor(&["--json"]).ok().json();
    assert!(said.is_object(), "{said}");
}
