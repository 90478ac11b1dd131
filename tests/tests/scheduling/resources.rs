//! What jobs take of a worker: never more than it has, and given back.

use serde_json::{Value, json};

use crate::yard::{Yard, marks, most_at_once, of_kind};

const OFFER: [&str; 8] = [
    "--resource",
    "gpu=1",
    "--cpu",
    "2",
    "--memory",
    "1GiB",
    "--slots",
    "8",
];

fn one_worker() -> Yard {
    Yard::new(&[("one", &OFFER)])
}

fn worker(yard: &Yard) -> Value {
    let workers = yard.cluster.cli(&["workers", "--json"]).ok().json();
    workers[0].clone()
}

#[test]
fn a_resource_is_never_held_by_two_jobs_s3() {
    let yard = one_worker();
    let file = yard.cluster.path("marks");
    let job = json!({ "script": marks(file.to_str().expect("UTF-8")), "resources": { "gpu": 1 } });
    let jobs = yard.cluster.submit_all(&vec![job; 8]);
    yard.cluster.wait_for(&jobs);
    assert_eq!(most_at_once(&file), 1);
}

#[test]
fn jobs_without_the_resource_run_beside_the_one_that_holds_it_s3() {
    let yard = one_worker();
    let held = yard.held(&["--resource", "gpu=1"]);
    let second = yard
        .cluster
        .submit(&["--resource", "gpu=1"], &yard.notes("second"));
    let why = yard.cluster.explain(&second);
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert_eq!(of_kind(&why["reasons"], "busy")["workers"], 1, "{why}");
    let beside = yard.cluster.submit(&[], &yard.notes("beside"));
    assert_eq!(yard.notes.next(), "beside");
    yard.cluster.wait_for(&[beside]);
    // The end of the first starts the second.
    yard.finish(&[held]);
    assert_eq!(yard.notes.next(), "second");
    yard.cluster.wait_for(&[second]);
}

#[test]
fn parts_of_cores_add_up_s3() {
    let yard = one_worker();
    let held = yard.held(&["--cpu", "1.5"]);
    let large = yard.cluster.submit(&["--cpu", "0.75"], "true");
    assert_eq!(yard.cluster.explain(&large)["verdict"], "not_now");
    // Half a core is left, and one that takes just this has it.
    let small = yard.cluster.submit(&["--cpu", "0.5"], "true");
    yard.cluster.wait_for(&[small]);
    assert_eq!(yard.cluster.explain(&large)["verdict"], "not_now");
    yard.finish(&[held]);
    yard.cluster.wait_for(&[large]);
}

#[test]
fn more_memory_than_any_worker_has_is_never_with_both_amounts_s7() {
    let yard = one_worker();
    let job = yard.cluster.submit(&["--memory", "2GiB"], "true");
    let why = yard.cluster.explain(&job);
    assert_eq!(why["verdict"], "never", "{why}");
    let much = of_kind(&why["reasons"], "too_much");
    assert_eq!(much["resource"], "memory", "{why}");
    assert_eq!(much["asked"], 2_u64 << 30, "{why}");
    assert_eq!(much["largest"], 1_u64 << 30, "{why}");
    let help = of_kind(&why["help"], "worker");
    assert_eq!(help["resources"], json!([["memory", 2_u64 << 30]]), "{why}");
    let text = yard.cluster.cli(&["explain", &job]).ok().text();
    assert!(text.contains("2 GiB") && text.contains("1 GiB"), "{text}");
}

#[test]
fn a_resource_that_no_worker_has_is_never_s7() {
    let yard = one_worker();
    let job = yard.cluster.submit(&["--resource", "license=1"], "true");
    let why = yard.cluster.explain(&job);
    assert_eq!(why["verdict"], "never", "{why}");
    let much = of_kind(&why["reasons"], "too_much");
    assert_eq!(
        (&much["resource"], &much["asked"], &much["largest"]),
        (&"license".into(), &1.into(), &0.into()),
        "{why}"
    );
}

#[test]
fn what_jobs_take_is_shown_and_given_back_once_s3() {
    let yard = one_worker();
    let takes = ["--resource", "gpu=1", "--cpu", "1.5", "--memory", "512MiB"];
    let held = yard.held(&[&takes[..], &["--slots", "3"]].concat());
    let taken = worker(&yard);
    assert_eq!(taken["slots"], json!({ "total": 8, "used": 3 }));
    let resources = &taken["resources"];
    assert_eq!(resources["gpu"], json!({ "total": 1, "used": 1 }));
    assert_eq!(resources["cpu"], json!({ "total": 2, "used": 1.5 }));
    let half = json!({ "total": 1_u64 << 30, "used": 1_u64 << 29 });
    assert_eq!(resources["memory"], half);

    yard.finish(&[held]);
    assert_nothing_is_taken(&worker(&yard));
    // A job that is stopped gives back, too.
    let stopped = yard.held(&takes);
    let _ = yard.cluster.cli(&["stop", &stopped]).ok();
    assert_eq!(yard.cluster.cli(&["wait", &stopped]).code, Some(130));
    assert_nothing_is_taken(&worker(&yard));
}

fn assert_nothing_is_taken(worker: &Value) {
    assert_eq!(worker["slots"], json!({ "total": 8, "used": 0 }));
    for name in ["gpu", "cpu", "memory"] {
        assert_eq!(worker["resources"][name]["used"], 0, "{worker}");
    }
}

#[test]
fn a_worker_that_comes_back_with_more_runs_what_it_could_not_s3() {
    let mut yard = one_worker();
    let job = yard
        .cluster
        .submit(&["--memory", "2GiB", "--resource", "gpu=2"], "true");
    assert_eq!(yard.cluster.explain(&job)["verdict"], "never");
    let mut worker = yard.workers.remove(0);
    worker.signal("TERM");
    let (status, log) = worker.wait();
    assert!(status.success(), "{log}");
    let options = ["--resource", "gpu=2", "--memory", "4GiB"];
    let mut command = yard.cluster.worker_command("one", None, &options);
    let _worker = jobyard_tests::Program::start(&mut command);
    yard.cluster.wait_for(&[job]);
}

#[test]
fn a_taken_resource_is_still_taken_when_the_master_starts_again_s3() {
    let mut yard = one_worker();
    let held = yard.held(&["--resource", "gpu=1"]);
    yard.cluster.master.kill_9();
    yard.cluster.restart_master();
    let second = yard
        .cluster
        .submit(&["--resource", "gpu=1"], &yard.notes("second"));
    // One that runs from end to end shows that the worker is back.
    let beside = yard.cluster.submit(&[], &yard.notes("beside"));
    assert_eq!(yard.notes.next(), "beside");
    assert_eq!(yard.cluster.explain(&second)["verdict"], "not_now");
    yard.finish(&[held]);
    assert_eq!(yard.notes.next(), "second");
    yard.cluster.wait_for(&[beside, second]);
}
