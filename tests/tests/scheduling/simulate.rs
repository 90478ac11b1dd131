//! A load on a fleet that is only described.

use std::path::{Path, PathBuf};
use std::process::Command;

use jobyard_tests::{Cluster, Ran, program};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/loads/two_teams.toml")
}

/// Neither a profile nor a master is needed.
fn simulate(file: &Path, options: &[&str]) -> Ran {
    let home = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(program("jobyard"));
    command
        .arg("simulate")
        .arg(file)
        .args(options)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env_remove("JOBYARD_PROFILE");
    Ran::of(&mut command)
}

#[test]
fn the_example_load_has_a_table_of_waiting_times_and_of_use_s10() {
    let table = simulate(&example(), &[]).ok().text();
    for word in ["release", "build", "render", "p50", "p99"] {
        assert!(
            table.to_lowercase().contains(word),
            "{word} is missing:\n{table}"
        );
    }
}

#[test]
fn the_example_load_has_the_same_as_data_s10() {
    let report = simulate(&example(), &["--json"]).ok().json();
    let jobs = report["jobs"].as_u64().expect("a number");
    assert!(jobs > 0, "{report}");
    assert_eq!(report["finished"], jobs, "{report}");
    let queues = report["queues"].as_array().expect("a list");
    assert_eq!(queues.len(), 2, "{report}");
    for queue in queues {
        for key in ["mean", "p50", "p90", "p99", "max"] {
            assert!(queue["wait_ms"][key].is_u64(), "{key}: {queue}");
        }
    }
    let again = simulate(&example(), &["--json"]).ok().json();
    assert_eq!(report, again, "the same load goes the same way");
}

#[test]
fn what_a_master_has_run_can_be_played_again_s10() {
    let cluster = Cluster::start();
    let token = cluster.token("join.token", &[]);
    let _worker = cluster.worker("one", &token, &[]);
    let jobs: Vec<_> = (0..3)
        .map(|_| cluster.submit(&["--queue", "team"], "true"))
        .collect();
    cluster.wait_for(&jobs);
    let recorded = cluster.cli(&["jobs", "--json"]).ok();
    std::fs::write(cluster.path("jobs.json"), &recorded.stdout).expect("written");
    let load = cluster.path("load.toml");
    let text =
        "jobs_from = \"jobs.json\"\n[[workers]]\nname = \"a\"\ntags = [\"executor=process\"]\n";
    std::fs::write(&load, text).expect("written");
    let report = simulate(&load, &["--json"]).ok().json();
    assert_eq!(report["finished"], 3, "{report}");
    assert_eq!(report["queues"][0]["queue"], "team", "{report}");
}
