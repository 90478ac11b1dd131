//! One world again, for whoever looks for a bug.

use jobyard_sim::{Scenario, simulate};

/// `JOBYARD_SIM_SEED=42 cargo test -p jobyard-sim --test one_seed` runs that seed and prints what happened in it.
#[test]
fn replay_a_seed() {
    let seed = std::env::var("JOBYARD_SIM_SEED").map_or(0, |seed| {
        seed.parse().expect("JOBYARD_SIM_SEED is a number")
    });
    match simulate(seed, &Scenario::rough()) {
        Ok(summary) => println!("{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}
