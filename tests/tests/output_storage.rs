//! O8: output of jobs that are over: compressed, archived, and removed when it is old or when its room is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::BASE64;
use jobyard_tests::{MasterProgram, Program, Ran, Site, in_background, program};
use serde_json::Value;

/// Enough of both streams for more than one block of the disk.
const TALK: &str = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); \
    echo \"line $i of standard output, which is said at some length\"; echo \"and error $i\" >&2; done";

/// About 80 KiB that cannot be compressed far.
const NOISE: &str = "head -c 60000 /dev/urandom | base64 -w 100";

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// How many files of the master's output have this ending.
fn count(site: &Site, ending: &str) -> usize {
    let files = files_below(&site.cluster.master_data().join("logs"));
    let ours = files.iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == ending)
    });
    ours.count()
}

/// Tells of what is done with output.
const TELLING: [&str; 2] = [
    "--log-level",
    "info,jobyard_store=debug,jobyard_master=debug",
];

/// Every byte with its stream and time.
type Spelled = Vec<(u8, String, String)>;

fn spelled(lines: &str) -> Spelled {
    let mut spelled = Spelled::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        if line["kind"] != "output" {
            continue;
        }
        assert_eq!(line["offset"], spelled.len(), "bytes are missing");
        let text = |key: &str| line[key].as_str().expect("text").to_owned();
        let bytes = BASE64.decode(text("data").as_bytes()).expect("base64");
        let each = bytes.into_iter();
        spelled.extend(each.map(|byte| (byte, text("stream"), text("time"))));
    }
    spelled
}

/// What the CLI says is held of a job's output.
fn told(site: &Site, job: &str) -> Spelled {
    spelled(&site.cluster.cli(&["logs", job, "--json"]).ok().text())
}

fn log_of(shown: &Value) -> &Value {
    &shown["attempts"][0]["log"]
}

fn master(arguments: &[&str]) {
    let _ = Ran::of(Command::new(program("jobyard-master")).args(arguments)).ok();
}

#[test]
fn o8_output_is_the_same_live_compressed_archived_and_restored() {
    let mut site = Site::with(&TELLING);
    let _worker = site.worker("w", &[]);
    let script = format!("{TALK}; {}", site.held_job());
    let job = site.cluster.submit(&[], &script);
    let _ = site.begun(1);
    let live = in_background(site.cluster.command(&["logs", &job, "--json", "--follow"]));
    site.gate.let_through(1);
    let live = spelled(&live.join().expect("a reader").ok().text());
    assert!(live.len() > 25_000, "{} bytes", live.len());
    assert_eq!(log_of(&site.end(&job)), "complete");
    site.cluster.master.wait_for("output compressed");
    assert_eq!((count(&site, "log"), count(&site, "zst")), (0, 1));
    assert!(told(&site, &job) == live, "compressing has changed it");

    let archive = site.cluster.path("archive");
    let archive_text = archive.to_str().expect("UTF-8").to_owned();
    site.cluster.master.kill_9();
    site.cluster
        .restart_master_with("JOBYARD_LOG_ARCHIVE", &archive_text);
    // It may have been done before the master served.
    if count(&site, "zst") > 0 {
        site.cluster.master.wait_for("output archived");
    }
    assert_eq!((count(&site, "zst"), count(&site, "archived")), (0, 1));
    assert!(told(&site, &job) == live, "archiving has changed it");
    let status = site.cluster.cli(&["status", "--json"]).ok().json();
    let archived = status["logs"]["archived_bytes"].as_u64();
    assert!(archived > Some(0), "{status}");

    // A backup says where the archive has it, and what is restored finds it there.
    let (file, data) = (site.cluster.path("backup.jyb"), site.cluster.master_data());
    let (file, data) = (file.to_str().expect("UTF-8"), data.to_str().expect("UTF-8"));
    master(&["backup", file, "--data", data]);
    site.cluster.master.kill_9();
    fs::remove_dir_all(data).expect("ours");
    master(&["restore", file, "--data", data]);
    site.cluster
        .restart_master_with("JOBYARD_LOG_ARCHIVE", &archive_text);
    assert!(told(&site, &job) == live, "it was not restored");

    // Without its archive, the output is not lost, and the rest goes on.
    fs::rename(&archive, site.cluster.path("away")).expect("ours");
    let refused = site.cluster.cli(&["logs", &job]);
    assert_eq!(refused.code, Some(125));
    let said = &refused.stderr;
    for words in ["not at hand", "nothing is lost", "--log-archive"] {
        assert!(said.contains(words), "{said}");
    }
    let refused = site.cluster.cli(&["logs", &job, "--json"]).stderr;
    assert!(refused.contains("\"code\":\"unavailable\""), "{refused}");
    // Whoever follows is told, and gets it when it is back.
    let mut waiting = site.cluster.command(&["logs", "--follow", &job]);
    let mut waiting = Program::start(&mut waiting);
    waiting.wait_for("trying again");
    fs::rename(site.cluster.path("away"), &archive).expect("ours");
    assert!(told(&site, &job) == live, "it has not come back");
    assert!(waiting.wait().0.success(), "it does not go on");
}

