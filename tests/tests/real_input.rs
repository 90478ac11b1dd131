//! The main job on real input: this very repository is cloned at a revision and its tests are run on a worker, with the
//! log followed live to the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use jobyard_tests::Cluster;

#[test]
fn a_job_clones_this_repository_and_runs_tests_of_it() {
    let repository = repository();
    let revision = git(&repository, &["rev-parse", "HEAD"]);
    let cluster = Cluster::start();
    let token = cluster.token("join.token", &[]);
    let pass = [
        "--tag",
        "rust",
        "--pass-env",
        "PATH",
        "--pass-env",
        "CARGO_HOME",
        "--pass-env",
        "RUSTUP_HOME",
    ];
    let _worker = cluster.worker("builder", &token, &pass);
    let script = "git clone --quiet \"$0\" source\n\
                  cd source\n\
                  git checkout --quiet \"$1\"\n\
                  cargo test --package jobyard-core\n";
    let repository = repository.to_str().expect("a UTF-8 path");
    let ran = cluster.cli(&[
        "run", "--tag", "rust", "--", "sh", "-eu", "-c", script, repository, &revision,
    ]);
    let output = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.code, Some(0), "{output}{}", ran.stderr);
    assert!(
        output.contains("test result: ok."),
        "{output}{}",
        ran.stderr
    );
    let jobs = cluster.cli(&["jobs", "--json"]).ok().text();
    assert!(jobs.contains("\"complete\""), "{jobs}");
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    PathBuf::from(git(here, &["rev-parse", "--show-toplevel"]))
}

fn git(at: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(at)
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned()
}
