//! FW2: another build of the worker takes over in the middle of jobs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use jobyard_tests::{Process, Program, Site, attempts, program};

/// The programs lie elsewhere, as after an upgrade, and the old worker was killed. Guards: a launcher is found by the
/// worker's data, not by its program, and speaks a versioned protocol (`launcher::protocol`). That a launcher of another
/// version keeps its jobs and gets no new ones is `older_launcher_keeps_its_jobs_and_gets_no_new_ones_p10` in
/// `crates/executor/tests/launched/upgrade.rs`.
#[test]
fn fw2_jobs_go_on_when_their_worker_is_replaced_by_another_build() {
    let site = Site::with(&[]);
    let mut old = site.worker("w", &[]);
    let script = format!("echo before; {}; echo after; exit 7", site.held_job());
    let job = site.cluster.submit(&[], &script);
    let process = Process::named(&site.begun(1));
    old.kill_9();

    let place = site.cluster.path("upgraded");
    fs::create_dir(&place).expect("it is ours");
    for name in ["jobyard-worker", "jobyard-launcher"] {
        let copy = place.join(name);
        fs::copy(program(name), &copy).expect("copied");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let command = site.cluster.worker_command("w", None, &[]);
    let mut upgraded = Command::new(place.join("jobyard-worker"));
    upgraded.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => upgraded.env(name, value),
            None => upgraded.env_remove(name),
        };
    }
    let mut new = Program::start(&mut upgraded);
    new.wait_for("is connected");
    assert!(process.runs());
    assert_eq!(site.cluster.submit_and_print("echo next"), "next");
    site.gate.let_through(1);
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["exit_code"], 7, "{shown}");
    assert_eq!(attempts(&shown).len(), 1, "{shown}");
    let log = site.cluster.cli(&["logs", "--follow", &job]);
    assert_eq!(log.text(), "before\nafter");
    site.runs.assert_each_once(&[job]);
}
