//! R6: no decision depends on a wall clock.

use jobyard_sim::{Scenario, simulate};

#[test]
fn r6_wall_clocks_that_jump_change_nothing() {
    let mut steady = Scenario::rough();
    steady.wall_jumps = false;
    for seed in 0..10 {
        let with = simulate(seed, &Scenario::rough()).expect("every invariant holds");
        let without = simulate(seed, &steady).expect("every invariant holds");
        assert_eq!(with.hash, without.hash, "seed {seed}");
    }
}
