//! FM3, FM7 and FW8, as the output of a job sees them: the master is away for long, its disk for logs is full, the worker's
//! disk is full.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jobyard_tests::{Cluster, MasterProgram, PATIENCE, Site, assert_once, attempts};
use sha2::{Digest, Sha256};

/// A file system of its own, gone when dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new(path: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&path).expect("ours");
        let disk = Self { path };
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        disk
    }

    fn grow(&self, size: &str) {
        self.mount(&["-o", &format!("remount,size={size}")]);
    }

    fn mount(&self, arguments: &[&str]) {
        let mounted = Command::new("mount")
            .args(arguments)
            .arg(&self.path)
            .status();
        assert!(mounted.expect("mount runs").success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}

/// The first line of each job.
const BEFORE: &str = "before";

/// A job that begins, waits, and then prints 1 to `lines`, of which it keeps a copy of its own.
fn printing_job(site: &Site, lines: u32, copy: &Path) -> String {
    format!(
        "echo {BEFORE} | tee {copy}; {}; seq 1 {lines} | tee -a {copy}; echo printed > {}",
        site.held_job(),
        site.notes.path().display(),
        copy = copy.display(),
    )
}

/// That the master holds what the job printed before it waits.
fn assert_first_line_is_held(site: &Site, job: &str) {
    let mut reader = site.cluster.command(&["logs", "--follow", job]);
    let mut reader = reader
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the CLI starts");
    let mut line = vec![0; BEFORE.len()];
    let output = reader.stdout.as_mut().expect("standard output is piped");
    let read = output.read_exact(&mut line);
    reader.kill().expect("it runs");
    reader.wait().expect("it ends");
    read.expect("the line arrives");
    assert_eq!(line, BEFORE.as_bytes());
}

/// That the stored log is the job's own copy, once it has arrived.
fn assert_arrives(site: &Site, job: &str, copy: &Path) {
    site.wait_for_job(job, |shown| attempts(shown)[0]["log"] == "complete");
    let stored = site.cluster.cli(&["logs", job]).ok().stdout;
    let printed = fs::read(copy).expect("the job has written it");
    assert_eq!(stored.len(), printed.len());
    assert!(
        Sha256::digest(&stored) == Sha256::digest(&printed),
        "other bytes than were printed"
    );
}

/// Guards: the spool, which holds what a job prints while there is no master, also to its end, and the offset at which the
/// upload goes on.
#[test]
fn fm3_output_of_jobs_that_end_while_the_master_is_away_arrives_to_the_byte() {
    let mut site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let copy = site.cluster.path("copy");
    let job = site
        .cluster
        .submit(&[], &printing_job(&site, 500_000, &copy));
    site.begun(1);
    // The upload is under way: what comes later goes on from there.
    assert_first_line_is_held(&site, &job);
    site.cluster.master.kill_9();
    site.gate.let_through(1);
    assert_eq!(site.notes.next(), "printed");
    site.cluster.restart_master();
    assert_once(&site.end(&job));
    assert_arrives(&site, &job, &copy);
}

/// Guards: an append for which there is no room is refused for a while (`unavailable`), and the worker sends it again from
/// where the master is; the job is finished after `log_drain`.
#[test]
fn fm7_full_disk_for_logs_holds_output_back_and_loses_none() {
    let place = tempfile::tempdir().expect("a directory");
    let disk = Disk::new(place.path().join("master/logs"), "3m");
    let site = Site::in_cluster(Cluster::start_in(
        place,
        MasterProgram::shipped().options(&PATIENCE),
    ));
    let mut worker = site.worker("w", &["--slots", "1"]);
    let copy = site.cluster.path("copy");
    let job = site
        .cluster
        .submit(&[], &printing_job(&site, 1_000_000, &copy));
    site.begun(1);
    site.gate.let_through(1);
    let shown = site.end(&job);
    assert_once(&shown);
    assert_eq!(attempts(&shown)[0]["log"], "uploading", "{shown}");
    disk.grow("100m");
    assert_arrives(&site, &job, &copy);
    assert!(!worker.log().contains("is over"), "{}", worker.log());
    drop(site);
    drop(disk);
}

/// Guards: what the worker's disk does not take is counted, and neither stops nor fails the job.
#[test]
fn fw8_full_disk_of_the_worker_costs_output_and_nothing_else() {
    let place = tempfile::tempdir().expect("a directory");
    let disk = Disk::new(place.path().join("w/spool"), "2m");
    let site = Site::in_cluster(Cluster::start_in(place, MasterProgram::shipped()));
    let _worker = site.worker("w", &[]);
    let copy = site.cluster.path("copy");
    let job = site
        .cluster
        .submit(&[], &printing_job(&site, 2_000_000, &copy));
    site.begun(1);
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    let shown = site.wait_for_job(&job, |shown| attempts(shown)[0]["log"] == "complete");
    let attempt = &attempts(&shown)[0];
    let kept = attempt["log_bytes"].as_u64().expect("a number");
    let printed = fs::read(&copy).expect("the job has written it");
    assert_eq!(attempt["log_truncated_at"], kept, "{shown}");
    assert_eq!(
        kept + attempt["log_dropped"].as_u64().expect("a number"),
        printed.len() as u64,
        "{shown}"
    );
    let ran = site.cluster.cli(&["logs", &job]).ok();
    assert!(printed.starts_with(&ran.stdout) && ran.stdout.len() as u64 == kept);
    assert!(ran.stderr.contains("truncated at"), "{}", ran.stderr);
    // That it was the disk and not the limit is said to people and to programs.
    assert_eq!(attempt["log_truncated_by"], "room", "{shown}");
    assert!(ran.stderr.contains("disk may be full"), "{}", ran.stderr);
    drop(site);
    drop(disk);
}
