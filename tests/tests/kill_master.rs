//! The master is killed with `kill -9` in the middle of a load, and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::Path;

use jobyard_tests::{Cluster, Program};
use serde_json::Value;

const JOBS: usize = 2_000;
/// How many slots the two workers have together: this many run or are assigned when the master dies.
const SLOTS: usize = 120;

#[test]
fn every_job_of_two_thousand_runs_once_although_the_master_is_killed() {
    let mut cluster = Cluster::start();
    let token = cluster.token("join.token", &["--uses", "2"]);
    let slots = (SLOTS / 2).to_string();
    let options = ["--slots", slots.as_str()];
    let _one = cluster.worker("one", &token, &options);
    let _two = cluster.worker("two", &token, &options);

    // The first jobs wait until the test lets them go on, so that the moment of the kill is certain.
    let gate = cluster.path("gate");
    let ran = cluster.path("ran");
    let begun = cluster.path("begun");
    make_fifo(&begun);
    let file = cluster.path("jobs.jsonl");
    fs::write(&file, job_file(&gate, &begun, &ran)).expect("the job file is written");
    let submitted = cluster
        .cli(&["submit", "-f", file.to_str().expect("UTF-8")])
        .ok()
        .text();
    let ids: Vec<&str> = submitted.lines().collect();
    assert_eq!(ids.len(), JOBS);

    wait_for_begun(&begun, SLOTS);
    let status = cluster.cli(&["status", "--json"]).ok().json();
    let waiting = status["jobs"]["queued"].as_u64().unwrap_or(0);
    let placed = ["assigned", "running"].map(|state| status["jobs"][state].as_u64().unwrap_or(0));
    assert!(waiting >= 500, "{status}");
    assert!(placed.iter().sum::<u64>() >= 100, "{status}");

    cluster.master.kill_9();
    // Some of the running jobs end while the master is away: their results have to arrive later.
    fs::write(&gate, "open").expect("the gate opens");
    cluster.restart_master();

    for chunk in ids.chunks(100) {
        let mut arguments = vec!["wait"];
        arguments.extend(chunk);
        assert_eq!(cluster.cli(&arguments).code, Some(0));
    }
    check_outcomes(&cluster, &ids);
    check_runs(&ran, &ids);
    assert_nothing_is_left(&cluster);
}

/// JSON lines: the first jobs say that they have begun and wait for the gate, the others run through.
fn job_file(gate: &Path, begun: &Path, ran: &Path) -> String {
    let note = format!("echo $JOBYARD_JOB_ID $JOBYARD_ATTEMPT >> {}", ran.display());
    let wait = format!(
        "echo x > {}; while [ ! -e {} ]; do sleep 0.1; done; {note}",
        begun.display(),
        gate.display()
    );
    let mut text = String::new();
    for number in 0..JOBS {
        let script = if number < SLOTS { &wait } else { &note };
        let job = serde_json::json!({ "name": format!("job {number}"), "script": script });
        writeln!(text, "{job}").expect("a string grows");
    }
    text
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
}

/// Each job that has begun writes a line into the pipe.
fn wait_for_begun(begun: &Path, number: usize) {
    // Open for reading and writing, so that the pipe does not end between two writers.
    let mut pipe = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(begun)
        .expect("the pipe opens");
    let mut bytes = vec![0; number * 2];
    pipe.read_exact(&mut bytes).expect("each job writes a line");
}

/// The whole list, page by page: every job ended once, as succeeded.
fn check_outcomes(cluster: &Cluster, ids: &[&str]) {
    let mut missing: BTreeSet<&str> = ids.iter().copied().collect();
    let mut after: Option<String> = None;
    while !missing.is_empty() {
        let mut arguments = vec!["jobs", "--json", "--limit", "1000"];
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = cluster.cli(&arguments).ok().json();
        let jobs = page.as_array().expect("a list");
        let last = jobs
            .last()
            .unwrap_or_else(|| panic!("jobs are missing: {missing:?}"));
        after = Some(last["sequence"].to_string());
        for job in jobs {
            check_outcome(job);
            let id = job["job_id"].as_str().expect("an id");
            assert!(missing.remove(id), "{id} is listed twice");
        }
    }
}

fn check_outcome(job: &Value) {
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!(job["outcome"]["kind"], "succeeded", "{job}");
    let attempts = job["attempts"].as_array().expect("attempts");
    let kinds = attempts.iter().map(|attempt| &attempt["outcome"]["kind"]);
    assert_eq!(
        kinds.filter(|kind| *kind == "succeeded").count(),
        1,
        "{job}"
    );
}

/// Every job wrote exactly one line.
fn check_runs(ran: &Path, ids: &[&str]) {
    let text = fs::read_to_string(ran).expect("the jobs wrote");
    let mut runs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let (job, attempt) = line.split_once(' ').expect("job and attempt");
        runs.entry(job).or_default().push(attempt);
    }
    for id in ids {
        let attempts = runs.get(id).unwrap_or_else(|| panic!("{id} never ran"));
        assert_eq!(attempts.len(), 1, "{id} ran as attempts {attempts:?}");
    }
    assert_eq!(runs.len(), ids.len());
}

fn assert_nothing_is_left(cluster: &Cluster) {
    let status = cluster.cli(&["status", "--json"]).ok().json();
    assert_eq!(
        status["jobs"].as_object().map_or(0, serde_json::Map::len),
        0,
        "{status}"
    );
}

#[test]
fn a_job_that_ends_while_the_master_is_away_is_reported_with_all_of_its_output() {
    let mut cluster = Cluster::start();
    let token = cluster.token("join.token", &[]);
    let mut worker: Program = cluster.worker("only", &token, &[]);
    let (gate, begun) = (cluster.path("gate"), cluster.path("begun"));
    make_fifo(&gate);
    make_fifo(&begun);
    let script = format!(
        "echo first; echo x > {}; read line < {}; echo second; exit 7",
        begun.display(),
        gate.display()
    );
    let job = cluster
        .cli(&["submit", "--", "sh", "-c", &script])
        .ok()
        .text();
    wait_for_begun(&begun, 1);
    cluster.master.kill_9();
    fs::write(&gate, "go\n").expect("the job reads");
    cluster.restart_master();
    let ran = cluster.cli(&["logs", "--follow", &job]);
    assert_eq!(ran.text(), "first\nsecond", "{}", ran.stderr);
    assert_eq!(cluster.cli(&["wait", &job]).code, Some(7));
    let shown = cluster.cli(&["show", &job, "--json"]).ok().json();
    assert_eq!(
        shown["attempts"].as_array().map(Vec::len),
        Some(1),
        "{shown}"
    );
    worker.signal("TERM");
    assert!(worker.wait().0.success());
}
