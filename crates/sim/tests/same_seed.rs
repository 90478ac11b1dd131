//! A seed is a history.

use jobyard_sim::{Scenario, simulate};

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..3 {
        let first = simulate(seed, &Scenario::rough()).expect("every invariant holds");
        let second = simulate(seed, &Scenario::rough()).expect("every invariant holds");
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_history() {
    let first = simulate(1, &Scenario::rough()).expect("every invariant holds");
    let second = simulate(2, &Scenario::rough()).expect("every invariant holds");
    assert_ne!(first.hash, second.hash);
}

#[test]
fn nothing_goes_wrong_in_a_calm_world() {
    let summary = simulate(1, &Scenario::calm()).expect("every invariant holds");
    let has = |name: &str| {
        summary
            .transitions
            .keys()
            .any(|seen| seen.to_string() == name)
    };
    assert!(has("job ends: succeeded"));
    assert!(!has("session refused"));
}
