//! Jobs that do not wait for ever.

use jobyard_tests::Cluster;
use serde_json::{Value, json};

use crate::yard::Yard;

fn shown(yard: &Yard, job: &str) -> Value {
    yard.cluster.cli(&["show", job, "--json"]).ok().json()
}

#[test]
fn a_job_that_does_not_start_by_its_queue_timeout_has_timed_out_j9() {
    let yard = Yard::new(&[("one", &["--slots", "1"])]);
    let held = yard.held(&[]);
    let busy = yard.cluster.submit(&["--queue-timeout", "300ms"], "true");
    let impossible = ["--queue-timeout", "300ms", "--tag", "gpu"];
    let impossible = yard.cluster.submit(&impossible, "true");
    for job in [&busy, &impossible] {
        assert_eq!(yard.cluster.cli(&["wait", job]).code, Some(124));
        let shown = shown(&yard, job);
        assert_eq!(shown["outcome"]["kind"], "timed_out", "{shown}");
        assert_eq!(shown["attempts"], json!([]), "{shown}");
    }
    // The slot that it waited for goes to another one.
    yard.finish(&[held]);
    let next = yard.cluster.submit(&[], "true");
    yard.cluster.wait_for(&[next]);
}

#[test]
fn run_exits_with_124_when_its_job_never_starts_j9() {
    let yard = Yard::new(&[("one", &[])]);
    let run = ["run", "--queue-timeout", "300ms", "--tag", "gpu"];
    let ran = yard.cluster.cli(&[&run[..], &["--", "true"]].concat());
    assert_eq!(ran.code, Some(124), "{}", ran.stderr);
}

#[test]
fn a_job_that_has_started_is_past_its_queue_timeout_j9() {
    let yard = Yard::new(&[("one", &["--slots", "2"])]);
    let held = yard.held(&["--queue-timeout", "3s"]);
    // Submitted later with the same patience, and over: so the patience of the first is over as well.
    let late = ["--queue-timeout", "3s", "--tag", "gpu"];
    let late = yard.cluster.submit(&late, "true");
    assert_eq!(yard.cluster.cli(&["wait", &late]).code, Some(124));
    assert_eq!(shown(&yard, &held)["state"], "running");
    yard.finish(&[held]);
}

#[test]
fn a_queue_timeout_outlives_the_master_j9() {
    let mut yard = Yard::new(&[("one", &[])]);
    let late = ["--queue-timeout", "2s", "--tag", "gpu"];
    let late = yard.cluster.submit(&late, "true");
    yard.cluster.master.kill_9();
    yard.cluster.restart_master();
    assert_eq!(yard.cluster.cli(&["wait", &late]).code, Some(124));
}

#[test]
fn a_master_that_gives_up_ends_a_job_that_no_worker_could_ever_run_s9() {
    let cluster = Cluster::start_with(&["--give-up-after", "500ms"]);
    let yard = Yard::with_cluster(cluster, &[("one", &["--slots", "1"])]);
    let held = yard.held(&[]);
    let busy = yard.cluster.submit(&[], "true");
    let impossible = yard.cluster.submit(&["--tag", "gpu"], "true");
    assert_eq!(yard.cluster.cli(&["wait", &impossible]).code, Some(125));
    let shown_impossible = shown(&yard, &impossible);
    let outcome = &shown_impossible["outcome"];
    assert_eq!(
        (&outcome["kind"], &outcome["reason"]),
        (&"infra".into(), &"no_worker".into()),
        "{outcome}"
    );
    // One that only waits for room has waited for longer, and still does.
    assert_eq!(shown(&yard, &busy)["state"], "queued");
    yard.finish(&[held]);
    yard.cluster.wait_for(&[busy]);
}

#[test]
fn a_master_that_is_not_told_to_give_up_does_not_s9() {
    let yard = Yard::new(&[("one", &[])]);
    let impossible = yard.cluster.submit(&["--tag", "gpu"], "true");
    let late = ["--queue-timeout", "2s", "--tag", "gpu"];
    let late = yard.cluster.submit(&late, "true");
    assert_eq!(yard.cluster.cli(&["wait", &late]).code, Some(124));
    assert_eq!(shown(&yard, &impossible)["state"], "queued");
}
