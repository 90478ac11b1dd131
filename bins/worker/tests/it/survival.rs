//! The worker ends, and its jobs do not.

use jobyard_core::{Exit, Outcome};

use crate::support::Cluster;

const PROTECTION_OFF: [&str; 3] = [
    "--min-free-disk=0",
    "--min-free-memory=0",
    "--max-memory-pressure=100",
];

/// Opens a gate at which a job waits.
async fn open(gate: std::path::PathBuf) {
    let write = move || std::fs::write(gate, "go\n");
    tokio::task::spawn_blocking(write).await.unwrap().unwrap();
}

fn gate(cluster: &Cluster) -> std::path::PathBuf {
    let gate = cluster.dir.path().join("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status();
    assert!(made.unwrap().success());
    gate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_worker_ends_at_once_and_the_next_one_goes_on_with_its_jobs() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let flags = [&PROTECTION_OFF[..], &["--on-term=detach"]].concat();
    let mut first = cluster.worker_with("worker", &token, &flags);
    assert!(first.logs("is connected").await, "{}", first.seen);
    let gate = gate(&cluster);
    let script = format!(
        "seq 1 20000; read go < {}; seq 20001 40000; exit 7",
        gate.display()
    );
    let job = cluster.submit(1, &script).await;
    cluster
        .output(job, |output| output.ends_with(b"20000\n"))
        .await;
    first.terminate();
    assert!(first.ended().await.success(), "{}", first.seen);
    assert!(
        first.seen.contains("left 1 attempts running"),
        "{}",
        first.seen
    );

    let mut second = cluster.worker_with("worker", &token, &flags);
    assert!(second.logs("is connected").await, "{}", second.seen);
    open(gate).await;
    let exit = Exit::Exited(7);
    assert_eq!(
        cluster.outcome(job).await,
        Outcome::Failed { exit },
        "{}",
        second.seen
    );
    let lines: Vec<String> = (1..=40_000).map(|line| line.to_string()).collect();
    let output = cluster.output(job, |_| false).await;
    assert!(
        output == (lines.join("\n") + "\n").as_bytes(),
        "{} bytes",
        output.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_ends_while_its_worker_is_killed_is_reported_as_it_ended() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let mut first = cluster.worker_with("worker", &token, &PROTECTION_OFF);
    assert!(first.logs("is connected").await, "{}", first.seen);
    let gate = gate(&cluster);
    let done = cluster.dir.path().join("done");
    let script = format!(
        "echo before; read go < {}; echo after; exec 1>&- 2>&-; echo done > {}; exit 3",
        gate.display(),
        done.display()
    );
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&done)
            .status()
            .unwrap()
            .success()
    );
    let job = cluster.submit(1, &script).await;
    cluster.output(job, |output| !output.is_empty()).await;
    first.child.kill().await.unwrap();
    open(gate).await;
    let read = tokio::task::spawn_blocking(move || std::fs::read(done));
    assert_eq!(read.await.unwrap().unwrap(), b"done\n");

    let mut second = cluster.worker_with("worker", &token, &PROTECTION_OFF);
    assert!(second.logs("is connected").await, "{}", second.seen);
    let exit = Exit::Exited(3);
    assert_eq!(
        cluster.outcome(job).await,
        Outcome::Failed { exit },
        "{}",
        second.seen
    );
    assert_eq!(cluster.output(job, |_| false).await, b"before\nafter\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_room_takes_no_jobs_and_says_why() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let mut program = cluster.worker_with("worker", &token, &["--min-free-disk=99%"]);
    assert!(program.logs("is connected").await, "{}", program.seen);
    assert!(
        program.seen.contains("this worker takes no jobs"),
        "{}",
        program.seen
    );
    program.terminate();
    assert!(program.ended().await.success(), "{}", program.seen);
}
