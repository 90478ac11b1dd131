//! The program examines its machine.

use std::process::Command;

use serde_json::Value;

fn doctor(flags: &[&str]) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_jobyard-worker"))
        .args(["doctor", "--json"])
        .args(flags)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    (
        output.status.success(),
        report.unwrap_or_else(|error| panic!("{error}: {said}")),
    )
}

/// The results of what was tried, by name.
fn results(report: &Value) -> Vec<(&str, &str)> {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .map(|check| {
            (
                check["name"].as_str().unwrap(),
                check["result"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn what_this_machine_says_it_does() {
    let (sound, report) = doctor(&["--allow-root-jobs"]);
    assert!(sound, "{report:#}");
    assert_eq!(report["refused"], Value::Null);
    assert!(
        results(&report).contains(&("find a job again", "ok")),
        "{report:#}"
    );
    for kind in ["memory", "open_files"] {
        assert!(report["limits"][kind].is_string(), "{report:#}");
    }
    assert!(report["machine"]["free_disk_bytes"].as_u64() > Some(0));
    assert_eq!(report["complaints"], Value::Array(Vec::new()));
}

#[test]
fn the_weakest_way_is_sound_too_and_is_called_weak() {
    let (sound, report) = doctor(&["--containment", "subreaper", "--min-free-disk", "99%"]);
    assert!(sound, "{report:#}");
    assert_eq!(report["mechanism"], "subreaper");
    assert_eq!(report["own_user"], "best-effort");
    assert_eq!(report["complaints"][0]["kind"], "disk");

    let (sound, report) = doctor(&["--launcher", "none"]);
    assert!(sound, "{report:#}");
    assert_eq!(report["mechanism"], "process-group");
    assert!(
        results(&report).contains(&("find a job again", "skipped")),
        "{report:#}"
    );
}

#[test]
fn a_worker_of_root_that_nobody_wants_would_not_start() {
    let (_, report) = doctor(&["--launcher", "none"]);
    let refused = report["refused"].as_str().unwrap_or_default();
    if rustix::process::geteuid().is_root() {
        assert!(
            refused.contains("--job-user") && refused.contains("--allow-root-jobs"),
            "{report:#}"
        );
    } else {
        assert_eq!(report["refused"], Value::Null);
    }
}
