//! FM14: somebody sets the wall clock of the master.

use std::fs;
use std::process::Command;
use std::time::Duration;

use jobyard_tests::{MasterProgram, PATIENCE, Process, Site, assert_once};

const HOUR: i64 = 60 * 60;

/// Longer than a lease with all that anybody waits for besides.
const LONG: Duration = Duration::from_secs(6);

/// Guards: all deadlines go by a clock that nobody sets (`SystemClock::steady`), and what is shown, by the other one.
#[test]
fn fm14_wall_clock_that_is_set_ends_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let error = place.path().join("error");
    let set = |seconds: i64| {
        // Whole at each moment: it is read all the time.
        let staged = place.path().join("staged");
        fs::write(&staged, seconds.to_string()).expect("ours");
        fs::rename(&staged, &error).expect("ours");
    };
    let program = MasterProgram::with_failpoints()
        .options(&PATIENCE)
        .variable("JOBYARD_WALL_CLOCK_ERROR", error.to_str().expect("UTF-8"));
    let mut site = Site::of(program);
    let mut worker = site.worker("w", &["--slots", "4"]);
    let jobs = ["finish", "stop"].map(|policy| {
        let options = ["--on-disconnect", policy, "--timeout", "1h"];
        let job = site.cluster.submit(&options, &site.held_job());
        (job, Process::named(&site.begun(1)))
    });
    let patient = ["--tag", "nowhere", "--queue-timeout", "1h"];
    let waits = site.cluster.submit(&patient, "exit 0");
    let mut before = now(&site);
    // Right in the end: who starts looks at the times of certificates, too.
    for seconds in [24 * HOUR, -HOUR, 0] {
        set(seconds);
        let after = now(&site);
        let moved = after - before;
        assert!(moved.abs() > HOUR / 2, "it was not set: {moved} s");
        before = after;
        for (_, process) in &jobs {
            assert!(!process.has_ended_within(LONG), "nobody may end it");
        }
        let shown = site.cluster.show(&waits);
        assert_eq!(shown["state"], "queued", "its hour is not over: {shown}");
        assert_eq!(site.cluster.submit_and_print("echo next"), "next");
    }
    let log = worker.log();
    assert_eq!(log.matches("is connected").count(), 1, "{log}");
    site.cluster.master.kill_9();
    site.cluster.restart_master();
    worker.wait_for("is connected");
    for (job, process) in &jobs {
        assert!(process.runs());
        site.gate.let_through(1);
        assert_once(&site.end(job));
    }
    site.runs.assert_each_once(&jobs.map(|(job, _)| job));
}

/// What the master takes for now, in seconds.
fn now(site: &Site) -> i64 {
    let job = site.cluster.submit(&["--tag", "nowhere"], "exit 0");
    let shown = site.cluster.show(&job);
    let text = shown["submitted_at"].as_str().expect("a time");
    let seconds = Command::new("date").args(["--date", text, "+%s"]).output();
    let seconds = String::from_utf8(seconds.expect("`date` runs").stdout).expect("UTF-8");
    seconds.trim().parse().expect("a number")
}
