//! FW10: a program cannot be started.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use jobyard_tests::{Program, Site, attempts, within};
use serde_json::{Value, json};

fn reason(shown: &Value) -> (&str, &str) {
    let outcome = &shown["outcome"];
    let text = |key: &str| outcome[key].as_str().unwrap_or("");
    (text("kind"), text("reason"))
}

/// Guards: each error of the system has its own cause (`StartFailure`), and what the job is to blame for is not paid by the
/// budget of the infrastructure.
#[test]
fn fw10_each_way_in_which_a_program_cannot_be_started_has_its_own_reason() {
    let site = Site::with(&[]);
    // The system takes a quarter of the stack for arguments.
    let command = site.cluster.worker_command("w", Some(&site.token), &[]);
    let limited = ["prlimit", "--stack=1048576"].map(str::to_owned);
    let mut worker = Program::start(&mut within(&limited, &command));
    worker.wait_for("is connected");
    let no_program = site.cluster.path("no-program");
    fs::write(&no_program, "not executable").expect("written");
    fs::set_permissions(&no_program, Permissions::from_mode(0o644)).expect("ours");
    let busy = site.cluster.path("busy");
    fs::copy("/bin/true", &busy).expect("copied");
    fs::set_permissions(&busy, Permissions::from_mode(0o755)).expect("ours");
    let writer = OpenOptions::new().append(true).open(&busy).expect("ours");
    let long = "x".repeat(120_000);
    let jobs = site.cluster.submit_all(&[
        json!({"command": ["/no/such/program"]}),
        json!({"command": [no_program]}),
        json!({"command": ["true", long, long, long]}),
        json!({"command": ["true"], "dir": "/no/such/directory"}),
        json!({"command": [busy], "infra_retries": 0}),
    ]);
    let expected = [
        ("start_failed", "not_found", 127),
        ("start_failed", "not_executable", 126),
        ("start_failed", "arguments_too_long", 125),
        ("start_failed", "bad_directory", 125),
        // Somebody writes it for longer than its worker waits: that passes.
        ("infra", "no_resources", 125),
    ];
    for (job, (kind, cause, code)) in jobs.iter().zip(expected) {
        let ran = site.cluster.cli(&["wait", job]);
        let shown = site.cluster.show(job);
        assert_eq!(reason(&shown), (kind, cause), "{shown}");
        assert_eq!(attempts(&shown).len(), 1, "{shown}");
        // What is neither missing nor unusable has no code of its own.
        if code != 125 {
            assert_eq!(ran.code, Some(code), "{shown}");
        }
    }
    drop(writer);
}

/// The machine has no processes left: that is nobody's fault but its own, and another one may have. Guards: EAGAIN is
/// `InfraReason::NoResources`, which the budget of the infrastructure pays for.
#[test]
fn fw10_job_that_its_machine_has_no_process_for_runs_elsewhere() {
    let site = Site::with(&["--retry-first", "100ms"]);
    let user = ["--tag", "here", "--job-user", "nobody"];
    let command = site
        .cluster
        .worker_command("full", Some(&site.token), &user);
    let limited = ["prlimit", "--nproc=0"].map(str::to_owned);
    // The kernel looks at the limit when a program is begun by a user who has processes already.
    let mut sleeper = Command::new("setpriv");
    sleeper.args([
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "sleep",
        "1000",
    ]);
    let _sleeper = Program::start(&mut sleeper);
    let mut full = Program::start(&mut within(&limited, &command));
    full.wait_for("is connected");
    let job = site.cluster.submit(
        &["--tag", "here", "--infra-retries", "20"],
        "echo elsewhere",
    );
    site.wait_for_job(&job, |shown| {
        let first = &shown["attempts"][0]["outcome"];
        first["kind"] == "infra" && first["reason"] == "no_resources"
    });
    let _other = site.worker("other", &user);
    let _ = site.cluster.cli(&["worker", "suspend", "full"]).ok();
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
}
