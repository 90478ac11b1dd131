//! FM10: an old backup takes the place of the master.

use std::fs;
use std::process::Command;

use jobyard_tests::{MasterProgram, Process, Ran, Site, assert_once, program};

use crate::failpoints::PATIENCE;

fn master(site: &Site, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program("jobyard-master"));
    command
        .args(arguments)
        .arg("--data")
        .arg(site.cluster.master_data());
    Ran::of(&mut command)
}

/// Guards: the jump of the term (`restore`), without which workers refuse older data (`Agent::refuse_master`), and the
/// verdict for attempts that the records do not know.
#[test]
fn fm10_restored_master_is_of_a_later_term_and_ends_what_it_does_not_know() {
    let mut site = Site::of(MasterProgram::shipped().options(&PATIENCE));
    let mut worker = site.worker("w", &["--slots", "4"]);
    let known = site.cluster.submit(&[], &site.held_job());
    let known_process = Process::named(&site.begun(1));
    let file = site.cluster.path("backup.jyb");
    let file = file.to_str().expect("UTF-8");
    let _ = master(&site, &["backup", file]).ok();

    // What people do who know of no such command: a copy, here even of a master that does not run.
    site.cluster.master.kill_9();
    let copied = Command::new("cp")
        .arg("-a")
        .args([site.cluster.master_data(), site.cluster.path("copy")])
        .status();
    assert!(copied.expect("cp runs").success());
    site.cluster.restart_master();
    worker.wait_for("is connected");

    // What comes now is in no backup.
    let unknown = site.cluster.submit(&[], &site.held_job());
    let unknown_process = Process::named(&site.begun(1));
    for _ in 0..3 {
        site.cluster.master.kill_9();
        site.cluster.restart_master();
        worker.wait_for("is connected");
    }
    site.cluster.master.kill_9();
    fs::rename(site.cluster.master_data(), site.cluster.path("lost")).expect("ours");

    // The copy is of a term that the worker has left behind.
    fs::rename(site.cluster.path("copy"), site.cluster.master_data()).expect("ours");
    site.cluster.restart_master();
    site.cluster.master.wait_for("worker connected");
    site.cluster.master.wait_for("session over");
    assert!(known_process.runs() && unknown_process.runs());
    assert_eq!(site.cluster.show(&known)["state"], "running");
    site.cluster.master.kill_9();
    fs::remove_dir_all(site.cluster.master_data()).expect("ours");

    let _ = master(&site, &["restore", file]).ok();
    site.cluster.restart_master();
    worker.kill_9();
    let _worker = site.cluster.worker_again("w", &["--slots", "4"]);
    unknown_process.wait_for_end();
    assert!(known_process.runs(), "the records know it");
    assert_ne!(site.cluster.cli(&["show", &unknown]).code, Some(0));
    site.gate.let_through(1);
    assert_once(&site.end(&known));
    site.runs.assert_each_once(&[known]);
}
