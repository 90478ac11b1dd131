//! XL8: what one job prints is never found in the log of another, also where descriptors run out.

use std::process::Command;

use jobyard_tests::{Program, Site, attempts};

/// How many descriptors worker and launcher have: enough to run, too few for all jobs at once.
const DESCRIPTORS: u32 = 90;
const JOBS: usize = 24;

#[test]
fn xl8_where_descriptors_run_out_no_log_holds_the_bytes_of_another_job() {
    let site = Site::with(&[]);
    let shipped = site
        .cluster
        .worker_command("w", Some(&site.token), &["--slots", "24"]);
    // The launcher has its limits from the worker.
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
        .arg(shipped.get_program())
        .args(shipped.get_args());
    for (name, value) in shipped.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut worker = Program::start(&mut command);
    worker.wait_for("is connected");
    let jobs: Vec<String> = (0..JOBS)
        .map(|number| {
            let script = format!(
                "i=0; while [ $i -lt 300 ]; do echo canary-{number}-; echo canary-{number}- >&2; i=$((i+1)); done"
            );
            site.cluster.submit(&["--infra-retries", "100"], &script)
        })
        .collect();
    for (number, job) in jobs.iter().enumerate() {
        let shown = site.end(job);
        assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
        let canary = format!("canary-{number}-\n");
        for attempt in attempts(&shown) {
            let attempt = attempt["number"].to_string();
            let log = site
                .cluster
                .cli(&["logs", "--merge", "--attempt", &attempt, job])
                .ok();
            let text = log.text() + "\n";
            let foreign = text.replace(&canary, "");
            assert!(
                foreign.trim().is_empty(),
                "{job} has bytes of others: {foreign:?}"
            );
        }
        let last = site.cluster.cli(&["logs", "--merge", job]).ok().text();
        assert_eq!(last.lines().count(), 600, "{job}");
    }
}
