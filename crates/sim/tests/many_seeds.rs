//! Some worlds with every invariant on. `cargo xtask simulate` runs ten thousand of them, and looks whether everything
//! that shall happen in such worlds does.

use jobyard_sim::{Scenario, simulate};

/// How many worlds each part runs: what is quick in a build for tests.
const WORLDS: u64 = 50;

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

fn run(part: u64) {
    for seed in part * WORLDS..(part + 1) * WORLDS {
        if let Err(failure) = simulate(seed, &Scenario::rough()) {
            panic!("{failure}");
        }
    }
}
