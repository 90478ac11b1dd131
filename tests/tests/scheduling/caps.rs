//! How many jobs of a queue run at once.

use serde_json::{Value, json};

use crate::yard::{Yard, marks, most_at_once, of_kind};

fn one_worker() -> Yard {
    Yard::new(&[("one", &["--slots", "8"])])
}

fn cap(yard: &Yard, queue: &str, limit: &str) {
    let set = ["queue", "set", queue, "--max-running", limit];
    let _ = yard.cluster.cli(&set).ok();
}

fn queue(yard: &Yard, name: &str) -> Value {
    let queues = yard.cluster.cli(&["queues", "--json"]).ok().json();
    let all = queues.as_array().expect("a list");
    let found = all.iter().find(|queue| queue["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {queues}"))
        .clone()
}

#[test]
fn no_more_jobs_of_a_queue_run_at_once_than_it_may_s5() {
    let yard = one_worker();
    cap(&yard, "narrow", "1");
    let file = yard.cluster.path("marks");
    let job = json!({ "script": marks(file.to_str().expect("UTF-8")), "queue": "narrow" });
    let jobs = yard.cluster.submit_all(&vec![job; 8]);
    yard.cluster.wait_for(&jobs);
    assert_eq!(most_at_once(&file), 1);
}

#[test]
fn a_full_queue_does_not_hold_up_another_s5() {
    let yard = one_worker();
    cap(&yard, "narrow", "1");
    let held = yard.held(&["--queue", "narrow"]);
    let waiting = yard.cluster.submit(&["--queue", "narrow"], "true");
    let other = yard.cluster.submit(&["--queue", "wide"], "true");
    yard.cluster.wait_for(&[other]);
    let shown = queue(&yard, "narrow");
    assert_eq!(
        (&shown["queued"], &shown["running"]),
        (&1.into(), &1.into())
    );
    yard.finish(&[held]);
    yard.cluster.wait_for(&[waiting]);
}

#[test]
fn a_raised_cap_starts_the_next_job_by_itself_s4() {
    let yard = one_worker();
    cap(&yard, "narrow", "1");
    let held = yard.held(&["--queue", "narrow"]);
    let next = yard
        .cluster
        .submit(&["--queue", "narrow"], &yard.holds("next"));
    let last = yard
        .cluster
        .submit(&["--queue", "narrow"], &yard.notes("last"));
    let why = yard.cluster.explain(&next);
    assert_eq!(why["verdict"], "not_now", "{why}");
    let full = of_kind(&why["reasons"], "queue_full");
    assert_eq!(
        (&full["queue"], &full["running"], &full["limit"]),
        (&"narrow".into(), &1.into(), &1.into()),
        "{why}"
    );
    let help = of_kind(&why["help"], "raise_queue_limit");
    assert_eq!(
        (&help["queue"], &help["above"]),
        (&"narrow".into(), &1.into()),
        "{why}"
    );

    cap(&yard, "narrow", "2");
    assert_eq!(yard.notes.next(), "next");
    // By one, and not by more.
    let why = yard.cluster.explain(&last);
    assert_eq!(
        of_kind(&why["reasons"], "queue_full")["running"],
        2,
        "{why}"
    );
    cap(&yard, "narrow", "none");
    assert_eq!(yard.notes.next(), "last");
    yard.finish(&[held, next]);
    yard.cluster.wait_for(&[last]);
}

#[test]
fn a_lowered_cap_stops_nothing_and_starts_nothing_s4() {
    let yard = one_worker();
    let held = [
        yard.held(&["--queue", "narrow"]),
        yard.held(&["--queue", "narrow"]),
    ];
    cap(&yard, "narrow", "1");
    let waiting = yard
        .cluster
        .submit(&["--queue", "narrow"], &yard.notes("late"));
    let why = yard.cluster.explain(&waiting);
    let full = of_kind(&why["reasons"], "queue_full");
    assert_eq!(
        (&full["running"], &full["limit"]),
        (&2.into(), &1.into()),
        "{why}"
    );
    // One of the two is over, and there is still no room for a third.
    let [first, second] = held;
    let _ = yard.cluster.cli(&["stop", &first]).ok();
    assert_eq!(yard.cluster.cli(&["wait", &first]).code, Some(130));
    let why = yard.cluster.explain(&waiting);
    let full = of_kind(&why["reasons"], "queue_full");
    assert_eq!(full["running"], 1, "{why}");
    yard.finish(&[second]);
    assert_eq!(yard.notes.next(), "late");
    yard.cluster.wait_for(&[waiting]);
}

#[test]
fn queues_are_listed_with_settings_and_counts() {
    let yard = one_worker();
    let set = [
        "queue",
        "set",
        "team",
        "--weight",
        "3",
        "--class",
        "-2",
        "--max-running",
        "2",
    ];
    let _ = yard.cluster.cli(&set).ok();
    let held = [
        yard.held(&["--queue", "team"]),
        yard.held(&["--queue", "team"]),
    ];
    let job = json!({ "command": ["true"], "queue": "team" });
    let waiting = yard.cluster.submit_all(&vec![job; 3]);
    let shown = queue(&yard, "team");
    for (key, value) in [
        ("weight", 3),
        ("class", -2),
        ("max_running", 2),
        ("queued", 3),
        ("running", 2),
    ] {
        assert_eq!(shown[key], value, "{key}: {shown}");
    }
    let table = yard.cluster.cli(&["queues"]).ok().text();
    assert!(table.contains("team"), "{table}");
    yard.finish(&held);
    yard.cluster.wait_for(&waiting);
    let shown = queue(&yard, "team");
    assert_eq!(
        (&shown["queued"], &shown["running"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn settings_outlive_the_end_of_the_master_by_kill_9() {
    let mut yard = one_worker();
    let set = ["queue", "set", "team", "--weight", "7", "--class", "4"];
    let _ = yard.cluster.cli(&set).ok();
    cap(&yard, "paused", "0");
    let waiting = yard
        .cluster
        .submit(&["--queue", "paused"], &yard.notes("paused"));
    let before = [queue(&yard, "team"), queue(&yard, "paused")];
    yard.cluster.master.kill_9();
    yard.cluster.restart_master();
    let after = [queue(&yard, "team"), queue(&yard, "paused")];
    for (before, after) in before.iter().zip(&after) {
        for key in ["name", "weight", "class", "max_running", "queued"] {
            assert_eq!(before[key], after[key], "{key}: {before} {after}");
        }
    }
    // Another one runs from end to end, and the paused one still waits until it is let go.
    let other = yard.cluster.submit(&[], &yard.notes("other"));
    assert_eq!(yard.notes.next(), "other");
    let why = yard.cluster.explain(&waiting);
    assert_eq!(of_kind(&why["reasons"], "queue_full")["limit"], 0, "{why}");
    cap(&yard, "paused", "none");
    assert_eq!(yard.notes.next(), "paused");
    yard.cluster.wait_for(&[other, waiting]);
}
