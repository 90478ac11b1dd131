//! A program that was written a moment ago.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jobyard_executor::ProcessConfig;
use tokio::task::{JoinSet, spawn_blocking};

use crate::workbench::Workbench;

#[tokio::test(flavor = "multi_thread")]
async fn freshly_written_program_always_starts_p11() {
    let program = fs::read("/bin/true").expect("there");
    let dir = tempfile::tempdir().expect("a directory");
    let mut jobs = JoinSet::new();
    for number in 0..100 {
        let file = dir.path().join(format!("program{number}"));
        let program = program.clone();
        jobs.spawn(async move {
            let path = file.to_str().expect("text").to_owned();
            let written = spawn_blocking(move || {
                fs::write(&file, program).expect("written");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our own");
            });
            written.await.expect("written");
            Workbench::new(&ProcessConfig::command([path]))
                .succeed()
                .await;
        });
    }
    while let Some(done) = jobs.join_next().await {
        done.expect("every one of them runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_is_still_being_written_is_waited_for_p11() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("program");
    fs::copy("/bin/true", &file).expect("copied");
    let writer = fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .expect("our own");
    let bench = Workbench::new(&ProcessConfig::command([file.to_str().expect("text")]));
    let running = tokio::spawn(bench.succeed());
    tokio::task::yield_now().await;
    drop(writer);
    running.await.expect("it runs once the writer is gone");
}
