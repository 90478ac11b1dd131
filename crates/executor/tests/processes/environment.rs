//! The environment is built, never inherited.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use jobyard_executor::{DEFAULT_PATH, ProcessConfig};

use crate::workbench::{Workbench, as_told};

#[tokio::test]
async fn environment_is_exactly_as_built_p2_xj24() {
    let config = ProcessConfig::command(["env", "-0"])
        .with_env("OWN", "with\nnewline and = sign")
        .with_env("BOTH", "job");
    let mut bench = Workbench::new(&config);
    bench.executor = bench.executor.with_home("/home/of/jobs");
    let worker = [("BOTH", "worker"), ("JOBYARD_JOB_ID", "17")];
    bench.context.env = worker.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let tmp = bench.scratch("tmp");
    let printed = as_told(&bench.prints().await);
    let found: BTreeMap<&str, &str> = printed
        .split_terminator('\0')
        .map(|entry| entry.split_once('=').expect("name and value"))
        .collect();
    let expected = BTreeMap::from([
        ("BOTH", "job"),
        ("CI", "true"),
        ("HOME", "/home/of/jobs"),
        ("JOBYARD_JOB_ID", "17"),
        ("LANG", "C.UTF-8"),
        ("OWN", "with\nnewline and = sign"),
        ("PATH", DEFAULT_PATH),
        ("TMPDIR", tmp.to_str().expect("text")),
    ]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn program_is_looked_up_in_the_path_of_the_job_xj2() {
    let home = tempfile::tempdir().expect("a directory");
    let program = home.path().join("my-tool");
    fs::write(&program, "#!/bin/sh\necho \"$0 $1\"\n").expect("written");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("our own");
    let path = format!("/no/such:{}", home.path().display());
    let config = ProcessConfig::command(["my-tool", "works"]).with_env("PATH", path);
    let printed = Workbench::new(&config).prints().await;
    assert!(printed.trim().ends_with("my-tool works"), "{printed}");
}

#[tokio::test]
async fn private_tmpdir_is_made_and_removed_p9() {
    let mut running = Workbench::script(
        "touch $TMPDIR/mine; mkdir $TMPDIR/closed; touch $TMPDIR/closed/x; chmod 0 $TMPDIR/closed; \
         stat -c %a $TMPDIR; echo $TMPDIR",
    )
    .begin();
    let ending = running.finished().await;
    assert!(
        ending
            .outcome
            .exit()
            .is_some_and(jobyard_core::Exit::is_success)
    );
    let printed = running.printed("tmp\n").await;
    let (mode, path) = printed.split_once('\n').expect("two lines");
    assert_eq!(mode, "700");
    assert!(!std::path::Path::new(path.trim()).exists());
    assert!(running.left().is_empty());
}
