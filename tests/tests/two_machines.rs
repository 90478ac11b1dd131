//! A master, two workers with different tags, and the CLI, as separate processes.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use jobyard_tests::{Cluster, Program, Ran};
use serde_json::Value;
use sha2::{Digest, Sha256};

struct TwoWorkers {
    cluster: Cluster,
    _red: Program,
    _blue: Program,
}

fn two_workers() -> TwoWorkers {
    let cluster = Cluster::start();
    let token = cluster.token("join.token", &["--uses", "2"]);
    let red = cluster.worker("red", &token, &["--tag", "colour=red", "--slots", "2"]);
    let blue = cluster.worker("blue", &token, &["--tag", "colour=blue", "--slots", "2"]);
    TwoWorkers {
        cluster,
        _red: red,
        _blue: blue,
    }
}

fn where_it_ran(cluster: &Cluster, tag: &str) -> String {
    let script = [
        "run",
        "--tag",
        tag,
        "--",
        "sh",
        "-c",
        "echo $JOBYARD_WORKER_NAME",
    ];
    cluster.cli(&script).ok().text()
}

#[test]
fn jobs_go_to_the_worker_whose_tags_match() {
    let yard = two_workers();
    for _ in 0..3 {
        assert_eq!(where_it_ran(&yard.cluster, "colour=red"), "red");
        assert_eq!(where_it_ran(&yard.cluster, "colour=blue"), "blue");
    }
    let either = where_it_ran(&yard.cluster, "colour=red|blue");
    assert!(either == "red" || either == "blue", "{either}");
}

#[test]
fn a_job_that_matches_no_worker_waits_and_says_why() {
    let yard = two_workers();
    let job = yard
        .cluster
        .cli(&["submit", "--tag", "gpu", "--", "true"])
        .ok()
        .text();
    let why = yard.cluster.cli(&["explain", &job, "--json"]).ok().json();
    assert_eq!(why["verdict"], "never", "{why}");
    assert!(why["reasons"].to_string().contains("gpu"), "{why}");
    let why = yard.cluster.cli(&["explain", &job]).ok().text();
    assert!(why.contains("2 of 2 workers do not meet `gpu`"), "{why}");

    // The worker that it waits for comes, and the job starts without being asked.
    let token = yard.cluster.token("late.token", &["--tag", "gpu"]);
    let _late = yard.cluster.worker("late", &token, &[]);
    assert_eq!(yard.cluster.cli(&["wait", &job]).code, Some(0));
}

#[test]
fn a_suspended_worker_gets_no_job_until_it_is_resumed() {
    let yard = two_workers();
    let _ = yard.cluster.cli(&["worker", "suspend", "red"]).ok();
    assert_eq!(state_of(&yard.cluster, "red"), "suspended");
    let job = yard
        .cluster
        .cli(&["submit", "--tag", "colour=red", "--", "true"])
        .ok()
        .text();
    let why = yard.cluster.cli(&["explain", &job, "--json"]).ok().json();
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert!(why["reasons"].to_string().contains("suspended"), "{why}");
    // Another job has run from end to end meanwhile, and this one still waits.
    assert_eq!(where_it_ran(&yard.cluster, "colour=blue"), "blue");
    let shown = yard.cluster.cli(&["show", &job, "--json"]).ok().json();
    assert_eq!(shown["state"], "queued");
    let _ = yard.cluster.cli(&["worker", "resume", "red"]).ok();
    assert_eq!(yard.cluster.cli(&["wait", &job]).code, Some(0));
}

fn state_of(cluster: &Cluster, worker: &str) -> String {
    let shown = cluster
        .cli(&["worker", "show", worker, "--json"])
        .ok()
        .json();
    shown["state"].as_str().expect("a state").to_owned()
}

