//! Workers that take only jobs which name their tag.

use std::collections::BTreeSet;

use serde_json::json;

use crate::yard::{Yard, of_kind};

fn gated_and_open() -> Yard {
    let gated = [
        "--slots",
        "4",
        "--exclusive-tag",
        "gpu-only",
        "--tag",
        "colour=red",
    ];
    Yard::new(&[("gated", &gated), ("open", &["--slots", "4"])])
}

#[test]
fn only_jobs_that_name_the_tag_run_there_s2() {
    let yard = gated_and_open();
    let on = |name: &str| BTreeSet::from([name.to_owned()]);
    assert_eq!(yard.where_four_run(&json!({})), on("open"));
    assert_eq!(
        yard.where_four_run(&json!({ "tags": ["os=linux", "!colour"] })),
        on("open")
    );
    assert_eq!(
        yard.where_four_run(&json!({ "tags": ["gpu-only"] })),
        on("gated")
    );
    // To name something else of the worker is not enough, nor is the worker's name.
    for options in [["--tag", "colour=red"], ["--worker", "gated"]] {
        let job = yard.cluster.submit(&options, "true");
        assert_eq!(yard.cluster.explain(&job)["verdict"], "never");
    }
}

#[test]
fn a_job_that_does_not_name_the_tag_waits_although_there_is_room_behind_it() {
    let yard = gated_and_open();
    let held: Vec<_> = (0..4).map(|_| yard.held(&[])).collect();
    let job = yard.cluster.submit(&[], &yard.notes("late"));
    // Of the two workers one counts, and it is busy.
    let why = yard.cluster.explain(&job);
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert_eq!(of_kind(&why["reasons"], "busy")["workers"], 1, "{why}");
    yard.finish(&held);
    assert_eq!(yard.notes.next(), "late");
    yard.cluster.wait_for(&[job]);
}

#[test]
fn listings_mark_the_tag_with_a_plus() {
    let yard = gated_and_open();
    let listed = yard.cluster.cli(&["workers"]).ok().text();
    let line = |name: &str| {
        let found = listed.lines().find(|line| line.starts_with(name));
        found.expect("it is listed").to_owned()
    };
    assert!(line("gated").contains(" +gpu-only"), "{listed}");
    assert!(!line("gated").contains("+colour"), "{listed}");
    assert!(!line("open").contains('+'), "{listed}");
    let shown = yard.cluster.cli(&["worker", "show", "gated"]).ok().text();
    assert!(shown.contains(" +gpu-only"), "{shown}");
    let shown = yard
        .cluster
        .cli(&["worker", "show", "gated", "--json"])
        .ok();
    assert_eq!(shown.json()["exclusive_tags"], json!(["gpu-only"]));
}

#[test]
fn a_job_that_only_this_worker_could_run_is_told_to_name_the_tag_s7() {
    let yard = gated_and_open();
    let job = yard.cluster.submit(&["--tag", "colour=red"], "true");
    let why = yard.cluster.explain(&job);
    assert_eq!(why["verdict"], "never", "{why}");
    let excluded = of_kind(&why["reasons"], "excluded");
    assert_eq!(excluded["tag"], "gpu-only", "{why}");
    assert_eq!(excluded["workers"], 1, "{why}");
    let nearest = of_kind(&why["reasons"], "nearest");
    let lacks = json!([{ "kind": "exclusive", "tag": "gpu-only" }]);
    assert_eq!(
        (&nearest["name"], &nearest["lacks"]),
        (&"gated".into(), &lacks)
    );
    let help = of_kind(&why["help"], "name_tag");
    assert_eq!(help["tag"], "gpu-only", "{why}");

    // What it is told is true.
    let text = yard.cluster.cli(&["explain", &job]).ok().text();
    assert!(text.contains("`--tag gpu-only` on the job"), "{text}");
    let tags = json!({ "tags": ["colour=red", "gpu-only"] });
    assert_eq!(
        yard.where_four_run(&tags),
        BTreeSet::from(["gated".to_owned()])
    );
}
