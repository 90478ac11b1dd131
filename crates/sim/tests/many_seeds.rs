//! A thousand worlds with every invariant on, in eight parts that run at the same time.

use jobyard_sim::{Scenario, Summary, simulate};

/// How many worlds each part runs.
const WORLDS: u64 = 125;

#[test]
fn hold_every_invariant_in_the_first_eighth() {
    run(0);
}

#[test]
fn hold_every_invariant_in_the_second_eighth() {
    run(1);
}

#[test]
fn hold_every_invariant_in_the_third_eighth() {
    run(2);
}

#[test]
fn hold_every_invariant_in_the_fourth_eighth() {
    run(3);
}

#[test]
fn hold_every_invariant_in_the_fifth_eighth() {
    run(4);
}

#[test]
fn hold_every_invariant_in_the_sixth_eighth() {
    run(5);
}

#[test]
fn hold_every_invariant_in_the_seventh_eighth() {
    run(6);
}

#[test]
fn hold_every_invariant_in_the_eighth_eighth() {
    run(7);
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
