//! Launchers are killed as well: what they held is lost, and nothing of it lives on.

use std::path::PathBuf;

use jobyard_tests::{Process, control_groups};

use crate::machine::{Machine, assert_cut_off, attempts};

/// A job whose tree has a daemon in a session of its own, which ignores polite signals. It runs when this returns.
fn with_daemon(machine: &Machine, options: &[&str]) -> (String, Vec<Process>) {
    let script = format!(
        "echo begun; {begun}\n\
         (setsid sh -c 'trap \"\" TERM HUP; {daemon}; exec sleep 1000' >/dev/null 2>&1 &)\n\
         {hold}",
        begun = machine.note("attempt $JOBYARD_ATTEMPT"),
        daemon = machine.note("daemon"),
        hold = machine.hold(),
    );
    let job = machine.cluster.submit(options, &script);
    assert_eq!(machine.notes.take(2), ["attempt 1", "daemon"]);
    machine.wait_for_stored(&job, 6);
    let tree = machine.tree();
    assert!(tree.len() >= 2, "{tree:?}");
    (job, tree)
}

/// What the control groups of its launcher are called after.
fn name_of(machine: &Machine) -> String {
    let dir = machine.launcher_dir();
    let name = dir.file_name().and_then(|name| name.to_str());
    name.expect("UTF-8").to_owned()
}

/// Worker and launcher are killed at once. Whoever comes next ends what is left, and reports a failure that is not the
/// job's.
fn both_die(containment: &str) {
    let mut machine = Machine::new(&["--containment", containment]);
    let (job, tree) = with_daemon(&machine, &["--infra-retries", "0"]);
    let launcher = machine.launcher();
    let name = name_of(&machine);
    machine.worker.kill_9();
    launcher.kill_9();
    machine.start_again();
    let (log, shown) = machine.end(&job);
    assert_cut_off(&attempts(&shown, 1)[0], b"begun\n", &log);
    for process in &tree {
        assert!(!process.runs(), "{process:?} {shown}");
    }
    assert_eq!(control_groups(&name), [] as [PathBuf; 0]);
    assert_eq!(shown["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(
        attempts(&shown, 1)[0]["residue"]["unconfirmed"],
        false,
        "{shown}"
    );
    assert_eq!(machine.cluster.cli(&["wait", &job]).code, Some(125));
    assert!(machine.notes.so_far().is_empty(), "it did not run again");
    assert_eq!(machine.cluster.submit_and_print("echo next"), "next");
}

#[test]
fn fw4_all_of_a_job_is_dead_after_worker_and_launcher_were_killed() {
    both_die("cgroup2");
}

#[test]
fn fw4_all_of_a_job_is_dead_after_worker_and_launcher_were_killed_with_a_pid_namespace() {
    both_die("pid-namespace");
}

#[test]
fn fw4_all_of_a_job_is_dead_after_worker_and_launcher_were_killed_with_a_freezer() {
    both_die("freezer");
}

#[test]
fn fw4_all_of_a_job_is_dead_after_worker_and_launcher_were_killed_with_a_subreaper() {
    both_die("subreaper");
}

#[test]
fn fw4_another_attempt_begins_only_when_all_of_the_first_is_dead() {
    let mut machine = Machine::new(&[]);
    let (job, tree) = with_daemon(&machine, &[]);
    let launcher = machine.launcher();
    machine.worker.kill_9();
    launcher.kill_9();
    machine.start_again();
    assert_eq!(
        machine.notes.next(),
        "attempt 2",
        "never the same one again"
    );
    for process in &tree {
        assert!(!process.runs(), "{process:?}");
    }
    assert_eq!(machine.notes.next(), "daemon");
    machine.gate.let_through(1);
    let (_, shown) = machine.end(&job);
    let attempts = attempts(&shown, 2);
    assert_eq!(attempts[0]["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(attempts[1]["outcome"]["kind"], "succeeded", "{shown}");
    assert!(machine.notes.so_far().is_empty());
}

#[test]
fn job_that_had_ended_before_worker_and_launcher_were_killed_is_reported_as_it_ended() {
    let mut machine = Machine::new(&[]);
    let script = format!(
        "echo all; {}; {}; exit 7",
        machine.note("$$"),
        machine.hold()
    );
    let job = machine.cluster.submit(&[], &script);
    let process = Process::named(&machine.notes.next());
    let launcher = machine.launcher();
    machine.worker.kill_9();
    machine.gate.let_through(1);
    process.wait_for_end();
    machine.wait_for_journal("\"ended\"");
    launcher.kill_9();
    machine.start_again();
    let (log, shown) = machine.end(&job);
    assert_eq!(log, b"all\n");
    crate::machine::assert_ran_once(&shown, 7);
}

#[test]
fn fw3_worker_goes_on_with_another_launcher_when_its_own_was_killed() {
    let machine = Machine::new(&[]);
    let (job, tree) = with_daemon(&machine, &["--infra-retries", "0"]);
    let launcher = machine.launcher();
    let name = name_of(&machine);
    launcher.kill_9();
    let (log, shown) = machine.end(&job);
    assert_cut_off(&attempts(&shown, 1)[0], b"begun\n", &log);
    assert_eq!(control_groups(&name), [] as [PathBuf; 0]);
    for process in &tree {
        assert!(!process.runs(), "{process:?} {shown}");
    }
    assert_eq!(shown["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(
        attempts(&shown, 1)[0]["residue"]["unconfirmed"],
        false,
        "{shown}"
    );
    assert_eq!(machine.cluster.submit_and_print("echo next"), "next");
    assert_ne!(machine.launcher().pid(), launcher.pid());
}
