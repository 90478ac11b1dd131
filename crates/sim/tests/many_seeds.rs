//! A thousand worlds with every invariant on, in four parts that run at the same time.

use jobyard_sim::{Scenario, Summary, simulate};

/// How many worlds each part runs.
const WORLDS: u64 = 250;

#[test]
fn hold_every_invariant_in_the_first_quarter() {
    run(0);
}

#[test]
fn hold_every_invariant_in_the_second_quarter() {
    run(1);
}

#[test]
fn hold_every_invariant_in_the_third_quarter() {
    run(2);
}

#[test]
fn hold_every_invariant_in_the_fourth_quarter() {
    run(3);
}

/// Runs one part, and makes sure that nothing that shall happen in such a world is missing from all of them.
fn run(part: u64) {
    let mut all = Summary::default();
    for seed in part * WORLDS..(part + 1) * WORLDS {
        match simulate(seed, &Scenario::rough()) {
            Ok(summary) => all.add(&summary),
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{all}");
    assert_eq!(all.missing_faults(), [], "these faults never happened");
}
