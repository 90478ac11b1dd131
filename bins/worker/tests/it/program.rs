//! Joining, running, ending, and being refused.

use std::path::Path;

use jobyard_core::{Contact, Outcome, Resources, TagSet};

use crate::support::{Cluster, Program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_run_a_job_and_leave_and_come_back_without_a_token() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let mut worker = cluster.worker("worker", &token);
    assert!(worker.logs("is connected").await, "{}", worker.seen);
    let outcome = cluster
        .run(1, "test \"$GREETING-$JOBYARD_WORKER_NAME\" = hello-builder")
        .await;
    assert_eq!(outcome, Outcome::Succeeded, "{}", worker.seen);
    let first = cluster.workers().await;
    assert!(first[0].tags.contains(&"special".parse().unwrap()) && first[0].tags.has_key("os"));
    worker.terminate();
    assert!(worker.ended().await.success(), "{}", worker.seen);
    let secret = token.split('.').nth(3).unwrap();
    assert!(!worker.seen.contains(secret), "the token is in the log");

    // The token is used up by now; it is not needed.
    let mut worker = cluster.worker("worker", "no token at all");
    assert!(worker.logs("is connected").await, "{}", worker.seen);
    let again = cluster.workers().await;
    assert_eq!((again.len(), again[0].id), (1, first[0].id));
    assert_eq!(again[0].contact, Contact::Connected);
    worker.terminate();
    assert!(worker.ended().await.success(), "{}", worker.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_learns_what_the_flags_offer() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let flags = [
        "--slots=3",
        "--cpu=1.5",
        "--memory=2GiB",
        "--resource=gpu=2",
        "--resource=license=1",
        "--exclusive-tag=night",
        "--no-auto-tags",
    ];
    let mut program = cluster.worker_with("worker", &token, &flags);
    assert!(program.logs("is connected").await, "{}", program.seen);
    let worker = cluster.workers().await.remove(0);
    let mut capacity = Resources::of_slots(3).with("gpu", 2).with("license", 1);
    (capacity.cpu_millis, capacity.memory_bytes) = (1500, 2 << 30);
    assert_eq!(worker.capacity, capacity);
    let texts = |tags: &TagSet| -> Vec<String> { tags.iter().map(|tag| tag.to_string()).collect() };
    assert_eq!(texts(&worker.exclusive), ["night"]);
    // Jobs ask for their executor, so that one stays.
    assert_eq!(
        texts(&worker.tags),
        ["executor=process", "night", "special"]
    );
    program.terminate();
    assert!(program.ended().await.success(), "{}", program.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_token_is_refused_with_one_clear_sentence() {
    let cluster = Cluster::start().await;
    let token = cluster.token().await;
    let mut first = cluster.worker("one", &token);
    assert!(first.logs("is connected").await, "{}", first.seen);
    let mut second = cluster.worker("two", &token);
    assert_eq!(second.ended().await.code(), Some(1));
    let last = second.seen.lines().last().unwrap();
    assert!(
        last.starts_with("jobyard-worker: could not join: "),
        "{}",
        second.seen
    );
    assert!(!second.seen.contains(token.split('.').nth(3).unwrap()));
}

#[tokio::test]
async fn say_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["--data", data], 2, "--master"),
        (
            &["--data", data, "--master", "127.0.0.1:1"],
            1,
            "jobyard token create",
        ),
        (
            &[
                "--data",
                data,
                "--master",
                "m:1",
                "--on-term",
                "detach",
                "--launcher",
                "none",
            ],
            2,
            "detach",
        ),
        (
            &[
                "--data",
                data,
                "--master",
                "m:1",
                "--launcher",
                "/etc/passwd",
            ],
            2,
            "--launcher: /etc/passwd",
        ),
        (
            &["--data", "/etc/passwd", "--master", "m:1"],
            2,
            "/etc/passwd is no directory",
        ),
        (&["--max-memory-pressure", "400"], 2, "from 1 to 100"),
        (&["--memory", "8"], 2, "as in 8GiB"),
        (&["--no-such-flag"], 2, "--no-such-flag"),
    ];
    for (arguments, code, text) in cases {
        let mut program = Program::start(arguments);
        assert_eq!(program.ended().await.code(), Some(code), "{}", program.seen);
        assert!(program.seen.contains(text), "{}", program.seen);
    }
    assert!(!Path::new(data).join("journal").exists());
}