#[test]
fn stop_ends_a_running_job_and_its_processes() {
    let yard = two_workers();
    let script = "sleep 1000 & echo $$ $!; wait";
    let job = yard
        .cluster
        .cli(&["submit", "--", "sh", "-c", script])
        .ok()
        .text();
    let mut follower = yard
        .cluster
        .command(&["logs", "--follow", &job])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the CLI starts");
    let mut line = String::new();
    let mut output = BufReader::new(follower.stdout.take().expect("piped"));
    output
        .read_line(&mut line)
        .expect("the job prints its processes");
    let pids: Vec<u32> = line
        .split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect();
    assert_eq!(pids.len(), 2, "{line}");

    let _ = yard.cluster.cli(&["stop", &job]).ok();
    assert_eq!(yard.cluster.cli(&["wait", &job]).code, Some(130));
    let shown = yard.cluster.cli(&["show", &job, "--json"]).ok().json();
    assert_eq!(shown["outcome"]["kind"], "cancelled", "{shown}");
    for pid in pids {
        assert!(!is_running(pid), "process {pid} is still there");
    }
    output.read_to_string(&mut line).expect("the follower ends");
    follower.wait().expect("the follower ends");
}

/// A process that has ended and that nobody has waited for yet does not run.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    })
}

#[test]
fn follow_shows_output_while_it_is_printed() {
    let yard = two_workers();
    let gate = yard.cluster.path("gate");
    made_fifo(&gate);
    let script = format!(
        "echo before; read line < {}; echo after $line",
        gate.display()
    );
    let job = yard
        .cluster
        .cli(&["submit", "--", "sh", "-c", &script])
        .ok()
        .text();
    let mut follower = yard
        .cluster
        .command(&["logs", "--follow", &job])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the CLI starts");
    let mut output = BufReader::new(follower.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    // The job cannot go on before this line has arrived here.
    assert_eq!(line, "before\n");
    std::fs::write(&gate, "the gate\n").expect("the job reads");
    line.clear();
    output.read_line(&mut line).expect("a line");
    assert_eq!(line, "after the gate\n");
    assert!(follower.wait().expect("the follower ends").success());
}

fn made_fifo(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
}

#[test]
fn ten_mebibytes_of_random_bytes_come_back_identical() {
    let yard = two_workers();
    let copy = yard.cluster.path("copy");
    let script = format!("head -c 10485760 /dev/urandom | tee {}", copy.display());
    let job = yard
        .cluster
        .cli(&["submit", "--", "sh", "-c", &script])
        .ok()
        .text();
    assert_eq!(yard.cluster.cli(&["wait", &job]).code, Some(0));
    let followed: Ran = yard.cluster.cli(&["logs", "--follow", &job]).ok();
    let printed = std::fs::read(&copy).expect("the job wrote a copy");
    assert_eq!(printed.len(), 10 * 1024 * 1024);
    assert_eq!(Sha256::digest(&followed.stdout), Sha256::digest(&printed));
    let tail = yard.cluster.cli(&["logs", "--from", "10485000", &job]).ok();
    assert_eq!(tail.stdout, printed[10_485_000..]);
}

#[test]
fn lists_show_workers_jobs_and_the_state_of_the_master() {
    let yard = two_workers();
    let job = yard
        .cluster
        .cli(&["submit", "--label", "team=a", "--", "true"])
        .ok()
        .text();
    assert_eq!(yard.cluster.cli(&["wait", &job]).code, Some(0));
    let jobs = yard
        .cluster
        .cli(&["jobs", "--label", "team=a", "--json"])
        .ok()
        .json();
    let listed = jobs
        .as_array()
        .or_else(|| jobs["jobs"].as_array())
        .expect("a list");
    assert_eq!(listed.len(), 1, "{jobs}");
    assert_eq!(listed[0]["job_id"], Value::String(job));
    assert_eq!(listed[0]["outcome"]["kind"], "succeeded");
    let workers = yard.cluster.cli(&["workers", "--json"]).ok().text();
    assert!(
        workers.contains("\"red\"") && workers.contains("\"blue\""),
        "{workers}"
    );
    let status = yard.cluster.cli(&["status", "--json"]).ok().json();
    assert_eq!(status["workers"]["active"], 2, "{status}");
}
