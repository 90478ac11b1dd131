//! The machine starts anew while a job runs.

use std::fs;
use std::process::Command;

use jobyard_tests::Program;

use crate::machine::{Machine, assert_cut_off, attempts};

/// Another boot, as a worker sees it: what ran before is gone, and the kernel has another name for its life.
#[test]
fn fw5_job_that_ran_before_a_reboot_is_a_failure_of_the_machine_and_runs_again_by_its_policy() {
    let mut machine = Machine::new(&[]);
    let script = format!(
        "echo attempt $JOBYARD_ATTEMPT; {}; {}",
        machine.note("attempt $JOBYARD_ATTEMPT"),
        machine.hold()
    );
    let again = machine.cluster.submit(&[], &script);
    assert_eq!(machine.notes.next(), "attempt 1");
    machine.wait_for_stored(&again, 10);
    let tree = machine.tree();
    let launcher = machine.launcher();
    machine.worker.kill_9();
    launcher.kill_9();
    for process in &tree {
        process.kill_9();
    }

    let boot = machine.cluster.path("boot_id");
    fs::write(&boot, "0199f3a2-5b7e-7c31-9a60-6d1f6a1c9a11\n").expect("written");
    let plain = machine.cluster.worker_command("w", None, &[]);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"")
        .arg(&boot)
        .arg(plain.get_program())
        .args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    machine.worker = Program::start(&mut command);
    machine.worker.wait_for("is connected");

    assert_eq!(machine.notes.next(), "attempt 2");
    machine.gate.let_through(1);
    let (_, shown) = machine.end(&again);
    let attempts = attempts(&shown, 2);
    assert_eq!(attempts[0]["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(
        attempts[0]["outcome"]["reason"], "worker_restarted",
        "{shown}"
    );
    assert_eq!(attempts[1]["outcome"]["kind"], "succeeded", "{shown}");
    assert_eq!(attempts[1]["log"], "complete", "{shown}");
    let arguments = ["logs", "--attempt", "1", &again];
    let log = machine.cluster.cli(&arguments).ok().stdout;
    assert_cut_off(&attempts[0], b"attempt 1\n", &log);
}
