//! FW5 and FW6: the machine goes down, and not all that was written was kept.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use jobyard_tests::{Process, Program, Site, attempts, descendants, within};
use serde_json::Value;

/// Everything of the machine ends: worker, launcher, and all jobs.
fn power_loss(site: &Site, worker: &mut Program) {
    let launcher = site.cluster.launcher("w");
    let tree = descendants(launcher.pid());
    worker.kill_9();
    launcher.kill_9();
    for process in &tree {
        process.kill_9();
    }
}

/// Starts the worker on a machine that has booted anew.
fn after_boot(site: &Site) -> Program {
    let boot = site.cluster.path("boot_id");
    fs::write(&boot, "0199f3a2-5b7e-7c31-9a60-6d1f6a1c9a11\n").expect("written");
    let boot = boot.to_str().expect("UTF-8").to_owned();
    let mount = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
    let prefix = ["unshare", "--mount", "sh", "-c", mount, &boot].map(str::to_owned);
    let command = site.cluster.worker_command("w", None, &[]);
    let mut worker = Program::start(&mut within(&prefix, &command));
    worker.wait_for("is connected");
    worker
}

fn journal(site: &Site) -> PathBuf {
    site.cluster.path("w").join("journal")
}

fn first_attempt_is_lost(shown: &Value) {
    let first = &attempts(shown)[0];
    assert_eq!(first["outcome"]["kind"], "infra", "{shown}");
}

/// The last record is torn. Guards: the journal's reader stops at what is not whole, and what an earlier boot accepted is
/// never begun again (`Agent::recover`).
#[test]
fn fw6_attempt_whose_record_is_torn_never_begins_again() {
    let site = Site::with(&["--retry-first", "100ms"]);
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    site.begun(1);
    power_loss(&site, &mut worker);
    let mut file = OpenOptions::new()
        .append(true)
        .open(journal(&site))
        .expect("it is ours");
    file.write_all(b"{\"started\":{\"attempt\":{\"jo")
        .expect("written");
    let _worker = after_boot(&site);
    site.begun(2);
    site.gate.let_through(1);
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
    first_attempt_is_lost(&shown);
    assert_eq!(site.runs.of(&job), [1, 2]);
}

/// Nothing of the journal was kept: the worker knows of no attempt. Guards: the master believes a worker that it never
/// accepted an attempt only if it speaks of the same boot (`Engine::reconcile`), so a job that must not be repeated is
/// not.
#[test]
fn fw6_job_that_is_not_repeatable_is_not_run_again_although_its_worker_has_forgotten_it() {
    let site = Site::with(&["--retry-first", "100ms"]);
    let mut worker = site.worker("w", &[]);
    let once = site.cluster.submit(&["--not-repeatable"], &site.held_job());
    site.begun(1);
    let again = site.cluster.submit(&[], &site.held_job());
    site.begun(1);
    power_loss(&site, &mut worker);
    fs::write(journal(&site), "").expect("it is ours");
    let _worker = after_boot(&site);
    site.begun(2);
    site.gate.let_through(1);
    let shown = site.end(&again);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
    first_attempt_is_lost(&shown);
    let shown = site.end(&once);
    assert_eq!(shown["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(site.runs.of(&once), [1]);
    assert_eq!(site.runs.of(&again), [1, 2]);
}

/// Guards: another boot means that whatever ran is gone, so its jobs run again at once, by their own budget.
#[test]
fn fw5_jobs_of_a_machine_that_was_booted_anew_are_failures_of_the_machine() {
    let site = Site::with(&["--retry-first", "100ms"]);
    let mut worker = site.worker("w", &[]);
    let no_more = site
        .cluster
        .submit(&["--infra-retries", "0"], &site.held_job());
    let process = Process::named(&site.begun(1));
    power_loss(&site, &mut worker);
    assert!(!process.runs());
    let _worker = after_boot(&site);
    let shown = site.end(&no_more);
    assert_eq!(shown["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(shown["outcome"]["reason"], "worker_restarted", "{shown}");
    assert_eq!(site.runs.of(&no_more), [1]);
    assert_eq!(site.cluster.submit_and_print("echo next"), "next");
}
