//! Who goes first within a queue.

use serde_json::json;

use crate::yard::{Yard, of_kind};

#[test]
fn higher_priority_starts_first_although_it_came_last_s4() {
    let yard = Yard::new(&[("one", &["--slots", "1"])]);
    let held = yard.held(&[]);
    let low = yard
        .cluster
        .submit(&["--priority", "-5"], &yard.notes("low"));
    let normal = yard.cluster.submit(&[], &yard.notes("normal"));
    let high = yard
        .cluster
        .submit(&["--priority", "5"], &yard.notes("high"));
    let why = yard.cluster.explain(&low);
    assert_eq!(of_kind(&why["reasons"], "behind")["jobs"], 2, "{why}");
    yard.finish(&[held]);
    assert_eq!(yard.notes.take(3), ["high", "normal", "low"]);
    yard.cluster.wait_for(&[low, normal, high]);
}

#[test]
fn equal_priority_starts_in_the_order_of_submission_s4() {
    let yard = Yard::new(&[("one", &["--slots", "1"])]);
    let held = yard.held(&[]);
    let job = |name: usize| json!({ "script": yard.notes(&name.to_string()), "priority": 3 });
    let jobs: Vec<_> = (0..12).map(job).collect();
    let jobs = yard.cluster.submit_all(&jobs);
    yard.finish(&[held]);
    let order: Vec<_> = (0..12).map(|name| name.to_string()).collect();
    assert_eq!(yard.notes.take(12), order);
    yard.cluster.wait_for(&jobs);
}

#[test]
fn a_queue_of_a_higher_class_goes_first_s5() {
    let yard = Yard::new(&[("one", &["--slots", "1"])]);
    let _ = yard
        .cluster
        .cli(&["queue", "set", "urgent", "--class", "1"])
        .ok();
    let held = yard.held(&[]);
    let job = |queue: &str| json!({ "script": yard.notes("$JOBYARD_QUEUE"), "queue": queue });
    let jobs = [vec![job("normal"); 3], vec![job("urgent"); 3]].concat();
    let jobs = yard.cluster.submit_all(&jobs);
    yard.finish(&[held]);
    let order = ["urgent", "urgent", "urgent", "normal", "normal", "normal"];
    assert_eq!(yard.notes.take(6), order);
    yard.cluster.wait_for(&jobs);
}
