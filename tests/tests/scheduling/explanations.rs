//! Why a job waits, and what would help.

use serde_json::{Value, json};

use crate::yard::{Yard, of_kind};

fn two_workers() -> Yard {
    Yard::new(&[
        ("red", &["--slots", "1", "--tag", "colour=red"]),
        ("blue", &["--slots", "1", "--tag", "colour=blue"]),
    ])
}

/// The keys that programs rely on.
fn assert_has_its_keys(why: &Value, job: &str) {
    assert_eq!(why["job_id"], job, "{why}");
    for list in ["reasons", "help"] {
        for said in why[list].as_array().expect("a list") {
            let texts = ["kind", "text"].map(|key| said[key].as_str().unwrap_or_default());
            assert!(texts.iter().all(|text| !text.is_empty()), "{list}: {why}");
        }
    }
}

#[test]
fn never_has_each_requirement_the_nearest_worker_and_what_would_help_s7() {
    let yard = two_workers();
    let options = ["--tag", "colour=red", "--tag", "gpu", "--cpu", "1.5"];
    let job = yard.cluster.submit(&options, "true");
    let why = yard.cluster.explain(&job);
    assert_has_its_keys(&why, &job);
    assert_eq!(
        (&why["state"], &why["verdict"]),
        (&"queued".into(), &"never".into()),
        "{why}"
    );
    let unmet = |requirement: &str, failing: u32| {
        let reasons = why["reasons"].as_array().expect("a list").iter();
        let mut of = reasons.filter(|reason| reason["requirement"] == requirement);
        let reason = of
            .next()
            .unwrap_or_else(|| panic!("{requirement} is not in {why}"));
        assert_eq!(reason["kind"], "requirement_unmet", "{why}");
        assert_eq!(
            (&reason["failing"], &reason["workers"]),
            (&failing.into(), &2.into()),
            "{why}"
        );
    };
    unmet("gpu", 2);
    unmet("colour=red", 1);
    let nearest = of_kind(&why["reasons"], "nearest");
    assert_eq!(nearest["name"], "red", "{why}");
    let lacks = json!([{ "kind": "requirement", "requirement": "gpu" }]);
    assert_eq!(nearest["lacks"], lacks, "{why}");
    let help = of_kind(&why["help"], "worker");
    let wanted = help["requirements"].as_array().expect("a list");
    for requirement in ["colour=red", "gpu"] {
        assert!(wanted.contains(&requirement.into()), "{why}");
    }
    assert_eq!(help["resources"], json!([["cpu", 1500]]), "{why}");

    let text = yard.cluster.cli(&["explain", &job]).ok().text();
    assert!(text.starts_with("never: "), "{text}");
    for part in ["`gpu`", "`red`", "what would help:"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_named_worker_that_there_is_not_is_never_s7() {
    let yard = two_workers();
    let job = yard.cluster.submit(&["--worker", "green"], "true");
    let why = yard.cluster.explain(&job);
    assert_has_its_keys(&why, &job);
    assert_eq!(why["verdict"], "never", "{why}");
    let unknown = of_kind(&why["reasons"], "named_worker_unknown");
    assert_eq!(unknown["worker"], "green", "{why}");
    assert_eq!(of_kind(&why["help"], "worker")["name"], "green", "{why}");
}

#[test]
fn not_now_has_what_is_busy_and_how_many_stand_before_it_s7() {
    let yard = two_workers();
    let held = yard.held(&["--tag", "colour=red"]);
    let waiting = yard.cluster.submit(&["--tag", "colour=red"], "true");
    let job = yard.cluster.submit(&["--tag", "colour=red"], "true");
    let why = yard.cluster.explain(&job);
    assert_has_its_keys(&why, &job);
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert_eq!(of_kind(&why["reasons"], "busy")["workers"], 1, "{why}");
    assert_eq!(of_kind(&why["reasons"], "behind")["jobs"], 1, "{why}");
    let text = yard.cluster.cli(&["explain", &job]).ok().text();
    assert!(text.starts_with("not_now: "), "{text}");
    yard.finish(&[held]);
    yard.cluster.wait_for(&[waiting, job]);
}

#[test]
fn a_suspended_worker_is_named_with_the_command_that_resumes_it_s7() {
    let yard = two_workers();
    let _ = yard.cluster.cli(&["worker", "suspend", "red"]).ok();
    let job = yard.cluster.submit(&["--tag", "colour=red"], "true");
    let why = yard.cluster.explain(&job);
    assert_has_its_keys(&why, &job);
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert_eq!(of_kind(&why["reasons"], "suspended")["workers"], 1, "{why}");
    assert_eq!(of_kind(&why["help"], "resume")["name"], "red", "{why}");
    // What it is told is true.
    let _ = yard.cluster.cli(&["worker", "resume", "red"]).ok();
    yard.cluster.wait_for(&[job]);
}

#[test]
fn a_master_that_has_just_started_does_not_call_anything_impossible_s9() {
    let mut yard = two_workers();
    // Its process is stopped, so that it neither says goodbye nor comes back.
    yard.workers[0].signal("STOP");
    yard.cluster.master.kill_9();
    yard.cluster.restart_master();
    let job = yard.cluster.submit(&["--tag", "colour=red"], "true");
    let why = yard.cluster.explain(&job);
    assert_has_its_keys(&why, &job);
    // What it needs is known, and away.
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert_eq!(of_kind(&why["reasons"], "silent")["workers"], 1, "{why}");
    assert_eq!(of_kind(&why["help"], "connect")["name"], "red", "{why}");
    // Of what nobody has it is not known whether somebody may yet bring it.
    let gpu = yard.cluster.submit(&["--tag", "gpu"], "true");
    let why = yard.cluster.explain(&gpu);
    assert_eq!(why["verdict"], "not_known_yet", "{why}");
    let _ = of_kind(&why["reasons"], "fleet_unknown");
    yard.workers[0].signal("CONT");
    yard.cluster.wait_for(&[job]);
}

#[test]
fn a_job_that_does_not_wait_has_its_state_for_a_verdict() {
    let yard = two_workers();
    let held = yard.held(&[]);
    let why = yard.cluster.explain(&held);
    assert_eq!(why["verdict"], "running", "{why}");
    assert_eq!(why["reasons"], json!([]), "{why}");
    yard.finish(std::slice::from_ref(&held));
    let why = yard.cluster.explain(&held);
    assert_has_its_keys(&why, &held);
    assert_eq!(why["verdict"], "finished", "{why}");
    assert_eq!(why["help"], json!([]), "{why}");
}