#[test]
fn o8_budget_removes_what_finished_first() {
    let mut site = Site::with(&[&TELLING[..], &["--log-budget", "320KiB"]].concat());
    let _worker = site.worker("w", &["--slots", "1"]);
    let mut jobs = Vec::new();
    for _ in 0..8 {
        let job = site.cluster.submit(&[], NOISE);
        assert_eq!(log_of(&site.end(&job)), "complete");
        jobs.push(job);
    }
    site.cluster.master.wait_for("output removed to make room");
    let first = site.cluster.show(&jobs[0]);
    assert_eq!(log_of(&first), "removed", "{first}");
    let attempt = &first["attempts"][0];
    assert_eq!(attempt["log_removed"]["why"], "room", "{first}");
    assert!(attempt["log_bytes"].as_u64() > Some(60_000), "as it was");
    let said = site.cluster.cli(&["logs", &jobs[0]]).stderr;
    assert!(said.contains("removed by retention"), "{said}");

    let last = site.cluster.show(&jobs[7]);
    assert_eq!(log_of(&last), "complete");
    let held = told(&site, &jobs[7]).len() as u64;
    assert_eq!(Some(held), last["attempts"][0]["log_bytes"].as_u64());
    // In the order in which they ended.
    let removed = |job: &String| log_of(&site.cluster.show(job)) == "removed";
    let states: Vec<bool> = jobs.iter().map(removed).collect();
    assert!(states.is_sorted_by(|one, next| one >= next), "{states:?}");
}

#[test]
fn o8_output_goes_when_it_is_old_and_the_job_stays() {
    let mut site = Site::with(&[&TELLING[..], &["--retain-logs", "200ms"]].concat());
    let _worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], TALK);
    let _ = site.end(&job);
    site.cluster.master.wait_for("old output removed");
    for _ in 0..2 {
        let shown = site.cluster.show(&job);
        assert_eq!(log_of(&shown), "removed", "{shown}");
        assert_eq!(shown["attempts"][0]["log_removed"]["why"], "age", "{shown}");
        assert_eq!(shown["outcome"]["kind"], "succeeded");
        assert_eq!((count(&site, "log"), count(&site, "zst")), (0, 0));
        let said = site.cluster.cli(&["logs", &job]).stderr;
        assert!(said.contains("removed by retention"), "{said}");
        site.cluster.master.kill_9();
        site.cluster.restart_master();
    }
}

#[test]
fn o8_output_beyond_the_budget_waits_at_its_worker() {
    let program = MasterProgram::shipped()
        .options(&["--log-drain", "500ms"])
        .variable("JOBYARD_LOG_BUDGET", "64KiB");
    let mut site = Site::of(program);
    let _worker = site.worker("w", &[]);
    let script = "head -c 300000 /dev/zero | tr '\\0' x; echo";
    let job = site.cluster.submit(&[], script);
    site.cluster.master.wait_for("takes the whole budget");
    // The job ends and is finished all the same.
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
    assert_eq!(log_of(&shown), "uploading", "{shown}");
    let status = site.cluster.cli(&["status", "--json"]).ok().json();
    assert_eq!(status["logs"]["full"], true, "{status}");

    site.cluster.master.kill_9();
    site.cluster
        .restart_master_with("JOBYARD_LOG_BUDGET", "10MiB");
    let all = site.cluster.cli(&["logs", &job, "--json", "--follow"]).ok();
    assert_eq!(spelled(&all.text()).len(), 300_001);
    assert_eq!(log_of(&site.cluster.show(&job)), "complete");
}
