//! Jobs of a group, of which only so many run at once, whatever their queues.

use serde_json::json;

use crate::yard::{Yard, marks, most_at_once, of_kind};

fn two_workers() -> Yard {
    Yard::new(&[("one", &["--slots", "4"]), ("two", &["--slots", "4"])])
}

#[test]
fn jobs_of_a_group_of_one_never_overlap_even_in_two_queues_s5() {
    let yard = two_workers();
    let file = yard.cluster.path("marks");
    let job = |queue: &str| {
        json!({
            "script": marks(file.to_str().expect("UTF-8")),
            "queue": queue,
            "group": { "key": "deploy", "limit": 1 },
        })
    };
    let jobs: Vec<_> = (0..8)
        .map(|number| job(["north", "south"][number % 2]))
        .collect();
    let jobs = yard.cluster.submit_all(&jobs);
    yard.cluster.wait_for(&jobs);
    assert_eq!(most_at_once(&file), 1);
}

#[test]
fn the_end_of_one_starts_the_next_and_the_wait_is_explained_s7() {
    let yard = two_workers();
    let deploy = |queue| ["--queue", queue, "--group", "deploy=1"];
    let held = yard.held(&deploy("north"));
    let waiting = yard.cluster.submit(&deploy("south"), &yard.notes("second"));
    // Others are not held up.
    let other = yard.cluster.submit(&["--group", "other=1"], "true");
    let none = yard.cluster.submit(&["--queue", "south"], "true");
    yard.cluster.wait_for(&[other, none]);
    let why = yard.cluster.explain(&waiting);
    assert_eq!(why["verdict"], "not_now", "{why}");
    let full = of_kind(&why["reasons"], "group_full");
    assert_eq!(
        (&full["group"], &full["running"], &full["limit"]),
        (&"deploy".into(), &1.into(), &1.into()),
        "{why}"
    );
    assert_eq!(of_kind(&why["help"], "free_group")["group"], "deploy");
    let text = yard.cluster.cli(&["explain", &waiting]).ok().text();
    assert!(text.contains("group `deploy`"), "{text}");
    yard.finish(&[held]);
    assert_eq!(yard.notes.next(), "second");
    yard.cluster.wait_for(&[waiting]);
}

#[test]
fn each_job_keeps_to_its_own_limit_s5() {
    let yard = two_workers();
    let held = yard.held(&["--group", "build=1"]);
    let one = yard
        .cluster
        .submit(&["--group", "build=1"], &yard.notes("one"));
    let two = yard
        .cluster
        .submit(&["--group", "build=2"], &yard.notes("two"));
    assert_eq!(yard.notes.next(), "two");
    yard.cluster.wait_for(&[two]);
    let why = yard.cluster.explain(&one);
    let full = of_kind(&why["reasons"], "group_full");
    assert_eq!(full["limit"], 1, "{why}");
    yard.finish(&[held]);
    assert_eq!(yard.notes.next(), "one");
    yard.cluster.wait_for(&[one]);
}
