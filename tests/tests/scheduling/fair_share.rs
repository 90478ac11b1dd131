//! Queues share a worker by their weights, and are charged for how long their jobs run.

use serde_json::{Value, json};

use crate::yard::Yard;

/// How many starts are looked at.
const LOOKED_AT: usize = 20;

/// The queues `first` and `second` with these weights have 40 jobs each, which take so many seconds: the order of the
/// first starts on the only slot.
fn starts(weights: [&str; 2], seconds: [&str; 2]) -> Vec<String> {
    let yard = Yard::new(&[("one", &["--slots", "1"])]);
    let queues = ["first", "second"];
    for (queue, weight) in queues.into_iter().zip(weights) {
        let paused = ["queue", "set", queue, "--max-running", "0"];
        let _ = yard
            .cluster
            .cli(&[&paused[..], &["--weight", weight]].concat())
            .ok();
    }
    let job = |queue: &str, seconds: &str| {
        let script = format!("{}; sleep {seconds}", yard.notes("$JOBYARD_QUEUE"));
        json!({ "queue": queue, "script": script })
    };
    let jobs: Vec<Value> = queues
        .into_iter()
        .zip(seconds)
        .flat_map(|(queue, seconds)| vec![job(queue, seconds); 40])
        .collect();
    let _ = yard.cluster.submit_all(&jobs);
    // Both are opened while the only slot is taken, so that neither has a head start.
    let held = yard.held(&["--queue", "third"]);
    assert_eq!(
        yard.notes.so_far(),
        Vec::<String>::new(),
        "both queues are paused"
    );
    for queue in queues {
        let open = ["queue", "set", queue, "--max-running", "none"];
        let _ = yard.cluster.cli(&open).ok();
    }
    yard.finish(&[held]);
    yard.notes.take(LOOKED_AT)
}

fn count(order: &[String], queue: &str) -> usize {
    order.iter().filter(|ran| *ran == queue).count()
}

#[test]
fn starts_divide_by_the_weights_s5() {
    let order = starts(["3", "1"], ["0.2", "0.2"]);
    // Fifteen and five if all of them take the same; ten and ten without weights.
    assert!((12..=18).contains(&count(&order, "first")), "{order:?}");
}

#[test]
fn a_queue_of_long_jobs_gets_fewer_starts_s5() {
    let order = starts(["1", "1"], ["0.9", "0.1"]);
    // Two and eighteen if starts took no time; ten and ten if starts were counted and not their time.
    assert!((1..=7).contains(&count(&order, "first")), "{order:?}");
}
